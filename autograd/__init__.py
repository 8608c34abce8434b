"""A minimal reverse-mode autograd engine on NumPy or CuPy arrays, with every gradient written by hand."""

from autograd import ops
from autograd.arrays import DeviceError
from autograd.engine import backward, grad
from autograd.explain import explain, mermaid
from autograd.gradcheck import GradcheckError, gradcheck
from autograd.modes import debug, hook, no_grad, use_fused, use_tf32
from autograd.operation import op
from autograd.tensor import Tensor

__all__ = [
    "DeviceError",
    "GradcheckError",
    "Tensor",
    "backward",
    "debug",
    "explain",
    "grad",
    "gradcheck",
    "hook",
    "mermaid",
    "no_grad",
    "op",
    "ops",
    "use_fused",
    "use_tf32",
]
