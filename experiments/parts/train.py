"""Training a run to its end, and what is said and written when it has ended."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minigan.train import Run

DIVERGED = "training stopped: "  # how the error of a run begins that has diverged


def train(run: "Run") -> int:
    """Train a run that is held, and print how it ended; returns the exit status, 128 + its number after a signal."""
    from minigan.log import describe
    from minigan.non_finite import NonFinite

    try:
        figures = run.train_alone()
    except NonFinite as e:
        print(f"error: {DIVERGED}{e}", file=sys.stderr)
        return 1
    directory = run.directory
    if run.world.first:
        renew_index(directory)
    finished = run.world.same((directory / "samples.h5").exists())
    if run.stop_signal is not None and not finished:
        print(f"stopped and saved at step {run.gan.steps_done}; go on with --resume {directory}", file=sys.stderr)
        return 128 + run.stop_signal
    if figures:
        print(describe(figures))
    print(f"look at {directory / 'samples.png'} and {directory / 'report.html'}")
    return 0


def renew_index(directory: Path) -> None:
    """Write index.html over all runs beside this one, where they lie in a directory named runs.

    The runs of a sweep, of the poster and the like stand on a page of their own, to which it links.
    """
    from minigan.errors import InputError
    from minigan.report.runs import find_runs, find_studies, write_page

    place = directory.parent
    if place.resolve().name != "runs":
        return
    try:
        studies = find_studies(place)
        inside = {page.parent for page in studies}
        runs = [run for run in find_runs(place) if inside.isdisjoint(run.parents)]
        write_page(place / "index.html", runs, "All runs", brief=True, studies=studies)
    except (InputError, OSError) as e:  # nothing of the run is lost
        print(f"{place / 'index.html'} is not renewed: {e}", file=sys.stderr)
