import numpy as np

from autograd import Tensor, gradcheck
from experiments.learn.checking import normal, same

START_FAILS_WITH = "the value of SLN is wrong"


def right(h, w, gamma_weight, beta_weight):
    gamma, beta = 1 + w @ gamma_weight, w @ beta_weight
    rows = []
    for sample, scale, shift in zip(h, gamma, beta, strict=True):
        rows.append([scale * (t - t.mean()) / np.sqrt(t.var() + 1e-5) + shift for t in sample])
    return rows


def check(answer):
    xs = normal(2, 3, 4), normal(2, 5, seed=1), normal(5, 4, seed=2), normal(5, 4, seed=3)
    same("the value of SLN", answer.self_modulated_norm(*map(Tensor, xs)), right(*xs))
    gradcheck(lambda h, w, a, b: answer.self_modulated_norm(h, w, a, b), *xs)
