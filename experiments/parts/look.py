"""`python -m experiments.images --data DIR --look`: what there is to train on, as a page and in a few lines.

The pictures are cropped and resized for it, into the cache that the training opens afterwards.
"""

import sys
from collections import Counter
from dataclasses import dataclass
from functools import partial
from html import escape
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

HEADS = 2000  # pictures whose size and format are read: of more, so many that are evenly spaced
SHOWN = 100  # images in the grid
LISTED = 200  # refused pictures that are listed one by one


@dataclass
class Survey:
    """What was found in a folder or an archive."""

    source: Path
    size: int  # of the images
    images: Any  # uint8 (N, size, size) or (N, size, size, 3), by number
    counts: dict[str, int]  # pictures by class, in the order of the labels; {} without classes
    refused: dict[str, str]  # unreadable pictures: why
    others: Counter  # other files by kind
    sizes: Counter  # (width, height) of the pictures whose heads were read
    formats: Counter  # likewise, of their formats and modes

    def lines(self) -> list[str]:
        """The survey in words."""
        colours = "RGB" if len(self.images.shape) == 4 else "grey"
        says = [f"{self.source}: {len(self.images):,} pictures, {self.size} × {self.size} {colours} for training"]
        says.append(f"{_among(self.sizes)}sizes {_most(self.sizes, lambda s: f'{s[0]} × {s[1]}')}")
        if small := sum(n for (w, h), n in self.sizes.items() if min(w, h) < self.size):
            says.append(
                f"{small:,} of {self.sizes.total():,} are smaller than {self.size} pixels, so they are enlarged"
            )
        says.append(f"formats {_most(self.formats, str)}")
        says.append(
            f"{len(self.counts)} classes by sub-folder: {_most(Counter(self.counts), str)}"
            if self.counts
            else "no classes"
        )
        if self.refused:
            says.append(f"{len(self.refused):,} cannot be read; --skip-unreadable trains without them")
        if self.others:
            says.append(f"{self.others.total():,} other files: {_most(self.others, str)}")
        return says


def _among(sizes: Counter) -> str:
    return f"of {HEADS:,} that were looked at: " if sizes.total() == HEADS else ""


def _most(counts: Counter, show: Any, most: int = 8) -> str:
    more = ", …" if len(counts) > most else ""
    return ", ".join(f"{show(item)} ({n:,})" for item, n in counts.most_common(most)) + more


def survey(source: Path, size: int, cache: Path | None) -> Survey:
    """Look at all pictures of a folder, a zip or a tar; InputError where there is none that can be read."""
    from minigan.data.cache import Recipe, cached
    from minigan.data.decoding import opened
    from minigan.data.folder import attempt, label
    from minigan.data.pictures import open_pictures
    from minigan.figures import evenly

    found = cached(source, Recipe(size), cache, skip=True)
    sizes: Counter = Counter()
    formats: Counter = Counter()
    with open_pictures(source) as pictures:
        others = pictures.found.others
        numbers = {name: i for i, name in enumerate(pictures.files)}
        for name in evenly(found.names, HEADS):
            data = attempt({}, name, partial(pictures.read, numbers[name]))
            if data is not None:
                with opened(BytesIO(data), name) as (image, _):
                    sizes[image.size] += 1
                    formats[f"{image.format} {image.mode}"] += 1
    paths = [PurePosixPath(name) for name in found.names]
    labels, _ = label(paths)
    counts = Counter(path.parts[0] for path in paths) if labels is not None else Counter()
    return Survey(source, size, found.images, dict(sorted(counts.items())), found.skipped, others, sizes, formats)


def look(source: Path, size: int, cache: Path | None, out: Path | None) -> int:
    """Print the survey, and write index.html and grid.png into `out`, by default runs/look-NAME."""
    from minigan.figures import enlargement, image_grid, save_image

    seen = survey(source, size, cache)
    out = out or Path("runs") / f"look-{source.resolve().name}"
    shown = seen.images[: min(SHOWN, len(seen.images))]
    save_image(image_grid(shown, scale=enlargement(image_grid(shown).shape[1])), out / "grid.png")
    write_page(seen, out)
    print("\n".join(seen.lines()))
    for name, reason in list(seen.refused.items())[:20]:
        print(f"  {name}: {reason.removeprefix(f'{source}: {name} ')}", file=sys.stderr)
    print(f"look at {out / 'index.html'}")
    return 0


def write_page(seen: Survey, out: Path) -> None:
    from minigan.charts import run_colours
    from minigan.files import write_bytes
    from minigan.page import figure, render, section

    first, *says = seen.lines()
    shown = min(SHOWN, len(seen.images))
    refused = [
        [escape(name), escape(why.removeprefix(f"{seen.source}: {name} "))] for name, why in seen.refused.items()
    ]
    more = f"<p>and {len(refused) - LISTED:,} more</p>" if len(refused) > LISTED else ""
    classes = _table("sub-folder", "pictures", [[escape(k), f"{n:,}"] for k, n in seen.counts.items()])
    sizes = _table("width × height", "pictures", [[f"{w} × {h}", f"{n:,}"] for (w, h), n in seen.sizes.most_common(20)])
    body = [
        f"<header><p class=eyebrow>minigan · before the training</p><h1>{escape(seen.source.resolve().name)}</h1>"
        f"<p class=verdict>{escape(first)}</p></header>",
        section("In words", "<br>".join(escape(line[0].upper() + line[1:]) for line in says)),
        section(f"The first {shown} as they are trained on", figure(out / "grid.png", "In the order of their files")),
        section("Cannot be read", _table("file", "why", refused[:LISTED]) + more if refused else ""),
        section("Classes and sizes", f"<div class=tables>{classes}{sizes}</div>"),
    ]
    page = render(seen.source.resolve().name, "\n".join(body), accent=run_colours(None), scripts=())
    write_bytes(out / "index.html", page.encode(errors="backslashreplace"))


def _table(left: str, right: str, rows: list[list[str]]) -> str:
    body = "".join(f"<tr><th scope=row>{a}</th><td>{b}</td></tr>" for a, b in rows)
    head = f"<tr><th scope=col>{left}</th><td>{right}</td></tr>"
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>" if rows else ""
