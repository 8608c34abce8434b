"""Progress on stderr: a bar on a terminal or in a notebook, and in a file or a pipe a line now and then."""

import io
import sys
from importlib.util import find_spec
from typing import Any

from tqdm import tqdm

SECONDS = 60.0  # between lines, and before the first one


class Progress(tqdm):
    """tqdm on stderr. Where there is no terminal, each display is a line: at most one a minute, and one at the end.

    In a notebook with widgets `Progress(...)` gives the bar of tqdm.auto, which is a widget.
    """

    leave: Any  # tqdm declares no types
    fp: Any

    def __new__(cls, *args: Any, **options: Any) -> Any:
        return widget_bar()(*args, **options) if in_notebook() else super().__new__(cls)

    def __init__(self, *args: Any, **options: Any):
        file = options.setdefault("file", sys.stderr)
        self.terminal, self.patience = is_terminal(file), options.get("delay", 0)
        if not self.terminal:
            options |= {"mininterval": SECONDS, "maxinterval": 10 * SECONDS, "ascii": True, "ncols": 100}
            options |= {"delay": SECONDS, "dynamic_ncols": False}
        super().__init__(*args, **options)

    @staticmethod
    def status_printer(file: Any) -> Any:
        if is_terminal(file):
            return tqdm.status_printer(file)

        def line(text: str) -> None:
            if text.strip():
                file.write(text.strip() + "\n")
                file.flush()

        return line

    @classmethod
    def write(cls, s: str, file: Any = None, end: str = "\n", nolock: bool = False) -> None:
        """Print a line above the bar; where stderr is no terminal there is no bar to move."""
        if is_terminal(sys.stderr):
            super().write(s, file, end, nolock)
        else:
            print(s, file=file or sys.stdout, end=end)

    def set_description_str(self, desc: str | None = None, refresh: bool | None = True) -> None:
        super().set_description_str(desc, refresh and self.terminal)

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> None:
        super().set_postfix_str(s, refresh and self.terminal)

    def set_total(self, total: int) -> None:
        """Change how many there are in all."""
        self.total = total

    def close(self) -> None:
        if not self.terminal and not self.disable:
            if self.leave and self.n > self.last_print_n and self._time() - self.start_t >= self.patience:
                self.display()
            self.leave, self.fp = False, io.StringIO()  # the last display is a line already: nothing to clear
        super().close()


def widget_bar() -> Any:
    """The class of bars in a notebook."""
    from tqdm.auto import tqdm as automatic

    class Bar(automatic):  # type: ignore[misc, valid-type]
        def set_total(self, total: int) -> None:
            self.total = self.container.children[1].max = total

    return Bar


def in_notebook() -> bool:
    """Whether this runs in a Jupyter kernel that can show widgets."""
    if "ipykernel" not in sys.modules or find_spec("ipywidgets") is None:
        return False
    from IPython import get_ipython

    return type(get_ipython()).__name__ == "ZMQInteractiveShell"


def is_terminal(file: Any) -> bool:
    """Whether this is an open stream to a terminal."""
    try:
        return bool(file.isatty())
    except (AttributeError, ValueError):  # no stderr, or a closed one
        return False
