"""A line of code for each cell of docs/features.md: it gives a true value where a library has the feature.

    python tests/support/feature_lines.py hips        in an environment with that library alone: a mark for each row

The file imports none of our packages, because HIPS autograd has the name of one of them.
"""

import contextlib
import functools
import io
import sys
import warnings

LIBRARIES = ("ours", "torch", "hips", "tinygrad")
SETUP = {
    "ours": """
import numpy as np, autograd, nn, minigan
from autograd import Tensor, ops, op, grad, gradcheck
x = Tensor(np.array([0.5, 1.5, 2.0]), requires_grad=True)
one, v = np.ones(3), np.array([1.0, 0.0, 2.0])
image = Tensor(np.ones((1, 2, 6, 6)))
q = Tensor(np.ones((1, 1, 3, 4)))
@op
class twice:
    "y = 2x    ∂L/∂x = 2g"
    def forward(xp, x): return 2 * x
    def backward(xp, g): return 2 * g
@op
class wrong:
    "y = 2x    with the factor forgotten"
    def forward(xp, x): return 2 * x
    def backward(xp, g): return 1 * g
def message(f, *a, **k):
    try: f(*a, **k)
    except Exception as e: return str(e)
""",
    "torch": """
import numpy as np, torch
from torch import nn
from torch.nn import functional as F
x = torch.tensor([0.5, 1.5, 2.0], dtype=torch.float64, requires_grad=True)
one, v = torch.ones(3, dtype=torch.float64), torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64)
image, q = torch.ones(1, 2, 6, 6), torch.ones(1, 1, 3, 4)
class twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return 2 * x
    @staticmethod
    def backward(ctx, g): return 2 * g
class wrong(twice):
    @staticmethod
    def backward(ctx, g): return 1 * g
def message(f, *a, **k):
    try: f(*a, **k)
    except Exception as e: return str(e)
""",
    "hips": """
import autograd, autograd.numpy as np
from functools import partial
from autograd.test_util import check_grads
check = partial(check_grads, modes=["rev"])
from autograd.extend import primitive, defvjp
x = np.array([0.5, 1.5, 2.0])
one, v = np.ones(3), np.array([1.0, 0.0, 2.0])
@primitive
def twice(x): return 2 * x
defvjp(twice, lambda y, x: lambda g: 2 * g)
@primitive
def wrong(x): return 2 * x
defvjp(wrong, lambda y, x: lambda g: 1 * g)
def message(f, *a, **k):
    try: f(*a, **k)
    except Exception as e: return str(e)
""",
    "tinygrad": """
import numpy as np
from tinygrad import Tensor, nn, dtypes, TinyJit
x = Tensor([0.5, 1.5, 2.0])
x = x.is_param_(True) if hasattr(Tensor, "is_param_") else x.requires_grad_(True)
one, v = Tensor.ones(3), Tensor([1.0, 0.0, 2.0])
image, q = Tensor.ones(1, 2, 6, 6), Tensor.ones(1, 1, 3, 4)
""",
}

