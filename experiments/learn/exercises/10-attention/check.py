import numpy as np

from experiments.learn.checking import check_rule, normal

START_FAILS_WITH = "the gradient of q is wrong"


def one_head(q, k, v):
    e = np.exp(np.einsum("nd,md->nm", q, k) / np.sqrt(q.shape[1]))
    return (e / e.sum(axis=1, keepdims=True)) @ v


def check(answer):
    check_rule(answer.one_head, one_head, normal(4, 3), normal(5, 3, seed=1), normal(5, 2, seed=2))
