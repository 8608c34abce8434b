"""Losses made of ops: the mean over all elements, as in PyTorch. Cross-entropy is an op of its own."""

from autograd.ops.elementwise import softplus, square
from autograd.ops.numerics import real
from autograd.ops.reduce import mean
from autograd.registry import public
from autograd.tensor import Tensor


def _alike(name, input, target):
    """Both as floating-point numbers, because integers would wrap around. ValueError unless they have one shape: a
    target of another one would be broadcast, and the loss a mean over pairs that do not belong together."""
    input, target = (x if isinstance(x, Tensor) else Tensor(x) for x in (input, target))
    if input.shape != target.shape:
        raise ValueError(f"{name} of {input.shape} and a target of {target.shape}: give both one shape")
    return real(input), real(target)


@public
def mse_loss(input, target):
    """y = mean (input − target)²

    ValueError unless both have one shape.
    """
    input, target = _alike("mse_loss", input, target)
    return mean(square(input - target))


@public
def binary_cross_entropy_with_logits(input, target):
    """y = mean (ln(1 + eˣ) − x t), x the logits and t their targets from 0 to 1: −ln of the probability of t

    ValueError unless both have one shape.
    """
    input, target = _alike("binary_cross_entropy_with_logits", input, target)
    return mean(softplus(input) - input * target)
