"""The exceptions whose message is all that a person needs."""


class InputError(Exception):
    """Bad input, said in one sentence; the command line prints it and exits with status 2."""


class NoSuchSplit(InputError):
    """The data are there, but they have no images of this split."""


class NumericalError(ArithmeticError):
    """Numbers that came out wrong, said in one sentence; the command line prints it and exits with status 3."""
