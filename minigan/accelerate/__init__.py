"""`autograd.accelerate`, and the kernels that belong to this package: DiffAug, and gathering a batch of images."""

from autograd import accelerate
from autograd.accelerate import in_use, when_compiling

__all__ = ["in_use", "use", "when_compiling"]


def use(device: str | None) -> bool:
    """`autograd.accelerate.use`, with the kernels of this package: "cpu", "cuda", or None for NumPy alone."""
    if device == "cuda":
        from minigan.accelerate import twins  # noqa: F401 - adds them to the table
    return accelerate.use(device)
