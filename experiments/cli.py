"""A command from its arguments to its exit status: errors are one sentence, and the line can be typed again."""

import argparse
import functools
import shlex
import sys
import traceback
from collections.abc import Callable
from pathlib import Path


def run_main(main: Callable[[list[str]], int], shared: bool = False) -> None:
    """Call `main(arguments)` and exit with its status. An error is one sentence on stderr, never a traceback.

    Exit statuses: 1 if a training diverged or a part of the work failed, 2 for bad input, 3 for a failed computation,
    128 + its number after a signal, which is 130 after Ctrl-C. shared: `mpiexec` may start several processes of this
    command, which then share its work; an error in one of them ends all.
    """
    from minigan import ranks
    from minigan.streams import protect

    protect()
    failed = True
    try:
        try:
            ranks.join(shared)
            status = main(sys.argv[1:])
            failed = False
        finally:
            sys.stdout.flush()  # a full disk fails here, and not when nobody hears of it
    except BaseException as e:
        status = report(e)
    ranks.leave(status, failed)
    sys.exit(status)


def report(error: BaseException) -> int:
    """Print an error as one sentence; returns the exit status. One that no input should raise goes on as it is."""
    from autograd.arrays import DeviceError
    from experiments.parts.holding import Stopped
    from minigan import ranks
    from minigan.errors import InputError, NumericalError

    if isinstance(error, Stopped):
        print(error, file=sys.stderr)
        return 128 + error.number
    if isinstance(error, KeyboardInterrupt):  # outside training, which catches Ctrl-C and saves
        print("interrupted", file=sys.stderr)
        return 130
    if isinstance(error, NumericalError):
        print(f"error: {error}", file=sys.stderr)
        return 3
    if isinstance(error, (InputError, DeviceError, OSError)):  # OSError: no space, no permission, a file for a folder
        print(f"error: {error}", file=sys.stderr)
        return 2
    if isinstance(error, MemoryError):
        print("error: not enough memory" + (f": {error}" if str(error) else ""), file=sys.stderr)
        return 2
    if ranks.world().size == 1:
        raise error
    if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):  # by argparse
        return error.code or 0
    traceback.print_exception(error)
    return 1


def without_options(main: Callable[[], None]) -> Callable[[], None]:
    """Decorator: make a function a command that takes no options. --help shows the docstring of its file."""

    @functools.wraps(main)
    def run() -> None:
        program = f"python -m experiments.{Path(main.__code__.co_filename).stem}"

        def without(argv: list[str]) -> int:
            argparse.ArgumentParser(program, description=main.__globals__["__doc__"]).parse_args(argv)
            main()
            return 0

        run_main(without)

    return run


def command_line() -> str:
    """The command as it was typed, so that it can be repeated. A console script is written as the module it runs."""
    spec, script = getattr(sys.modules["__main__"], "__spec__", None), Path(sys.argv[0]).stem
    if spec:
        program = ["-m", spec.name.removesuffix(".__main__")]
    elif script.startswith("minigan-"):
        program = ["-m", "experiments." + script.removeprefix("minigan-").replace("-", "_")]
    else:
        program = sys.argv[:1]
    return shlex.join(["python", *program, *sys.argv[1:]])
