import numpy as np

from experiments.learn.checking import check_rule, normal

START_FAILS_WITH = "second-order gradient of x is wrong"


def check(answer):
    check_rule(answer.smooth_ramp, lambda x: np.logaddexp(0, x), normal(3, 4))
