"""Check one answer and write the verdict: python -m experiments.learn.judge CHECK ANSWER VERDICT STEPS

It runs in a process of its own, which `runner.py` starts and stops: the answer may loop, crash or fill the memory.
STEPS is how many hints beyond the diagnosis are wanted: 1 for where the mistake is, 2 for the edit that mends it.
"""

import importlib.util
import json
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from autograd import GradcheckError
from experiments.learn.checking import Wrong

MEMORY = 4 << 30  # bytes that an answer may use
FILE = 64 << 20  # bytes that it may write into a file


def judge(check: Path, answer: Path, steps: int) -> dict[str, Any]:
    """The verdict on an answer: its `kind` (passed, wrong or crashed), the words, the hints, and what the check says
    that the start fails with."""
    verdict = {"kind": "passed", "text": "", "hints": [], "start": ""}
    try:
        examiner = load("check", check)
        verdict["start"] = examiner.START_FAILS_WITH
    except Exception as e:
        return verdict | {"kind": "crashed", "text": f"the check itself is wrong: {crash(e, check)}"}
    before = referee()
    try:
        module = load("answer", answer)
        untouched(before)
        examiner.check(module)
        untouched(before)
    except (Wrong, GradcheckError) as e:
        verdict |= {"kind": "wrong", "text": explained(e, answer), "hints": hints(e, steps)}
    except BaseException as e:  # SystemExit too: a student's program may raise anything
        verdict |= {"kind": "crashed", "text": crash(e, answer)}
    return verdict


def load(name: str, path: Path) -> ModuleType:
    """The file as a module. A name that it does not define is a wrong answer, said in words."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # the path ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module

    def missing(attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        raise Wrong(f"{path.name} defines no {attribute}: keep the names of the start")

    module.__dict__["__getattr__"] = missing
    spec.loader.exec_module(module)
    return module


def referee() -> dict[str, Any]:
    """What decides about an answer, by its whole name: the check, its helpers and gradcheck, and their methods."""
    found = {}
    for name, module in list(sys.modules.items()):
        if name == "check" or name.startswith(("experiments.learn.", "autograd.gradcheck")):
            for key, value in vars(module).items():
                found[f"{name}.{key}"] = value
                if isinstance(value, type) and value.__module__ == name:
                    found |= {f"{name}.{key}.{method}": f for method, f in vars(value).items()}
    return found


def untouched(before: dict[str, Any]) -> None:
    """Wrong if the answer put something else in the place of what decides about it."""
    now = referee()
    for name, value in before.items():
        if now.get(name) is not value:
            raise Wrong(f"the answer changes {name}: mend the answer, not its check")


def hints(e: Exception, steps: int) -> list[str]:
    """The steps beyond the diagnosis that an error offers: where the mistake is, and the edit that mends it.

    An entry may be missing, None, or a function that finds it when it is called.
    """
    found, offered = [], getattr(e, "hints", [])
    for i in range(1, 1 + steps):
        try:
            hint = offered[i]
            hint = hint() if callable(hint) else hint
        except Exception:  # a hint that cannot be found must not hide the diagnosis
            hint = None
        found.append(str(hint or ""))
    return found


def explained(e: Exception, answer: Path) -> str:
    """A diagnosis, and the line of the answer if an exception there is behind it."""
    line = line_in(e.__cause__, answer) if e.__cause__ else 0
    return f"{e}\n({answer.name}, line {line})" if line else str(e)


def crash(e: BaseException, answer: Path) -> str:
    """An exception in words: where in the answer it was raised, and what it says."""
    if isinstance(e, SyntaxError) and e.filename == str(answer):
        return f"{answer.name}, line {e.lineno}: this is not Python: {e.msg}\n    {(e.text or '').strip()}"
    line = line_in(e, answer)
    if isinstance(e, SystemExit):
        return f"{answer.name}{f', line {line}' if line else ''}: it ends the program (exit) before it was checked"
    lines = answer.read_text(encoding="utf-8", errors="replace").splitlines()
    where = "the check cannot go on with what it got: "
    if 0 < line <= len(lines):
        where = f"{answer.name}, line {line}:\n    {lines[line - 1].strip()}\n"
    return f"{where}{type(e).__name__}: {str(e)[:2000]}"


def line_in(e: BaseException | None, answer: Path) -> int:
    """The innermost line of the answer that an exception passed through, 0 if none."""
    frames = traceback.extract_tb(e.__traceback__) if e else []
    return next((frame.lineno or 0 for frame in reversed(frames) if frame.filename == str(answer)), 0)


def limit_resources() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    for which, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, FILE)):
        hard = resource.getrlimit(which)[1]
        resource.setrlimit(which, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    limit_resources()
    check, answer, target, steps = sys.argv[1:]
    Path(target).write_text(json.dumps(judge(Path(check), Path(answer), int(steps))), encoding="utf-8")
