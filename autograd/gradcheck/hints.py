"""What a failed gradcheck tells, in three steps: what is wrong, which line it is, which edit makes the rule right."""

import functools
from collections.abc import Callable, Sequence

from autograd.gradcheck import repair
from autograd.operation import Op
from autograd.source import source_of

FAILED: dict[tuple[str, ...], list[str]] = {}  # the ops of a check → the versions of their rules that failed


class GradcheckError(AssertionError):
    """A gradient is wrong, or cannot be checked at this point; the message says which and why.

    `hints` tells more, step by step, to a program that decides how much to show.
    """

    def __init__(self, message: str, detailed: str = ""):
        super().__init__(detailed or message)
        self.what = message
        self.level = 1
        self._search: Callable[[], repair.Edit | None] | None = None

    @functools.cached_property
    def edit(self) -> "repair.Edit | None":
        """The one edit of the rule that makes it right; None if there is none, or none was found.

        Found when it is first asked for, by running the rule with many edits, which may take two seconds.
        """
        return self._search() if self._search else None

    @functools.cached_property
    def hints(self) -> list[str]:
        """What is wrong, then the line to change, then the edit. The last two are missing where no edit was found."""
        return [self.what, *([self.edit.where, self.edit.what] if self.edit else [])]

    def explain(self, suspects: "Suspects", agrees: Callable[[], bool], right: Callable[[], bool]) -> None:
        """Give the search for an edit what it needs; see `repair.search`."""
        self._search = functools.partial(repair.search, suspects.ops, agrees, right)

    def show(self, level: int) -> None:
        """Let the message tell the first `level` hints. The first one stands in it already."""
        self.level = level

    def __reduce__(self) -> tuple:
        """In another process it is a message alone: the search needs the rule."""
        return type(self), (self.what, super().__str__())

    def __str__(self) -> str:
        more = self.hints[1 : self.level] if self.level > 1 else []
        return "\n".join([super().__str__(), *(["", *(f"  {hint}" for hint in more)] if more else [])])


class Suspects:
    """The ops whose rules may be wrong: of those that ran, the ones outside this library, if there are any."""

    def __init__(self, ran: Sequence[Op]):
        own = [op for op in ran if not op.__module__.startswith("autograd.")]
        self.ops = own or list(ran)
        self._key = tuple(f"{op.__module__}.{op.name}" for op in self.ops)

    def tries(self) -> int:
        """How many versions of these rules have failed in this process, this one included."""
        versions = FAILED.setdefault(self._key, [])
        now = "\n".join(_source(op) for op in self.ops)
        if now not in versions:
            versions.append(now)
        return len(versions)

    def forget(self) -> None:
        """The rules are right: the next failure is the first one again."""
        FAILED.pop(self._key, None)


def _source(op: Op) -> str:
    return source_of(op.backward) or repr(op.backward.__code__.co_code)  # typed at the prompt, for example
