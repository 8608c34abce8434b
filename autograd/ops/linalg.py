"""Matrix products. Leading axes are batches, as in NumPy."""

from autograd.operation import op
from autograd.ops import numerics
from autograd.ops.reduce import as_rows, column_sums


@op
class matmul:
    "Y = A B                    ∂L/∂A = G Bᵀ,   ∂L/∂B = Aᵀ G"

    def forward(xp, a, b):
        if a.ndim < 2 or b.ndim < 2:
            raise ValueError("matmul takes matrices; give a vector an axis of length 1, or use einsum")
        if a.shape[-1] != b.shape[-2]:
            raise ValueError(f"{a.shape[-1]} columns meet {b.shape[-2]} rows{_hint(a, b)}")
        return numerics.matmul(xp, a, b)

    def backward(xp, g, a, b, need):
        return (
            numerics.matmul(xp, g, xp.swapaxes(b, -1, -2)) if need[0] else None,
            numerics.matmul(xp, xp.swapaxes(a, -1, -2), g) if need[1] else None,
        )


def _hint(a, b):
    """What to try where a @ b does not fit."""
    return "; is one of them transposed?" if {*a.shape[-2:]} & {*b.shape[-2:]} else ""


@op
class linear:
    "Y = X Wᵀ + b               ∂L/∂X = G W,   ∂L/∂W = Gᵀ X,   ∂L/∂b = Σ G       X (…, in), W (out, in), b (out)"

    def forward(xp, x, weight, bias):
        if weight.ndim != 2 or x.ndim == 0 or x.shape[-1] != weight.shape[1]:
            wanted = f"(out, {x.shape[-1]})" if x.ndim else "(out, in) and an x (…, in)"
            raise ValueError(f"linear of x {x.shape} needs a weight {wanted}, not {weight.shape}{_hint(x, weight.T)}")
        y = numerics.matmul(xp, as_rows(x), weight.T)
        if bias is not None:
            y = numerics.plus_bias(y, bias)
        return y.reshape(x.shape[:-1] + weight.shape[:1])

    def backward(xp, g, x, weight, need):
        g = as_rows(g)
        return (
            numerics.matmul(xp, g, weight).reshape(x.shape) if need[0] else None,
            numerics.matmul(xp, g.T, as_rows(x)) if need[1] else None,
            g.sum(axis=0) if need[2] else None,
        )

    def fused(xp, g, x, weight, need):
        g = as_rows(g)
        return (
            numerics.matmul(xp, g, weight).reshape(x.shape) if need[0] else None,
            numerics.matmul(xp, g.T, as_rows(x)) if need[1] else None,
            column_sums(xp, g) if need[2] else None,
        )

    def call(apply, x, weight, bias=None):
        return apply(x, weight, bias)


@op
class einsum:
    """Y = Σ A B … by subscripts  ∂L/∂A = the same product with g in the place of A
    subscripts: with an explicit output ("ij,jk->ik"), no ellipsis, and no letter twice in one operand"""

    def forward(xp, *operands, subscripts):
        return xp.einsum(subscripts, *operands, optimize=len(operands) > 2)

    def backward(xp, g, operands, shapes, need, *, subscripts):
        inputs, output = subscripts.split("->")
        terms = inputs.split(",")
        grads = []
        for i, wanted in enumerate(need):
            if not wanted:
                grads.append(None)
                continue
            others = [t for j, t in enumerate(terms) if j != i]
            rest = [x for j, x in enumerate(operands) if j != i]
            long = [c for c, n in zip(terms[i], shapes[i], strict=True) if n != 1]  # an axis of length 1 was stretched
            reachable = "".join(c for c in long if c in output or any(c in t for t in others))
            gi = xp.einsum(",".join([output, *others]) + "->" + reachable, g, *rest)
            sizes = dict(zip(reachable, gi.shape, strict=True))
            keep = tuple(sizes.get(c, 1) for c in terms[i])
            grads.append(xp.broadcast_to(gi.reshape(keep), shapes[i]))  # letters summed away alone: spread g
        return tuple(grads)

    def call(apply, subscripts, *operands):
        subscripts = subscripts.replace(" ", "")
        terms = subscripts.split("->")[0].split(",")
        if "->" not in subscripts or "." in subscripts or any(len(set(t)) != len(t) for t in terms):
            raise ValueError(
                f"einsum {subscripts!r}: write the output (ij,jk->ik), no ellipsis, no letter twice in one operand"
            )
        return apply(*operands, subscripts=subscripts)
