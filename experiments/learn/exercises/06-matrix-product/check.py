import numpy as np

from experiments.learn.checking import check_rule, normal

START_FAILS_WITH = "the gradient of b is wrong"


def product(a, b):
    return np.einsum("...ik,...kj->...ij", a, b)


def check(answer):
    check_rule(answer.product, product, normal(3, 3), normal(3, 3, seed=1))
    check_rule(answer.product, product, normal(2, 4, 3), normal(2, 3, 5, seed=1))
