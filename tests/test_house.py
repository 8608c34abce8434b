"""The house: imports go down, between the packages and between the floors of autograd, and never in a circle.

Imports are read from the source, those inside functions and under `if TYPE_CHECKING` included.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ["autograd", "nn", "minigan", "experiments"]  # each imports only what stands before it

# The floors of autograd, from the ground up: a file imports only files of floors below its own, or of its own folder.
FLOORS = [
    "autograd.formula",
    "autograd.layout",
    "autograd.source",
    "autograd.modes",
    "autograd.registry",
    "autograd.arrays",
    "autograd.writes",
    "autograd.methods",
    "autograd.tensor",
    "autograd.messages",
    "autograd.engine",
    "autograd.operation",
    "autograd.each",
    "autograd.ops",
    "autograd.interchange",
    "autograd.random",
    "autograd.functional",
    "autograd.drawing",
    "autograd.explain",
    "autograd.play",
    "autograd.gradcheck",
    "autograd.notebook",
    "autograd.accelerate",
    "autograd.__main__",
]


@cache
def modules() -> dict[str, Path]:
    """Every module of the packages by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(modules()[name].read_text(encoding="utf-8"))


def imports(name: str, code: ast.Module) -> set[str]:
    """The modules that a module imports. A name from a package is its module of this name, if there is one."""
    known = modules().keys()
    found = set()
    for node in ast.walk(code):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}: write the whole name of a module, not a relative one"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in known else str(node.module))
    return (found & known) - {name}


@cache
def graph() -> dict[str, set[str]]:
    return {name: imports(name, tree(name)) for name in modules()}


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """The modules of one import circle, or nothing."""
    done: set[str] = set()

    def visit(name: str, trail: list[str]) -> list[str]:
        if name in trail:
            return trail[trail.index(name) :]
        if name in done:
            return []
        for other in sorted(arrows[name]):
            if found := visit(other, [*trail, name]):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(arrows) if (found := visit(name, []))), [])


def package(name: str) -> int:
    return PACKAGES.index(name.split(".")[0])


def floor(name: str) -> int:
    """The floor of a module of autograd; the face of the package stands on top."""
    places = [i for i, floor in enumerate(FLOORS) if name == floor or name.startswith(floor + ".")]
    return places[0] if places else len(FLOORS)


def test_every_module_of_autograd_has_a_floor():
    assert [name for name in modules() if name.startswith("autograd.") and floor(name) == len(FLOORS)] == []


def test_no_module_is_on_an_import_circle():
    assert circle(graph()) == []


def test_imports_between_the_packages_go_down():
    up = [(a, b) for a, others in graph().items() for b in others if package(b) > package(a)]
    assert up == []


def test_imports_between_the_floors_of_autograd_go_down():
    arrows = {a: bs for a, bs in graph().items() if a.startswith("autograd.")}
    up = [(a, b) for a, bs in arrows.items() for b in bs if floor(b) > floor(a) and b != "autograd"]
    assert up == []
    to_the_face = [a for a, bs in arrows.items() if "autograd" in bs]
    assert to_the_face == ["autograd.__main__"] * len(to_the_face)


@pytest.mark.parametrize(
    "name, line",
    [
        ("autograd.arrays", "def f():\n    from autograd.accelerate.cpu import twins"),  # inside a function
        ("autograd.tensor", "from autograd import ops"),
        ("autograd.registry", "import autograd.engine"),
    ],
)
def test_an_import_put_back_is_noticed(name, line):
    arrows = {**graph(), name: graph()[name] | imports(name, ast.parse(line))}
    assert name in circle(arrows)
    assert any(floor(b) > floor(name) for b in arrows[name])


@pytest.mark.parametrize(
    "low, line", [("nn.linear", "from minigan import losses"), ("minigan.step", "import experiments.cli")]
)
def test_an_import_upwards_is_noticed(low, line):
    (high,) = imports(low, ast.parse(line))
    assert package(high) > package(low)


@pytest.mark.parametrize("name", ["minigan.checkpoint", "minigan.track", "minigan.log", "minigan.sampling"])
def test_what_a_run_writes_needs_no_page(name):
    reached, waiting = set(), {name}
    while waiting:
        reached |= waiting
        waiting = set().union(*(graph()[each] for each in waiting)) - reached
    assert not {each for each in reached if each.startswith(("minigan.page", "minigan.report"))}


def test_only_accelerate_asks_for_twins():
    """The words of the fast paths stand in no readable file."""
    words = ("runs_on", "LOOPS", "numba", "cuda_kernel", "launch")
    for name in modules():
        if name.split(".")[0] in ("autograd", "nn", "minigan") and ".accelerate" not in name:
            nodes = list(ast.walk(tree(name)))
            used = {n.id for n in nodes if isinstance(n, ast.Name)}
            used |= {n.attr for n in nodes if isinstance(n, ast.Attribute)}
            assert not used & set(words), name
