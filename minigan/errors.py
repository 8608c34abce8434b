"""The one exception for input a person can mend."""


class InputError(Exception):
    """Bad input, said in one sentence; the command line prints it and exits with status 2."""
