"""The source of functions, where there is any."""

import inspect
import textwrap
import tokenize
from collections.abc import Callable


def source_of(f: Callable) -> str:
    """The code of a function without its indentation; "" for one that stands in no file, or in one that has changed."""
    try:
        return textwrap.dedent(inspect.getsource(f)).rstrip()
    except (OSError, TypeError, SyntaxError, tokenize.TokenError):
        return ""
