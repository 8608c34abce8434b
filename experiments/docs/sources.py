"""The Markdown that the site is made of: the repository's own pages at their own places, and the generated ones.

A link of a page to another page stays as it is. A link to code leads to a page with that code, a link to any other file
to a copy of the file; a link to nothing is an error.
"""

import posixpath
import re
from dataclasses import dataclass, field
from pathlib import Path

from experiments.docs import api, browser, op_page
from minigan.errors import InputError

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\]|!\[[^\]]*\]\([^)]*\))*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(`{3,})[^\n]*\n.*?^\1\s*$|`[^`\n]+`", re.M | re.S)  # a fence of four holds fences of three
CODE = {".py": "python", ".pyi": "python", ".toml": "toml", ".css": "css", ".js": "js", ".yml": "yaml", ".yaml": "yaml"}
BINARY = {".png", ".html", ".ipynb", ".pdf", ".zip", ".gif", ".svg"}


@dataclass
class Sources:
    """pages: path without its ending's dot -> Markdown. pictures, files: paths in the repository to copy."""

    pages: dict[str, str] = field(default_factory=dict)
    pictures: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    code: set[str] = field(default_factory=set)


def collect() -> Sources:
    """All pages. Raises InputError for a link that leads nowhere."""
    made = Sources()
    own = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    own += [path for path in sorted((ROOT / "docs").rglob("*.md")) if "_site" not in path.parts]
    names = {path.relative_to(ROOT).as_posix() for path in own}
    for path in own:
        name = path.relative_to(ROOT).as_posix()
        made.pages[name] = _linked(path.read_text(encoding="utf-8"), name, names, made)
    for lecture in browser.pages():
        start = f'<a href="../../run/{lecture}.html">Run the code of this lecture in your browser</a>'
        made.pages[f"docs/lectures/{lecture}.md"] += f"\n\n{start}\n"
    for name, op in op_page.library_ops().items():
        made.pages[f"ops/{name}.md"] = _linked(op_page.page(op), f"ops/{name}.md", names, made)
    made.pages["ops/index.md"] = op_page.index()
    modules = api.reference()
    made.pages["api/index.md"] = api.index(modules)
    for of_package in modules.values():
        made.pages |= {f"api/{module}.md": api.page(module, of_module) for module, of_module in of_package.items()}
    made.pages["index.md"] = front(names)
    made.pictures.add("docs/digits.png")
    made.pages |= {f"source/{name or 'root'}.md": _source(name, made) for name in made.code}
    return made


def front(names: set[str]) -> str:
    """The first page: the README's own first paragraph, and where each reader begins."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    paragraph = re.sub(r"\]\((?!http)", "](", text.split("\n\n")[1])
    lectures = [name for name in sorted(names) if re.match(r"docs/lectures/\d", name)]
    teach = "docs/lectures/README.md" if "docs/lectures/README.md" in names else "docs/tour.md"
    others = sorted(n for n in names if n.startswith("docs/") and n.count("/") == 1)
    examples = [n for n in sorted(names) if n.startswith("docs/examples/")]
    rest = [n for n in sorted(names) if n.startswith("docs/lectures/") and n not in lectures and n != teach]
    return "\n\n".join(
        [
            "# minigan",
            paragraph,
            f"**[Learn and teach]({teach})**: lectures that run, with a picture, questions and exercises each.",
            "**[Practise](docs/exercises.md)**: small wrong programs that say what is wrong with them.",
            "**[The ops](ops/index.md)**: every op with its formula, its code, its picture, and its name elsewhere.",
            "**[Reference](api/index.md)**: every public class and function of `autograd`, `nn` and `minigan`.",
            "**[Install, train, generate](README.md)**: the README, from the first command to a trained generator.",
            "![digits drawn by the default run, and beside them by the same command on real MNIST](docs/digits.png)",
            _toctree("Begin", ["README.md", "docs/tour.md", "docs/exercises.md"]),
            _toctree("Lectures", [*([teach] if "lectures" in teach else []), *lectures, *rest]),
            _toctree("Reference", ["ops/index.md", "api/index.md"]),
            _toctree("More", [*(n for n in others if n not in ("docs/tour.md", "docs/exercises.md")), *examples]),
            _toctree("The project", ["CONTRIBUTING.md", "CHANGELOG.md"]),
        ]
    )


def _toctree(caption: str, names: list[str]) -> str:
    listed = "\n".join(name.removesuffix(".md") for name in names)
    return f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```" if names else ""


def _linked(text: str, name: str, names: set[str], made: Sources) -> str:
    """The text with its links as the site needs them; code in fences and backticks is left alone."""
    parts, at = [], 0
    for fence in [*FENCE.finditer(text), None]:
        plain = text[at : fence.start()] if fence else text[at:]
        parts.append(LINK.sub(lambda link: _link(link, name, names, made), plain))
        parts.append(fence[0] if fence else "")
        at = fence.end() if fence else at
    text = "".join(parts)
    return re.sub(r"^```(?:mermaid|jsonc)$", "```text", text, flags=re.M)


def _link(link: re.Match, name: str, names: set[str], made: Sources) -> str:
    bang, text, target = link.groups()
    text = LINK.sub(lambda inner: _link(inner, name, names, made), text)
    if re.match(r"[a-z]+:|#", target):
        return f"{bang}[{text}]({target})"
    path, _, part = target.partition("#")
    place = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
    place = "" if place == "." else place
    if name.startswith("ops/") and place == "ops/index.md":
        return link[0]
    if not (ROOT / place).exists():
        raise InputError(f"{name} links to {target}, and there is no {place}")
    if bang:
        made.pictures.add(place)
        return f"![{text}]({target})"
    if place in names:
        return f"[{text}]({target})"
    if Path(place).suffix in BINARY:
        made.files.add(place)
        return f'<a href="{target}">{text}</a>'
    made.code.add(place)
    up = posixpath.relpath(f"source/{place or 'root'}.md", posixpath.dirname(name) or ".")
    return f"[{text}]({up})"


def _source(name: str, made: Sources) -> str:
    """The page of a file of code, or the list of a folder's files."""
    path = ROOT / name
    if path.is_dir():
        inside = [p.name for p in sorted(path.iterdir()) if p.is_file() and not p.name.startswith(".")]
        linked = {posixpath.basename(n) for n in made.code if posixpath.dirname(n) == name}
        folder = path.name + "/" if name else ""
        items = [f"- [{n}]({folder}{n}.md)" if n in linked else f"- `{n}`" for n in inside]
        return f"{api.ALONE}\n\n# {name or 'The repository'}\n\n" + "\n".join(items or ["Folders alone."]) + "\n"
    fence = "~" * 12
    code = path.read_text(encoding="utf-8")
    return f"{api.ALONE}\n\n# {name}\n\n{fence}{CODE.get(path.suffix, 'text')}\n{code}\n{fence}\n"
