import numpy as np

from experiments.learn.checking import check_rule, normal

START_FAILS_WITH = "the gradient of x is wrong"


def check(answer):
    check_rule(answer.own_swish, lambda x: x * np.exp(x) / (1 + np.exp(x)), normal(3, 4))
