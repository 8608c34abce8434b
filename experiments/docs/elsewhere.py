"""What NumPy, PyTorch and JAX call each op, and where theirs takes or gives something else.

`differs` speaks of the libraries by name. Where it does not name a library, that library's function gives the same
values for the same arguments under the same names; tests/docs/test_elsewhere.py tries that on the examples of the op.
"""

from typing import NamedTuple


class Elsewhere(NamedTuple):
    """Dotted names, "" where the library has no such function, and the differences in a sentence or two."""

    numpy: str
    torch: str
    jax: str
    differs: str = ""

    def agrees(self, library: str) -> bool:
        """Whether the library has the function, with our arguments and values. library: "numpy", "torch" or "jax"."""
        return bool(getattr(self, library)) and LIBRARIES[library] not in self.differs


LIBRARIES = {"numpy": "NumPy", "torch": "PyTorch", "jax": "JAX"}
F = "torch.nn.functional."
NN = "jax.nn."


def everywhere(name: str, differs: str = "") -> Elsewhere:
    """One name in all three libraries."""
    return Elsewhere(f"numpy.{name}", f"torch.{name}", f"jax.numpy.{name}", differs)


def reduction(name: str, torch: str = "", differs: str = "") -> Elsewhere:
    """A reduction: PyTorch calls its options otherwise."""
    torch_says = "PyTorch says dim for axis and keepdim for keepdims."
    return Elsewhere(f"numpy.{name}", f"torch.{torch or name}", f"jax.numpy.{name}", f"{torch_says} {differs}".rstrip())


NO_NUMBERS = "PyTorch takes Tensors alone here, no Python numbers."
METHOD = "NumPy and PyTorch have it as a method of an array; JAX takes the dtype by its place."
LISTS = "NumPy, PyTorch and JAX take one list of arrays, our op the arrays (its face takes a list)."
RESIZE = "JAX names the new shape and the method."
CONV_JAX = "JAX takes strides, paddings as pairs and the layouts by name, and adds no bias."

