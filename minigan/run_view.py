"""How a run looks in a notebook: RunView("runs/mnist-vitgan-small") as the last line of a cell.

It shows the verdict, the last grid of samples, the curves and the settings. The files are read each time it is shown,
so a run that still trains is shown as far as it is.
"""

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from minigan.curves import curves_png
from minigan.errors import InputError
from minigan.figures import step_of
from minigan.files import why
from minigan.log import last, read_config, read_log
from minigan.page.pieces import embed, figure, plain
from minigan.report.numbers import verdict


class RunView:
    """A run directory to be looked at. `config` and `records` are what its config.json and log.jsonl hold now.

    InputError if it is not a directory.
    """

    def __init__(self, directory: str | Path):
        self.directory = Path(directory)
        if not self.directory.is_dir():
            raise InputError(f"{directory} is not the directory of a run.")

    @property
    def config(self) -> dict[str, Any]:
        """{} where there is none yet; InputError where it is damaged."""
        return read_config(self.directory)

    @property
    def records(self) -> list[dict[str, Any]]:
        """In order of step, of kind "train" or "eval"; [] before the first; InputError where the log is damaged."""
        path = self.directory / "log.jsonl"
        return read_log(path) if path.is_file() else []

    @property
    def last_grid(self) -> Path | None:
        """The picture of the newest samples; None before the first."""
        steps = {step: path for path in self.directory.glob("samples/*.png") if (step := step_of(path)) is not None}
        final = self.directory / "samples.png"
        return steps[max(steps)] if steps else final if final.is_file() else None

    def __repr__(self) -> str:
        try:
            step = last(self.records, "train").get("step")
        except InputError as error:
            return f"<the run in {self.directory}: {error}>"
        return f"<the run in {self.directory}, " + (f"step {step:,}>" if step is not None else "not trained yet>")

    def _repr_html_(self) -> str:
        pieces = (self._verdict, self._grid, self._curves, self._settings)
        return f"<div><b>{escape(self.directory.resolve().name)}</b>{''.join(map(_or_words, pieces))}</div>"

    def _verdict(self) -> str:
        records = self.records
        train = last(records, "train")
        return (f" · step {train['step']:,}" if train else "") + f"<p>{verdict(records)}</p>"

    def _grid(self) -> str:
        path = self.last_grid
        return figure(path, f"Samples of {path.name}") if path else ""

    def _curves(self) -> str:
        records = self.records
        return embed(curves_png(records, self.config.get("variant")), "The curves of the run") if records else ""

    def _settings(self) -> str:
        """The options that the run was resolved to, folded."""
        options = self.config.get("options", {})
        rows = [f"<tr><th>{escape(key)}</th><td>{escape(plain(value))}</td></tr>" for key, value in options.items()]
        command = escape(self.config.get("command") or "")
        table = f"<pre style='font-family: monospace'>{command}</pre><table>{''.join(rows)}</table>"
        return f"<details><summary>{len(rows)} settings</summary>{table}</details>" if rows else ""


def _or_words(piece: Callable[[], str]) -> str:
    """A part of the view. A damaged file costs this part alone, and its place says why."""
    try:
        return piece()
    except Exception as error:
        return f"<p>left out: {escape(why(error))}</p>"
