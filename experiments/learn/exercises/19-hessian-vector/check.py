import numpy as np

from autograd import ops
from experiments.learn.checking import normal, same

START_FAILS_WITH = "H v for f(x) = xᵀ A x / 2 is wrong"


def check(answer):
    x, v, a = normal(4), normal(4, seed=1), normal(4, 4, seed=2)
    h = (a + a.T) / 2
    right = h @ v
    same("H v for f(x) = xᵀ A x / 2", answer.hessian_vector(lambda x: (x * (x * a).sum(axis=1)).sum() / 2, x, v), right)
    e = np.exp(np.sin(x))  # f = Σ exp(sin x) has the second derivatives e (cos² x − sin x)
    right = e * (np.cos(x) ** 2 - np.sin(x)) * v
    same("H v for f(x) = Σ exp(sin x)", answer.hessian_vector(lambda x: ops.exp(ops.sin(x)).sum(), x, v), right)
