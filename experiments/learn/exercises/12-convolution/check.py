import numpy as np

from experiments.learn.checking import check_rule, normal

START_FAILS_WITH = "the gradient of x is wrong"


def convolution(x, w):
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2], axis=2)
    return np.einsum("nclk,ock->nol", windows, w)


def check(answer):
    check_rule(answer.convolution, convolution, normal(2, 3, 7), normal(4, 3, 3, seed=1))
