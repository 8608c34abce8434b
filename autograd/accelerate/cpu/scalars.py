"""Functions of one float32 number, for the innermost loops."""

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from autograd.accelerate.cpu.compiling import each
from autograd.ops.numerics import LEAST_EXPONENT

F = np.float32
U = np.uintp  # an index that cannot be negative, for arrays that are read as one row of numbers
LEAST = F(LEAST_EXPONENT)  # below it exp and sigmoid are 0, so that no product becomes denormal


@intrinsic
def _bits(typing, x):
    """The bits of a float32 as an int32."""
    return numba.int32(numba.float32), lambda context, builder, signature, args: builder.bitcast(
        args[0], ir.IntType(32)
    )


@intrinsic
def _from_bits(typing, i):
    """The float32 of 32 bits."""
    return numba.float32(numba.int32), lambda context, builder, signature, args: builder.bitcast(
        args[0], ir.FloatType()
    )


@intrinsic
def larger(typing, a, b):
    """The larger of two numbers, any number if one is NaN: so a maximum may be taken in all lanes at once."""

    def build(context, builder, signature, args):
        flags = ("nnan", "nsz")
        return builder.select(builder.fcmp_ordered(">", *args, flags=flags), *args, flags=flags)

    return numba.float32(numba.float32, numba.float32), build


@each
def exp(x):
    """eˣ = 2ⁿ eʳ, |r| ≤ ½ ln 2: a polynomial (Cephes, expf), and n straight into the exponent. Within 1e-7 of eˣ."""
    small = x < LEAST
    x = LEAST if small else x
    x = F(88.0) if x > F(88.0) else x
    shifted = x * F(1.44269504) + F(12582912.0)  # 1.5 · 2²³: its last bits now hold the nearest integer n
    n = shifted - F(12582912.0)
    r = x - n * F(0.693359375)
    r = r - n * F(-2.12194440e-4)
    p = F(1.9875691500e-4)
    p = p * r + F(1.3981999507e-3)
    p = p * r + F(8.3334519073e-3)
    p = p * r + F(4.1665795894e-2)
    p = p * r + F(1.6666665459e-1)
    p = p * r + F(5.0000001201e-1)
    p = p * r * r + r + F(1.0)
    return F(0.0) if small else p * _from_bits((_bits(shifted) + np.int32(127)) << np.int32(23))


@each
def sigmoid(x):
    s = F(1.0) / (F(1.0) + exp(-x))
    return F(0.0) if x < LEAST else s
