"""What a text names of the project is there: its files, and the names of its modules."""

import importlib
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = r"(?:autograd|nn|minigan|experiments)"
TEXTS = [
    path for package in ("autograd", "nn", "minigan", "experiments", "docs") for path in (ROOT / package).rglob("*")
]
TEXTS = [path for path in [*ROOT.glob("*.md"), *TEXTS] if path.suffix in (".py", ".md", ".cu", ".cuh")]
FILE = re.compile(rf"(?<![\w/.])((?:{PACKAGES}|tests|docs|kernels|loops)/[\w/]+\.(?:py|pyi|md|cu|cuh))\b")
NAME = re.compile(rf"`({PACKAGES}(?:\.\w+)+)`")
MEMBER = re.compile(rf"`(\w+)(?:\([^`]*\))?` of `({PACKAGES}(?:\.\w+)+)`")  # `each(op, calls)` of `autograd.each`


def is_there(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:n]))
        except ImportError:
            continue
        for part in parts[n:]:
            found = getattr(found, part, None)
        return found is not None
    return False


def test_names_are_there():
    gone = []
    for path in TEXTS:
        if path.name == "CHANGELOG.md":  # it tells what was
            continue
        text = path.read_text(encoding="utf-8")
        names = {*NAME.findall(text), *(f"{module}.{name}" for name, module in MEMBER.findall(text))}
        gone += [f"{path.relative_to(ROOT)}: {name}" for name in names if not is_there(name)]
        gone += [f"{path.relative_to(ROOT)}: {name}" for name in FILE.findall(text) if not (ROOT / name).exists()]
    assert not gone, "\n".join(sorted(gone))
