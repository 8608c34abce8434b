"""Functions whose gradient is zero wherever it exists, so they record nothing.

They stand beside the ops so that a rule written for arrays finds the same names when it runs on Tensors.
"""

from autograd.arrays import array_module
from autograd.registry import public
from autograd.tensor import Tensor


def _without_gradient(name):
    def f(x):
        array = x.data if isinstance(x, Tensor) else x
        return Tensor(getattr(array_module(array), name)(array))

    f.__name__ = f.__qualname__ = name
    f.__doc__ = f"NumPy's {name}. Its gradient is zero, so nothing is recorded."
    return public(f)


sign = _without_gradient("sign")
zeros_like = _without_gradient("zeros_like")
ones_like = _without_gradient("ones_like")
