"""The numbers of the page: what the poster's runs measured, what ours measure, and how the ablation's rows compare."""

import statistics
from dataclasses import dataclass
from typing import Any

from experiments.parts.jobs import Result
from minigan.log import DISTANCES, distance, last

# From the TensorBoard files that the poster's authors published with their code: the FID of the first epoch, the best
# and the last one. They logged FID divided by the number of batches of the data set; here it is multiplied by it again
# (469 batches on MNIST, 1,583 on CelebA). Which file belongs to which curve is inferred from names and dates.
POSTER: dict[str, dict[str, Any]] = {
    "vitgan": {"epochs": 100, "hours": 1.37, "fid": (358, 118.7, 120.5), "remark": "digits readable, a noisy border"},
    "vanilla": {"epochs": 100, "hours": 1.61, "fid": (315, 210.4, 254.2), "remark": "collapsed onto one glyph"},
    "relu": {"epochs": 50, "hours": 0.26, "remark": "both losses stayed at ln 2: nothing learned"},
    "cnn": {"remark": "samples only, no numbers"},
    "faces": {"epochs": 132, "hours": 12.2, "fid": (297, 281, 296), "remark": "diverged from about epoch 5 on"},
}


@dataclass
class Course:
    """A run's Fréchet distance over its training."""

    key: str  # fid, digit_fid or random_fid
    first: float
    best: float
    best_step: int
    last: float
    record: dict[str, Any]  # the last evaluation

    @property
    def label(self) -> str:
        return DISTANCES[self.key]

    @property
    def ratio(self) -> float | None:
        """The last distance over that between two sets of real images."""
        floor = self.record.get("floor")
        return self.last / floor if floor else None


def course(result: Result | None) -> Course | None:
    """The course of a run, over the distances of the same kind as its last one; None if it was never evaluated."""
    evals = [r for r in result.records if r["kind"] == "eval" and distance(r)] if result else []
    named = distance(last(evals, "eval"))
    if named is None:
        return None
    key = named[0]
    records = [r for r in evals if key in r]
    best = min(records, key=lambda r: r[key])
    return Course(key, records[0][key], best[key], best["step"], records[-1][key], records[-1])


def seconds(result: Result) -> float:
    """How long a run has trained."""
    return max((r.get("seconds", 0.0) for r in result.records), default=0.0)


def seconds_a_step(result: Result) -> float | None:
    """The median over pairs of lines of the log, so that the few with an evaluation or a pause between do not count."""
    train = [r for r in result.records if r["kind"] == "train"]
    pairs = zip(train, train[1:], strict=False)
    paces = [(b["seconds"] - a["seconds"]) / (b["step"] - a["step"]) for a, b in pairs if b["seconds"] > a["seconds"]]
    return statistics.median(paces) if paces else None


@dataclass
class Row:
    """A row of the ablation. `courses`, and the lists made of them, are of the seeds that have finished."""

    name: str
    results: list[Result]
    courses: list[Course]

    @property
    def label(self) -> str:
        return self.courses[0].label if self.courses else ""

    @property
    def distances(self) -> list[float]:
        return [c.last for c in self.courses]

    @property
    def ratios(self) -> list[float]:
        return [c.ratio for c in self.courses if c.ratio is not None]

    def mean(self, key: str) -> float | None:
        """The mean of a figure over the seeds that measured it."""
        values = [c.record[key] for c in self.courses if c.record.get(key) is not None]
        return statistics.fmean(values) if values else None

    def seconds_a_step(self) -> float | None:
        paces = [pace for r in self.results if r.status == "finished" and (pace := seconds_a_step(r))]
        return statistics.median(paces) if paces else None

    def against(self, base: "Row") -> str:
        """Whether all seeds are "better" or "worse" than all of `base`, or else "within"; "" if there are too few."""
        labels = {row.label for row in (self, base) if row.courses}
        if self is base or min(len(self.ratios), len(base.ratios)) < 2 or len(labels) > 1:
            return ""
        if max(self.ratios) < min(base.ratios):
            return "better"
        return "worse" if min(self.ratios) > max(base.ratios) else "within"


def ablation_rows(results: list[Result], names: list[str]) -> list[Row]:
    """The rows of the ablation that have begun, in the order of `names`."""
    rows = []
    for name in names:
        of_row = [r for r in results if r.job.name.rpartition("-")[0] == f"ablation/{name}"]
        courses = [c for r in of_row if r.status == "finished" and (c := course(r))]
        if any(r.records or r.words for r in of_row):
            rows.append(Row(name, of_row, [c for c in courses if c.key == courses[0].key]))
    return rows
