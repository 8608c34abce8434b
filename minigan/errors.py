"""Exceptions whose message is all that a person needs: the command line prints it, without a traceback."""


class InputError(Exception):
    """Bad input, in one sentence. The command exits with status 2."""


class NoSuchSplit(InputError):
    """The data are there, but have no images of this split."""


class NotIdx(InputError):
    """The file is of another kind than IDX."""


class NumericalError(ArithmeticError):
    """A computation gave wrong numbers, in one sentence. The command exits with status 3."""
