import numpy as np

from experiments.learn.checking import check_rule, normal

START_FAILS_WITH = "the gradient of a is wrong"


def check(answer):
    check_rule(answer.power_step, lambda a, v: a @ v / np.linalg.norm(a @ v), normal(4, 3), normal(3, seed=1))
