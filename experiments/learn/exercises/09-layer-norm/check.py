import numpy as np

from experiments.learn.checking import check_rule, normal

START_FAILS_WITH = "the gradient of x is wrong"


def row_norm(x):
    return (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)


def check(answer):
    check_rule(answer.row_norm, row_norm, normal(3, 5))
