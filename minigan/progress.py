"""Progress on stderr: a bar on a terminal, and in a file or a pipe a line now and then."""

import io
import sys
from typing import Any

from tqdm import tqdm

SECONDS = 60.0  # between lines, and before the first one


class Progress(tqdm):
    """tqdm on stderr. Where there is no terminal, each display is a line: at most one a minute, and one at the end."""

    leave: Any  # tqdm declares no types
    fp: Any

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

    def close(self) -> None:
        if not self.terminal and not self.disable:
            if self.leave and self.n > self.last_print_n and self._time() - self.start_t >= self.patience:
                self.display()
            self.leave, self.fp = False, io.StringIO()  # the last display is a line already: nothing to clear
        super().close()


def is_terminal(file: Any) -> bool:
    """Whether this is an open stream to a terminal."""
    try:
        return bool(file.isatty())
    except (AttributeError, ValueError):  # no stderr, or a closed one
        return False
