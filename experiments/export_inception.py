"""Convert the weights of FID's Inception network: python -m experiments.export_inception WEIGHTS.pth inception.h5

WEIGHTS.pth is pt_inception-2015-12-05-6726825d.pth of pytorch-fid (its release fid_weights), or torch-fidelity's file
of the same tensors. It is read without PyTorch, and nothing in it is executed. The tensors keep their values and names.
"""

import argparse
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli import run_main
from minigan.errors import InputError

if TYPE_CHECKING:
    import numpy as np


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m experiments.export_inception",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("weights", type=Path, metavar="WEIGHTS.pth", help="a state dict, as PyTorch saved it")
    p.add_argument("out", type=Path, metavar="OUT.h5", help="the HDF5 file to write")
    return p


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    from minigan.metrics.inception import ARCHITECTURE, PUBLISHED, save_inception
    from minigan.torch_file import load_torch

    if not args.weights.is_file():
        raise InputError(f"{args.weights}: there is no such file")
    if (args.out.exists() and not args.out.is_file()) or not args.out.absolute().parent.is_dir():
        raise InputError(f"{args.out} must be a file in an existing directory")
    if args.out.exists() and args.out.samefile(args.weights):
        raise InputError(f"{args.out} would replace the weights themselves")
    digest = checked_digest(args.weights)
    tensors = without_counters(load_torch(args.weights))
    try:
        save_inception(args.out, tensors, source=args.weights.name, source_sha256=digest)
    except InputError as e:
        raise InputError(f"{args.weights}: {e}") from e
    values = sum(tensor.size for tensor in tensors.values())
    note = ""
    if not digest.startswith(PUBLISHED):
        note = f"; note that the SHA-256 of pytorch-fid's own file begins with {PUBLISHED}, this one with {digest[:8]}"
    print(f"wrote {args.out}: {ARCHITECTURE}, {len(tensors)} tensors, {values:,} values{note}")
    return 0


def checked_digest(path: Path) -> str:
    """The SHA-256 of a file; InputError if the name ends with another one, as in …-6726825d.pth."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    named = re.search(r"-([0-9a-f]{8,64})$", path.stem)
    if named and not digest.startswith(named[1]):
        raise InputError(
            f"{path}: damaged or renamed: its SHA-256 begins with {digest[:8]}, not with {named[1]} as its name says"
        )
    return digest


def without_counters(state: "dict[str, np.ndarray]") -> "dict[str, np.ndarray]":
    """The tensors without the counters of batch norm (num_batches_tracked), which only training uses."""
    from minigan.metrics.inception import shapes

    known = shapes()
    counters = {name.replace("running_mean", "num_batches_tracked") for name in known if name.endswith("running_mean")}
    return {name: tensor for name, tensor in state.items() if name not in counters}


def run() -> None:
    """The console script."""
    run_main(main)


if __name__ == "__main__":
    run()
