import numpy as np

from autograd import ops
from experiments.learn.checking import normal, same

START_FAILS_WITH = "J v for f(x) = tanh(A x) is wrong"


def check(answer):
    for m in (3, 5):
        a, x, v = normal(m, 3), normal(3, seed=1), normal(3, seed=2)
        right = (1 - np.tanh(a @ x) ** 2) * (a @ v)
        found = answer.jacobian_vector(lambda x, a=a: ops.tanh((x * a).sum(axis=1)), x, v)
        same("J v for f(x) = tanh(A x)", found, right)
