"""Convert the weights of FID's Inception network: python -m experiments.export_inception WEIGHTS.pth inception.h5

WEIGHTS.pth is pt_inception-2015-12-05-6726825d.pth of pytorch-fid (its release fid_weights), or torch-fidelity's file
of the same tensors. It is read without PyTorch, and nothing in it is run. The tensors are kept as they are, under their
names.

Torchvision's inception_v3 is taken too, without its auxiliary classifier. It has the same layers, but was trained on
1,000 classes and with other pools; distances between its features are not FID and do not compare with it. So it is
recorded as another architecture, torchvision-inception-v3, run with torchvision's own pools, and refused wherever the
network of FID is asked for.
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
    from minigan.metrics.inception import FID_2015, PUBLISHED, save_inception
    from minigan.torch_file import load_torch

    if not args.weights.is_file():
        raise InputError(f"{args.weights}: there is no such file")
    if args.out.exists() and not args.out.is_file() or not args.out.absolute().parent.is_dir():
        raise InputError(f"{args.out} must be a file in a directory that is there")
    if args.out.exists() and args.out.samefile(args.weights):
        raise InputError(f"{args.out} would replace the weights themselves")
    digest = checked_digest(args.weights)
    architecture, tensors = sort_out(load_torch(args.weights))
    try:
        save_inception(args.out, tensors, architecture, source=args.weights.name, source_sha256=digest)
    except InputError as e:
        raise InputError(f"{args.weights}: {e}") from e
    values = sum(tensor.size for tensor in tensors.values())
    note = ""
    if architecture != FID_2015:
        note = "; distances between its features are not FID"
    elif not digest.startswith(PUBLISHED):
        note = f"; note that pytorch-fid's own file has a SHA-256 that begins with {PUBLISHED}, this one {digest[:8]}"
    print(f"wrote {args.out}: {architecture}, {len(tensors)} tensors, {values:,} values{note}")
    return 0


def checked_digest(path: Path) -> str:
    """The SHA-256 of a file; InputError if it is not the one that its name ends with, as in …-6726825d.pth."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    named = re.search(r"-([0-9a-f]{8,64})$", path.stem)
    if named and not digest.startswith(named[1]):
        raise InputError(
            f"{path}: damaged or renamed: its SHA-256 begins with {digest[:8]}, not with {named[1]} as the name says"
        )
    return digest


def sort_out(state: "dict[str, np.ndarray]") -> "tuple[str, dict[str, np.ndarray]]":
    """(architecture, its tensors) of a state dict: without what batch norm only counts in training, and without
    torchvision's auxiliary classifier. Whatever else does not belong there is refused by `save_inception`."""
    from minigan.metrics.inception import CLASSES, FID_2015, TORCHVISION, shapes

    classes = state["fc.weight"].shape[:1] if "fc.weight" in state else ()
    architecture = TORCHVISION if classes == (CLASSES[TORCHVISION],) else FID_2015
    known = shapes(architecture)
    tensors = {}
    for name, tensor in state.items():
        layer, _, counter = name.rpartition(".")
        counts = counter == "num_batches_tracked" and f"{layer}.running_mean" in known
        auxiliary = architecture == TORCHVISION and name.startswith("AuxLogits.")
        if not counts and not auxiliary:
            tensors[name] = tensor
    return architecture, tensors


if __name__ == "__main__":
    run_main(main)
