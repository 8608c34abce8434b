import numpy as np

from experiments.learn.checking import check_rule, normal, wrong

START_FAILS_WITH = "the gradient of x is wrong"


def check(answer):
    check_rule(answer.logistic, lambda x: np.exp(x) / (1 + np.exp(x)), normal(3, 4))
    if answer.logistic.kept_inputs:
        wrong("the rule is right, but it names x, so the tape keeps x: write it with y alone")
