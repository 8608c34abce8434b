"""What the tests of the benchmark share: the size of its networks, and how it measures."""

from experiments.bench import __main__ as command
from experiments.bench import case as cases

TINY = {
    **{f"{net}_{k}": v for net in "gd" for k, v in {"width": 16, "depth": 1, "heads": 2}.items()},
    **{"latent": 6, "g_head_width": 12, "cnn_width": 4, "batch": 4},
}


def how(*flags, kinds=cases.KINDS, rounds=2):
    args = command.parser().parse_args(flags)
    args.kinds, args.seconds, args.rounds = kinds, 0, rounds
    return args
