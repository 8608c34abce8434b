"""Functions whose gradient is zero wherever it exists, so they record nothing.

They stand beside the ops so that a rule written for arrays finds the same names when it runs on Tensors.
"""

import numpy as np

from autograd.arrays import array_module, is_array
from autograd.registry import public
from autograd.tensor import Tensor


def _array(x):
    return x.data if isinstance(x, Tensor) else x if is_array(x) else np.asarray(x)


def _without_gradient(name):
    def f(x):
        return Tensor(_plainly(name, x))

    f.__name__ = f.__qualname__ = name
    f.__doc__ = f"NumPy's {name}. Its gradient is zero, so nothing is recorded."
    return public(f)


def _boolean(name):
    def f(x):
        return _plainly(name, x)

    f.__name__ = f.__qualname__ = name
    f.__doc__ = f"NumPy's {name}: a plain boolean array, as x < 0 is, which has ~, & and |."
    return public(f)


def _plainly(name, x):
    x = _array(x)
    return getattr(array_module(x), name)(x)


sign = _without_gradient("sign")
floor = _without_gradient("floor")
ceil = _without_gradient("ceil")
isnan = _boolean("isnan")
isinf = _boolean("isinf")
isfinite = _boolean("isfinite")
zeros_like = _without_gradient("zeros_like")
ones_like = _without_gradient("ones_like")


@public
def argmax(x, axis=None, keepdims=False):
    """Where the (first) maximum is: integers, so nothing is recorded."""
    x = _array(x)
    return Tensor(array_module(x).argmax(x, axis=axis, keepdims=keepdims))


@public
def argmin(x, axis=None, keepdims=False):
    """Where the (first) minimum is: integers, so nothing is recorded."""
    x = _array(x)
    return Tensor(array_module(x).argmin(x, axis=axis, keepdims=keepdims))


@public
def argsort(x, axis=-1):
    """The places of the elements in rising order along axis, NaN last and equals as they stand. Nothing is recorded."""
    x = _array(x)
    return Tensor(array_module(x).argsort(x, axis=axis, kind="stable"))


@public
def one_hot(x, num_classes=-1):
    """PyTorch's one_hot: integers (…) as rows (…, classes) of 0 and one 1; −1 counts the classes by the largest.

    TypeError unless they are integers; ValueError, on the host, for integers that are no class.
    """
    x = _array(x)
    if x.dtype.kind not in "iu":
        raise TypeError(f"one_hot takes integers, the numbers of the classes, not {x.dtype}")
    xp = array_module(x)
    if xp is np or num_classes < 0:  # a device is not asked: it would have to wait
        low, high = (int(x.min()), int(x.max())) if x.size else (0, num_classes - 1)
        num_classes = high + 1 if num_classes < 0 else num_classes
        if low < 0 or high >= num_classes:
            raise ValueError(f"class {low if low < 0 else high} is none of the {num_classes} classes")
    return Tensor((x[..., None] == xp.arange(num_classes)).astype("int64"))
