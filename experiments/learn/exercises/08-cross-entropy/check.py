import numpy as np

from autograd import Tensor, gradcheck
from experiments.learn.checking import normal, same

START_FAILS_WITH = "is wrong"


def check(answer):
    x, p = normal(5, 3), np.random.default_rng(1).dirichlet(np.ones(3), 5)
    probability = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    right = -(p * np.log(probability)).sum() / 5
    same("the value of soft_cross_entropy", answer.soft_cross_entropy(Tensor(x), p), right)
    gradcheck(lambda x: answer.soft_cross_entropy(x, p), x)
