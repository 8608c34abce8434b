"""The runs of the experiment: which discriminator, at which learning rate, in which game, with which seed."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from experiments.parts.jobs import Job, Result
from experiments.poster.numbers import Row, course
from minigan.numbers import number
from minigan.presets import ADAM

KINDS = {  # name of a discriminator: what the page calls it, and its flags. The generator is the same in all runs.
    "plain": ("plain", "--d-similarity dot --d-norm none"),
    "l2": ("L2", "--d-similarity l2 --d-norm none"),
    "isn": ("ISN", "--d-similarity dot --d-norm isn"),
    "isn-l2": ("ISN + L2", "--d-similarity l2 --d-norm isn"),
    "bound-l2": ("bound + L2", "--d-similarity l2 --d-norm bound"),
}
RATES = (1, 2, 5, 10, 20)  # multiples of D's learning rate


class Game(NamedTuple):
    """What all five discriminators play."""

    title: str  # what the page calls it
    flags: str
    d_lr: float  # D's learning rate at 1 ×
    every: bool  # whether it is played at every rate, or at the first alone


GAMES = {
    "default": Game("the default loss, with R1 and R2", "", ADAM["d_lr"], True),
    "poster": Game("the poster’s loss, without penalty", "--loss nonsaturating --penalty none", ADAM["d_lr"], False),
    "paper": Game(
        "the paper’s loss, with bCR, DiffAug and equalised learning rates, without penalty",
        "--loss nonsaturating --penalty none --bcr 10 --augment translation,cutout,brightness,contrast --augment-p 0.8 "
        "--equalised --g-lr 0.002 --decay constant",
        2e-3,
        False,
    ),
}
REPEATED = (
    " Two tools with the same figures to the last digit count as one: a bound that σ does not reach does nothing, so "
    "its runs are those of L2."
)
MOMENTS = 5  # measurements of the spectra after the first, equally far apart


@dataclass(frozen=True)
class Size:
    """What all runs have in common."""

    steps: int = 1000
    width: int = 64
    seeds: int = 3
    rates: tuple[int, ...] = RATES
    games: tuple[str, ...] = tuple(GAMES)

    def rates_of(self, game: str) -> tuple[int, ...]:
        """The rates at which a game is played."""
        return self.rates if GAMES[game].every else self.rates[:1]

    @property
    def flags(self) -> list[str]:
        width = f"--g-width {self.width} --g-head-width {self.width} --d-width {self.width}"
        every = max(1, self.steps // MOMENTS)
        # By Adam: the rates are multiples of its own, and the question is what the tools do, not the optimiser. Without
        # a level, which would hide whether the game finds the brightness.
        game = "--optimizer adam --no-g-level --digits 20000"
        run = f"--steps {self.steps} --eval-every 0 --spectra-every {every}"
        return [*game.split(), *run.split(), *width.split()]


def plan(size: Size) -> list[Job]:
    """A job for each run, rate by rate, so that the first rates are complete first."""
    jobs = []
    for game in size.games:
        _, flags, d_lr, _ = GAMES[game]
        for rate in size.rates_of(game):
            for kind, (_, norm) in KINDS.items():
                for seed in range(size.seeds):
                    words = [*norm.split(), *flags.split(), "--d-lr", f"{rate * d_lr:g}", *size.flags]
                    jobs.append(Job(f"{game}-x{rate}-{kind}-{seed}", "mnist", (*words, "--seed", str(seed))))
    return jobs


class Cell(Row):
    """The seeds of one D at one rate in one game. A seed that diverged is worse than all that did not."""

    @property
    def diverged(self) -> int:
        return sum(r.status == "diverged" for r in self.results)

    @property
    def finite(self) -> list[float]:
        """The distances over the floor of the seeds that have finished."""
        return super().ratios

    @property
    def ratios(self) -> list[float]:
        """The same, and infinity for each seed that diverged."""
        return self.finite + [math.inf] * self.diverged


def row(results: dict[str, Result], game: str, rate: int, kind: str) -> Cell:
    """The seeds of a cell. A seed has a course once it has finished."""
    seeds = [r for name, r in results.items() if name.rpartition("-")[0] == f"{game}-x{rate}-{kind}"]
    return Cell(kind, seeds, [c for r in seeds if r.status == "finished" and (c := course(r))])


def is_whole(cell: Cell) -> bool:
    """Whether every seed has diverged, or has finished and was measured against a floor; and there are at least two."""
    return len(cell.ratios) == len(cell.results) >= 2


def verdict(cell: Cell, plain: Cell) -> str:
    """ "better" or "worse" if all seeds of a whole cell lie on one side of all of the plain D's, "within" if not.

    "" where a seed of either is missing, because what has not ended is not claimed; and of the plain D itself.
    """
    return cell.against(plain) if cell.name != plain.name and is_whole(cell) and is_whole(plain) else ""


def comparisons(results: dict[str, Result], size: Size) -> Iterator[tuple[str, int, Cell, Cell]]:
    """Every game, rate, tool and plain D that have a verdict."""
    for game in size.games:
        for rate in size.rates_of(game):
            plain = row(results, game, rate, "plain")
            for cell in (row(results, game, rate, kind) for kind in KINDS):
                if verdict(cell, plain):
                    yield game, rate, cell, plain


def claims(results: dict[str, Result], size: Size) -> list[str]:
    """A sentence for each tool in a game, with all the rates at which its seeds do not overlap those of the plain D."""
    rates: dict[tuple[str, str, str], list[str]] = {}
    for game, rate, cell, plain in comparisons(results, size):
        if (found := verdict(cell, plain)) != "within":
            rates.setdefault((game, KINDS[cell.name][0], found), []).append(f"{rate} ×")
    return [
        f"{GAMES[game].title}: {tool} is {found} than plain with every seed at {all_of(there)} D’s rate"
        for (game, tool, found), there in rates.items()
    ]


def all_of(words: list[str]) -> str:
    """The words as a sentence lists them: "a, b and c"."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def by_chance(results: dict[str, Result], size: Size) -> str:
    """How many of the verdicts would be a claim if no tool did anything; "" before the first of them."""
    measured = [
        (game, rate, cell.name if cell.diverged else tuple(cell.ratios))
        for game, rate, cell, _ in comparisons(results, size)
    ]
    made = len(set(measured))
    if not made:
        return ""
    once = math.comb(2 * size.seeds, size.seeds) // 2  # orders of all seeds, for each order in which they separate
    return (
        f"If a tool changed nothing, and seeds were independent, its {size.seeds} seeds would all lie below or all lie "
        f"above the {size.seeds} of the plain D once in {once:,} times. So of the {made} comparisons made here, about "
        f"{made / once:.1f} would separate by chance." + (REPEATED if made < len(measured) else "")
    )


def span(cell: Cell) -> str:
    """The least and the greatest distance over the floor, or the only one."""
    low, high = number(min(cell.finite)), number(max(cell.finite))
    return low if low == high else f"{low} to {high}"


def final(cell: Row, key: str) -> list[float]:
    """A figure of the last measurement of each finished seed."""
    found: list[Any] = [
        next((r[key] for r in reversed(result.records) if r["kind"] == "spectra" and key in r), None)
        for result in cell.results
        if result.status == "finished"
    ]
    return [value for value in found if value is not None]
