"""Pages of Markdown whose code runs: every python block, in order, in one process; a text block is what it prints."""

import ast
import contextlib
import functools
import io
import linecache
import re
from decimal import Decimal
from types import SimpleNamespace

from autograd.registry import OPS

BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.S | re.M)
NUMBER = re.compile(r"(?<![\w.])(± )?(-?\d+(?:\.\d*)?(?:e[-+]\d+)?)(?!\w)")


def run_page(markdown, title, echo=False):
    """Run the page and compare what it prints with what it shows. How many outputs were compared.

    echo: a last line that is an expression is printed, as IPython does.
    The ops that the page defines are forgotten afterwards: another page may use their names.
    """
    known = dict(OPS)
    try:
        return _run(BLOCK.findall(markdown), title, echo)
    finally:
        OPS.clear()
        OPS.update(known)


def _run(blocks, title, echo):
    names = {"__name__": title, "_echo": _echo}
    printed, checked = "", 0
    for number, (kind, body) in enumerate(blocks, 1):
        if kind == "text":  # the output of the block before
            assert agree(printed, body), f"{title} shows\n{body}\nand prints\n{printed}"
            checked += 1
            continue
        file = f"<{title}, block {number}>"
        linecache.cache[file] = len(body), None, body.splitlines(keepends=True), file  # so that inspect finds it
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(_echoed(body) if echo else body, file, "exec"), names)
        printed = out.getvalue()
    return checked


def _echoed(body):
    """The block with its last line, if it is an expression, given to _echo."""
    tree = ast.parse(body)
    if isinstance(last := tree.body[-1], ast.Expr):
        tree.body[-1] = ast.copy_location(ast.parse(f"_echo({ast.unparse(last)})").body[0], last)
    return tree


def _echo(value):
    """Print a value as IPython does: by _repr_pretty_ where there is one."""
    if hasattr(value, "_repr_pretty_"):
        printer = SimpleNamespace(text=functools.partial(print, end=""))
        value._repr_pretty_(printer, False)
    elif value is not None:
        print(repr(value))


def agree(printed, shown):
    """The same text up to the width of columns, and the same numbers up to the rounding that the processor decides."""
    texts = [" ".join(NUMBER.sub("#", text).split()) for text in (printed, shown)]
    pairs = zip(NUMBER.findall(printed), NUMBER.findall(shown), strict=False)
    return texts[0] == texts[1] and all(sign == other and close(a, b, sign) for (sign, a), (other, b) in pairs)


def close(printed, shown, is_an_error):
    """One unit of the last digit, and 1e-7 of the number.

    gradcheck divides its random cotangent by weights that hold 1e6 × the estimated error of a slope, about 1e-4 of the
    slope here. Rounding in exp moves that estimate by some 1e-4 of itself, and so every number printed by some 1e-8.
    An estimate behind "±" is good to its order of magnitude.
    """
    a, b = Decimal(printed), Decimal(shown)
    if is_an_error:
        return b / 10 <= a <= 10 * b
    if not set(".e") & set(printed + shown):
        return a == b
    unit = Decimal(1).scaleb(min(a.as_tuple().exponent, b.as_tuple().exponent))
    return abs(a - b) <= unit + abs(b) / 10**7