ELSEWHERE: dict[str, Elsewhere] = {
    # element by element
    "add": everywhere("add"),
    "sub": Elsewhere("numpy.subtract", "torch.sub", "jax.numpy.subtract"),
    "mul": Elsewhere("numpy.multiply", "torch.mul", "jax.numpy.multiply"),
    "div": Elsewhere("numpy.divide", "torch.div", "jax.numpy.divide", "PyTorch takes a Tensor first, no number."),
    "power": Elsewhere("numpy.power", "torch.pow", "jax.numpy.power"),
    "neg": Elsewhere("numpy.negative", "torch.neg", "jax.numpy.negative"),
    "exp": everywhere("exp"),
    "expm1": everywhere("expm1"),
    "log": everywhere("log"),
    "log1p": everywhere("log1p"),
    "square": everywhere("square"),
    "sqrt": everywhere("sqrt", "At 0 the slope is infinite in all of them."),
    "abs": everywhere("abs", "At the kink the slope of JAX is 1, ours is 0."),
    "sin": everywhere("sin"),
    "cos": everywhere("cos"),
    "tanh": everywhere("tanh"),
    "sigmoid": Elsewhere("", "torch.sigmoid", NN + "sigmoid"),
    "softplus": Elsewhere("", F + "softplus", NN + "softplus", "PyTorch is y = x above a threshold."),
    "erf": Elsewhere("", "torch.erf", "jax.scipy.special.erf"),
    "relu": Elsewhere("", "torch.relu", NN + "relu"),
    "leaky_relu": Elsewhere("", F + "leaky_relu", NN + "leaky_relu", "At the kink JAX has the slope 1."),
    "gelu": Elsewhere("", F + "gelu", NN + "gelu", "JAX takes approximate=True or False, and approximates by default."),
    "silu": Elsewhere("", F + "silu", NN + "silu"),
    "bias_gelu": Elsewhere("", "", "", "Elsewhere it is two calls, gelu(x + b)."),
    "bias_sine": Elsewhere("", "", "", "Elsewhere it is two calls, sin(omega * (x + b))."),
    "maximum": everywhere("maximum", NO_NUMBERS),
    "minimum": everywhere("minimum", NO_NUMBERS),
    "clip": everywhere("clip", "At the ends of the interval JAX has half the slope."),
    "where": everywhere("where"),
    "astype": Elsewhere(
        "numpy.astype",
        "torch.Tensor.to",
        "jax.numpy.astype",
        METHOD,
    ),
    # reductions
    "sum": reduction("sum"),
    "mean": reduction("mean"),
    "max": reduction("max", "amax", "Ties share the gradient, as in torch.amax."),
    "min": reduction("min", "amin", "Ties share the gradient, as in torch.amin."),
    "var": reduction("var", "", "Its correction is our ddof, and 1 by default where ddof is 0."),
    "std": reduction("std", "", "Its correction is our ddof, and 1 by default where ddof is 0."),
    "norm": Elsewhere(
        "numpy.linalg.norm",
        "torch.linalg.vector_norm",
        "jax.numpy.linalg.norm",
        "NumPy and JAX make the norm of a matrix of two axes, ours is always √Σ x². PyTorch says dim and keepdim. "
        "At 0 the slope of JAX is NaN, ours is 0.",
    ),
    "cumsum": everywhere("cumsum", "PyTorch says dim for axis."),
    "logsumexp": Elsewhere("", "torch.logsumexp", NN + "logsumexp", "PyTorch says dim and keepdim, and needs the dim."),
    # shapes
    "reshape": everywhere("reshape", "PyTorch takes no bare integer as the shape."),
    "transpose": Elsewhere(
        "numpy.transpose", "torch.permute", "jax.numpy.transpose", "PyTorch says dims; its transpose is our swapaxes."
    ),
    "swapaxes": everywhere("swapaxes", "PyTorch says axis0 and axis1."),
    "broadcast_to": everywhere("broadcast_to", "PyTorch says size for shape."),
    "concatenate": everywhere("concatenate", LISTS),
    "stack": everywhere("stack", LISTS),
    "getitem": Elsewhere("", "", "", "It is x[index] in all of them. PyTorch takes no negative steps."),
    "scatter_add": Elsewhere(
        "numpy.add.at",
        "torch.Tensor.index_put_",
        "jax.numpy.ndarray.at",
        "NumPy and PyTorch (with accumulate=True) write into an array that is there, JAX says x.at[index].add(y); "
        "ours makes a new array of zeros.",
    ),
    "pad": Elsewhere(
        "numpy.pad", F + "pad", "jax.numpy.pad", "PyTorch takes the widths flat, from the last axis on, and value."
    ),
    "flip": everywhere("flip", "PyTorch says dims, and needs them."),
    "roll": everywhere("roll", "PyTorch says shifts and dims."),
    # products
    "matmul": everywhere("matmul"),
    "linear": Elsewhere("", F + "linear", ""),
    "einsum": everywhere("einsum", "NumPy, PyTorch and JAX take the subscripts first, as the face of ours does."),
    # normalisations
    "softmax": Elsewhere("", F + "softmax", NN + "softmax", "PyTorch says dim, and takes one."),
    "log_softmax": Elsewhere("", F + "log_softmax", NN + "log_softmax", "PyTorch says dim, and takes one."),
    "cross_entropy": Elsewhere("", F + "cross_entropy", ""),
    "normalize": Elsewhere(
        "",
        F + "layer_norm",
        NN + "standardize",
        "One op behind our layer_norm and batch_norm. PyTorch names the shape of the last axes in place of axes; "
        "JAX says axis and epsilon, and has no weight and bias.",
    ),
    "spectral_normalize": Elsewhere(
        "",
        "torch.nn.utils.parametrizations.spectral_norm",
        "",
        "PyTorch has it as a wrapper of a module, which also makes the power iteration.",
    ),
    "attention": Elsewhere(
        "",
        F + "scaled_dot_product_attention",
        NN + "dot_product_attention",
        "PyTorch and JAX have the dot product alone. PyTorch says attn_mask; JAX puts the tokens before the heads.",
    ),
    # images
    "conv2d": Elsewhere("", F + "conv2d", "jax.lax.conv_general_dilated", CONV_JAX),
    "conv_transpose2d": Elsewhere("", F + "conv_transpose2d", "jax.lax.conv_transpose", CONV_JAX),
    "conv2d_weight": Elsewhere("", "torch.nn.grad.conv2d_weight", "", "PyTorch takes weight_size second."),
    "unfold": Elsewhere(
        "",
        F + "unfold",
        "jax.lax.conv_general_dilated_patches",
        "JAX says filter_shape, and keeps windows in rows.",
    ),
    "fold": Elsewhere("", F + "fold", ""),
    "avg_pool2d": Elsewhere("", F + "avg_pool2d", "jax.lax.reduce_window", "JAX takes any reduction of windows."),
    "max_pool2d": Elsewhere("", F + "max_pool2d", "jax.lax.reduce_window", "JAX takes any reduction of windows."),
    "upsample_nearest": Elsewhere("", F + "interpolate", "jax.image.resize", f'PyTorch says mode="nearest". {RESIZE}'),
    "upsample_bilinear": Elsewhere(
        "", F + "interpolate", "jax.image.resize", f'PyTorch says mode="bilinear". {RESIZE}'
    ),
    "pixel_shuffle": Elsewhere("", F + "pixel_shuffle", ""),
    "pixel_unshuffle": Elsewhere("", F + "pixel_unshuffle", ""),
}
