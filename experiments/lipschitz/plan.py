"""The cells of the experiment: which discriminator, at which learning rate, in which game, with which seed."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from experiments.poster.numbers import Row, course
from experiments.poster.runs import Job, Result
from minigan.config import Config

KINDS = {  # name of a discriminator: what the page calls it, and its flags. The generator is the same in all cells.
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
    "default": Game("the default loss, with R1 and R2", "", Config.d_lr, True),
    "poster": Game("the poster’s loss, without penalty", "--loss nonsaturating --penalty none", Config.d_lr, False),
    "paper": Game(
        "the paper’s loss, with bCR, DiffAug and equalised learning rates, without penalty",
        "--loss nonsaturating --penalty none --bcr 10 --augment translation,cutout,brightness,contrast --augment-p 0.8 "
        "--equalised --g-lr 0.002 --decay constant",
        2e-3,
        False,
    ),
}
MOMENTS = 5  # measurements of the spectra after the first, equally far apart


@dataclass(frozen=True)
class Size:
    """What all cells have in common."""

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
        return f"--steps {self.steps} {width} --eval-every 0 --digits 20000 --spectra-every {every}".split()


def plan(size: Size) -> list[Job]:
    """A job for each cell, rate by rate, so that the first rates are complete first."""
    jobs = []
    for game in size.games:
        _, flags, d_lr, _ = GAMES[game]
        for rate in size.rates_of(game):
            for kind, (_, norm) in KINDS.items():
                for seed in range(size.seeds):
                    words = [*norm.split(), *flags.split(), "--d-lr", f"{rate * d_lr:g}", *size.flags]
                    jobs.append(Job(f"{game}-x{rate}-{kind}-{seed}", "mnist", (*words, "--seed", str(seed))))
    return jobs


def row(results: dict[str, Result], game: str, rate: int, kind: str) -> Row:
    """The seeds of a cell. A seed has a course once it has finished."""
    start = f"{game}-x{rate}-{kind}-"
    seeds = [r for name, r in results.items() if name.rpartition("-")[0] + "-" == start]
    return Row(kind, seeds, [c for r in seeds if r.status == "finished" and (c := course(r))])


def is_whole(cell: Row) -> bool:
    """Whether every seed has finished and was measured against a floor, and there are at least two."""
    return len(cell.ratios) == len(cell.results) >= 2


def verdict(cell: Row, other: Row) -> str:
    """ "better" or "worse" if all seeds of a whole cell lie on one side of all of another, "within" if not.

    "" where a seed of either is missing: what is not finished is not claimed.
    """
    return cell.against(other) if is_whole(cell) and is_whole(other) else ""


def claims(results: dict[str, Result], size: Size) -> list[str]:
    """A sentence for each pair of a tool and the plain D whose seeds do not overlap, with both ranges."""
    said = []
    for game in size.games:
        for rate in size.rates_of(game):
            plain = row(results, game, rate, "plain")
            for kind in KINDS:
                cell = row(results, game, rate, kind)
                if (found := verdict(cell, plain)) in ("better", "worse"):
                    said.append(
                        f"{GAMES[game].title}, {rate} × D’s rate: {KINDS[kind][0]} is {found} than plain with every "
                        f"seed ({spread(cell)} against {spread(plain)})"
                    )
    return said


def spread(cell: Row) -> str:
    """The range over the seeds."""
    from minigan.page.pieces import number

    low, high = min(cell.ratios), max(cell.ratios)
    return f"{number(low)} to {number(high)} × the floor"


def final(cell: Row, key: str) -> list[float]:
    """A figure of the last measurement of each finished seed."""
    found: list[Any] = [
        next((r[key] for r in reversed(result.records) if r["kind"] == "spectra" and key in r), None)
        for result in cell.results
        if result.status == "finished"
    ]
    return [value for value in found if value is not None]
