"""What a twin is: the same op or routine, faster, for the arrays of one module."""

from collections.abc import Callable
from typing import Any

import numpy as np

from autograd.accelerate.each import Each
from autograd.operation import Op

FLOAT32 = np.dtype("float32")


class Twins(dict):
    """Twins by the name of the op, or the dotted name of the routine, that they stand in for."""

    def of(self, op: Any) -> Callable[[type], Op]:
        """Class decorator: a faster form of `op` for some inputs. Its formula and its rule stay the op's own.

        The class has `forward` and `fused` on arrays, as an op has, and `fits(inputs…, *, options)`: whether it takes
        these inputs, all of which are float32 and have elements. Other inputs, float64, second derivatives and
        `use_fused(False)` go the readable way. (Routines keep their twins under `use_fused(False)`.)
        """

        def register(cls: type) -> Op:
            new: Any = Op(type(op.name, (), {**cls.__dict__, "backward": op.backward, "__doc__": op.doc}))
            fits = cls.__dict__["fits"]

            def all_fit(arrays, options):
                if len(arrays) != len(op.inputs) or arrays[0] is None:
                    return False  # a mistake: the op itself raises the error
                for a in arrays:
                    if a is not None and (getattr(a, "dtype", None) != FLOAT32 or a.size == 0):
                        return False
                options = {**op.defaults, **options}
                known = len(options) == len(op.defaults)  # an unknown option: the op itself raises the error
                return known and arrays[0].ndim > 0 and fits(*arrays, **options)

            new.fits = all_fit
            self[op.name] = new
            return new

        return register

    def each(self, op: Any) -> Callable[[type], Each]:
        """Class decorator: many calls of `op` at once, for `autograd.each.each`: see `Each`."""

        def register(cls: type) -> Each:
            new = self[f"{op.name}.each"] = Each(op, cls)
            return new

        return register

    def routine(self, name: str) -> Callable[[Callable], Callable]:
        """Decorator: a faster form of the routine with this dotted name ("nn.optim.adam_update").

        It takes the same arguments, and returns NotImplemented for arguments that it does not take.
        """

        def register(f: Callable) -> Callable:
            self[name] = f
            return f

        return register


CPU = Twins()  # loops compiled by numba
GPU = Twins()  # CUDA kernels
