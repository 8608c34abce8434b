"""A minimal reverse-mode autograd engine on NumPy or CuPy arrays, with every gradient written by hand."""

from autograd import ops
from autograd.backend import DeviceError
from autograd.engine import backward, debug, grad, hook, no_grad, op, use_fused
from autograd.explain import explain, mermaid
from autograd.gradcheck import GradcheckError, gradcheck
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
]
