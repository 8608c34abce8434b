"""A minimal reverse-mode autograd engine on NumPy or CuPy arrays, with every gradient written by hand."""

from autograd import notebook, ops  # noqa: F401 - notebook: how things look in one
from autograd.arrays import DeviceError
from autograd.engine import backward, grad
from autograd.explain import explain, mermaid
from autograd.functional import hessian, hvp, jacobian, vjp
from autograd.gradcheck import GradcheckError, gradcheck
from autograd.interchange import from_dlpack
from autograd.modes import debug, hook, no_grad, use_fused, use_tf32
from autograd.operation import op
from autograd.play import Player, play
from autograd.tensor import Tensor

__all__ = [
    "DeviceError",
    "GradcheckError",
    "Player",
    "Tensor",
    "backward",
    "debug",
    "explain",
    "from_dlpack",
    "grad",
    "gradcheck",
    "hessian",
    "hook",
    "hvp",
    "jacobian",
    "mermaid",
    "no_grad",
    "op",
    "ops",
    "play",
    "use_fused",
    "use_tf32",
    "vjp",
]
