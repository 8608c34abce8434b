import numpy as np

from experiments.learn.checking import check_rule, normal

START_FAILS_WITH = "the gradient of x is wrong"


def check(answer):
    check_rule(answer.rms_norm, lambda x: x / (np.square(x).mean(axis=-1, keepdims=True) + 1e-5) ** 0.5, normal(3, 5))
