import numpy as np

from experiments.learn.checking import check_rule, normal

START_FAILS_WITH = "the gradient of x is wrong"


def check(answer):
    check_rule(answer.row_softmax, lambda x: np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True), normal(3, 4))
