import numpy as np

from autograd import Tensor, gradcheck, ops
from experiments.learn.checking import normal, same

START_FAILS_WITH = "R1 of D(x) = v · tanh(x W) is wrong"


def check(answer):
    x, w, v = normal(5, 3), normal(3, 4, seed=1), normal(4, seed=2)
    slopes = ((1 - np.tanh(x @ w) ** 2) * v) @ w.T  # by hand
    found = answer.r1(lambda x: (ops.tanh(x @ Tensor(w)) * v).sum(axis=1), x)
    same("R1 of D(x) = v · tanh(x W)", found, np.square(slopes).sum(axis=1).mean())
    gradcheck(lambda w, v: answer.r1(lambda x: (ops.tanh(x @ w) * v).sum(axis=1), x), w, v, order=1)
