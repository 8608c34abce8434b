"""The search for one edit of a wrong rule that makes it right."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from autograd.operation import Op


class Edit(NamedTuple):
    """One edit of the source of a rule."""

    file: str  # the name of the file, without its folder
    line: int
    before: str
    after: str

    @property
    def where(self) -> str:
        return f"look at line {self.line} of {self.file}"

    @property
    def what(self) -> str:
        return f"line {self.line}: `{self.before}` becomes `{self.after}`"


def search(ops: Sequence[Op], agrees: Callable[[], bool], right: Callable[[], bool]) -> Edit | None:
    """The first edit of the rule of one of `ops` with which `agrees()` holds, and then `right()`."""
    return None
