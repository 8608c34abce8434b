"""A few of the mutants of tests/mutants.py: every one is caught, and gradcheck names or locates most."""

import importlib.util
import sys
from pathlib import Path

import pytest

from autograd.registry import OPS

FILE = Path(__file__).parents[1] / "mutants.py"
spec = importlib.util.spec_from_file_location("mutants", FILE)
assert spec is not None and spec.loader is not None
mutants = importlib.util.module_from_spec(spec)
sys.modules["mutants"] = mutants  # a NamedTuple looks its module up
spec.loader.exec_module(mutants)


def judged(*names):
    return [mutants.judge(m) for m in mutants.all_mutants(list(names))]


def check(outcomes, least):
    assert [mutants.told(o) for o in outcomes if o.verdict == "missed"] == []
    caught = [o for o in outcomes if o.verdict == "caught"]
    assert sum(o.told for o in caught) >= least * len(caught), "\n".join(mutants.told(o) for o in caught if not o.told)
    return caught


def test_mutants_stand_where_they_were_made():
    found = list(mutants.mutants(OPS["tanh"]))
    assert {m.line for m in found} == {2}
    pairs = {(m.kind, m.before, m.after) for m in found}
    assert ("factor dropped", "g * (1 - y * y)", "(g)") in pairs
    assert ("sign flipped", "1 - y * y", "(1) + (y * y)") in pairs


def test_every_wrong_sine_is_named_or_located():
    caught = check(judged("sin"), 1.0)
    assert any(o.located and o.hints[2].endswith("becomes `g * xp.cos(x)`") for o in caught)


@pytest.mark.slow
def test_wrong_rules_of_every_kind_are_named_or_located():
    check(judged("tanh", "sigmoid", "div", "mul", "softmax", "log_softmax", "matmul", "linear", "where"), 0.8)