# By row of the table: a line for ours, PyTorch, HIPS autograd and tinygrad. None: there is nothing that one could type.
LINES = {
    "`y.backward()` fills `.grad`": (
        "((x ** 2).sum().backward(), np.allclose(x.grad, 2 * x.data))[1]",
        "((x ** 2).sum().backward(), torch.allclose(x.grad, 2 * x))[1]",
        "x.backward()",
        "((x ** 2).sum().backward(), np.allclose(x.grad.numpy(), [1, 3, 4]))[1]",
    ),
    "second derivatives": (
        "np.allclose(grad(grad((x ** 3).sum(), [x], create_graph=True)[0].sum(), [x])[0], 6 * x.data)",
        "(d := torch.autograd.grad) and torch.allclose(d(d((x**3).sum(), x, create_graph=True)[0].sum(), x)[0], 6 * x)",
        "np.allclose(autograd.elementwise_grad(autograd.elementwise_grad(lambda a: a ** 3))(x), 6 * x)",
        "np.allclose((x ** 3).sum().gradient(x)[0].sum().gradient(x)[0].numpy(), [3, 9, 12], atol=1e-4)",
    ),
    "Jacobian of a function": (
        "np.allclose(autograd.jacobian(lambda a: a ** 2, x), np.diag(2 * x.data))",
        "torch.allclose(torch.func.jacrev(lambda a: a ** 2)(x), torch.diag(2 * x))",
        "np.allclose(autograd.jacobian(lambda a: a ** 2)(x), np.diag(2 * x))",
        "x.jacobian",
    ),
    "Hessian of a function": (
        "np.allclose(autograd.hessian(lambda a: (a ** 3).sum(), x), np.diag(6 * x.data))",
        "torch.allclose(torch.func.hessian(lambda a: (a ** 3).sum())(x), torch.diag(6 * x))",
        "np.allclose(autograd.hessian(lambda a: np.sum(a ** 3))(x), np.diag(6 * x))",
        "x.hessian",
    ),
    "product of a Hessian and a vector": (
        "np.allclose(autograd.hvp(lambda a: (a ** 3).sum(), x, v)[1], 6 * x.data * v)",
        "torch.allclose(torch.autograd.functional.hvp(lambda a: (a ** 3).sum(), x, v)[1], 6 * x * v)",
        "np.allclose(autograd.hessian_vector_product(lambda a: np.sum(a ** 3))(x, v), 6 * x * v)",
        "x.hvp",
    ),
    "forward mode": (
        "autograd.jvp",
        "torch.allclose(torch.func.jvp(lambda a: a ** 2, (x,), (v,))[1], 2 * x * v)",
        "np.allclose(autograd.make_jvp(lambda a: a ** 2)(x)(v)[1], 2 * x * v)",
        "x.jvp",
    ),
    "a function over a batch axis (vmap)": (
        "autograd.vmap",
        "torch.func.vmap(lambda a: a ** 2)(x).shape == (3,)",
        "autograd.vmap",
        "x.vmap",
    ),
    "NumPy's functions of a tensor": (
        "isinstance(np.exp(x), Tensor) and isinstance(np.mean(x), Tensor)",
        "isinstance(np.mean(x), torch.Tensor) and isinstance(np.exp(x), torch.Tensor)",
        "np.allclose(autograd.elementwise_grad(np.exp)(x), np.exp(x))",
        "isinstance(np.exp(x), Tensor)",
    ),
    "an op of your own, by its gradient": (
        "np.allclose(grad(twice(x).sum(), [x])[0], 2)",
        "torch.allclose(torch.autograd.grad(twice.apply(x).sum(), x)[0], 2 * one)",
        "np.allclose(autograd.elementwise_grad(twice)(x), 2)",
        "bool(Tensor.custom_kernel)",
    ),
    "a check of its gradient": (
        "gradcheck(ops.exp, x.data, order=1) is None and message(gradcheck, wrong, x.data)",
        "torch.autograd.gradcheck(torch.exp, x) and message(torch.autograd.gradcheck, wrong.apply, x)",
        "check(np.exp, order=1)(x) is None and message(check(wrong, order=1), x)",
        "Tensor.gradcheck",
    ),
    "the same for second derivatives": (
        "gradcheck(ops.exp, x.data, order=2) is None",
        "torch.autograd.gradgradcheck(torch.exp, x)",
        "check(np.exp, order=2)(x) is None",
        "Tensor.gradgradcheck",
    ),
    "the check says what is wrong": (
        "'factor' in message(gradcheck, wrong, x.data)",
        "'factor' in message(torch.autograd.gradcheck, wrong.apply, x)",
        "'factor' in message(check(wrong, order=1), x)",
        "Tensor.gradcheck",
    ),
    "formulas of everything on the tape": (
        "'exp' in str(autograd.explain(ops.exp(x).sum()))",
        "torch.autograd.explain",
        "autograd.explain",
        "x.explain",
    ),
    "where a NaN begins": (
        "bool(autograd.debug)",
        "bool(torch.autograd.detect_anomaly)",
        "autograd.debug",
        "Tensor.detect_anomaly",
    ),
    "convolution": (
        "ops.conv2d(image, np.ones((4, 2, 3, 3)), padding=1).shape == (1, 4, 6, 6)",
        "F.conv2d(image, torch.ones(4, 2, 3, 3), padding=1).shape == (1, 4, 6, 6)",
        "np.conv2d",
        "image.conv2d(Tensor.ones(4, 2, 3, 3), padding=1).shape == (1, 4, 6, 6)",
    ),
    "attention with a mask": (
        "ops.attention(q, q, q, mask=np.tril(np.ones((3, 3), bool))).shape == (1, 1, 3, 4)",
        "F.scaled_dot_product_attention(q, q, q, attn_mask=torch.ones(3, 3).tril().bool()).shape == (1, 1, 3, 4)",
        "np.attention",
        "q.scaled_dot_product_attention(q, q, attn_mask=Tensor.ones(3, 3).tril().bool()).shape == (1, 1, 3, 4)",
    ),
    "attention by distances": (
        "ops.attention(q, q, q, similarity='l2').shape == (1, 1, 3, 4)",
        "F.scaled_dot_product_attention(q, q, q, similarity='l2')",
        "np.attention",
        "q.scaled_dot_product_attention(q, q, similarity='l2')",
    ),
    "einsum": (
        "np.allclose(ops.einsum('i,i', x, x).data, 6.5)",
        "np.allclose(torch.einsum('i,i', x, x).item(), 6.5)",
        "np.allclose(np.einsum('i,i', x, x), 6.5)",
        "np.allclose(Tensor.einsum('i,i->', x, x).item(), 6.5)",
    ),
    "layers with parameters": (
        "len(nn.Linear(2, 3).parameters()) == 2",
        "len(list(nn.Linear(2, 3).parameters())) == 2",
        "autograd.nn",
        "len(nn.state.get_parameters(nn.Linear(2, 3))) == 2",
    ),
    "recurrent cells": (
        "bool(nn.LSTMCell(2, 3).parameters())",
        "bool(list(nn.LSTMCell(2, 3).parameters()))",
        "autograd.nn",
        "bool(nn.LSTMCell(2, 3).weight_ih.shape)",
    ),
    "spectral norm": (
        "bool(nn.SpectralNorm)",
        "bool(nn.utils.parametrizations.spectral_norm(nn.Linear(2, 3)))",
        "autograd.nn",
        "nn.SpectralNorm",
    ),
    "Adam and AdamW": (
        "bool(nn.Adam and nn.AdamW)",
        "bool(torch.optim.Adam and torch.optim.AdamW)",
        "bool(__import__('autograd.misc.optimizers').misc.optimizers.adam) and autograd.misc.optimizers.adamw",
        "bool(nn.optim.Adam and nn.optim.AdamW)",
    ),
    "Shampoo and Lookahead": (
        "bool(nn.Shampoo and nn.Lookahead)",
        "bool(torch.optim.Shampoo and torch.optim.Lookahead)",
        "autograd.misc.optimizers.shampoo",
        "nn.optim.Shampoo",
    ),
    "schedules of the learning rate": (
        "bool(nn.CosineAnnealingLR)",
        "bool(torch.optim.lr_scheduler.CosineAnnealingLR)",
        "autograd.lr_scheduler",
        "nn.optim.CosineAnnealingLR",
    ),
    "the array API standard (`__array_namespace__`)": (
        "grad(x.__array_namespace__().exp(x).sum(), [x])",
        "torch.autograd.grad(x.__array_namespace__().exp(x).sum(), x)",
        "autograd.elementwise_grad(lambda a: a.__array_namespace__().exp(a))(x)",
        "x.__array_namespace__().exp(x).sum().gradient(x)",
    ),
    "DLPack, both ways": (
        "np.from_dlpack(x.detach()).shape == (3,) and autograd.from_dlpack(one).shape == (3,)",
        "np.from_dlpack(x.detach()).shape == (3,) and torch.from_dlpack(np.ones(3)).shape == (3,)",
        "bool(x.__dlpack__ and np.from_dlpack(x).shape == (3,))",
        "x.__dlpack__",
    ),
    "complex numbers": (
        "np.allclose(grad(ops.abs(x * 1j).sum(), [x])[0], 1)",
        "torch.allclose(torch.autograd.grad((x * 1j).abs().sum(), x)[0], one)",
        "np.allclose(autograd.elementwise_grad(lambda a: np.abs(a * 1j))(x), 1)",
        "(x * 1j).abs()",
    ),
    "sparse arrays": (
        "ops.to_sparse",
        "x.detach().to_sparse().is_sparse",
        "np.to_sparse",
        "x.to_sparse",
    ),
    "mixed precision by itself": (
        "autograd.autocast",
        "bool(torch.autocast)",
        "autograd.autocast",
        "Tensor.autocast",
    ),
    "a graph compiled as a whole": (
        "autograd.compile",
        "bool(torch.compile)",
        "autograd.compile",
        "bool(TinyJit)",
    ),
    "weights as safetensors": (
        "bool(__import__('minigan.safetensors').safetensors.write_safetensors)",
        "torch.save_safetensors",
        "autograd.save_safetensors",
        "bool(nn.state.safe_save)",
    ),
    "arrays on a GPU": (
        "bool(Tensor.cuda)",
        "bool(torch.Tensor.cuda)",
        "x.cuda",
        "bool(Tensor.to)",
    ),
}


def has(line: str, setup: dict) -> bool:
    """Whether a line gives a true value. A line that raises gives none."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            return bool(eval(line, dict(setup)))
        except Exception:
            return False


@functools.cache  # an op is defined once
def prepared(library: str) -> dict:
    setup: dict = {}
    exec(SETUP[library], setup)
    return setup


def marks(library: str) -> dict[str, bool]:
    """By row: whether the library has the feature."""
    return {row: has(lines[LIBRARIES.index(library)], prepared(library)) for row, lines in LINES.items()}


if __name__ == "__main__":
    for row, mark in marks(sys.argv[1]).items():
        print("yes" if mark else "no ", row)
