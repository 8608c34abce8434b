import numpy as np

from autograd import Tensor, gradcheck, ops
from experiments.learn.checking import normal, same

START_FAILS_WITH = "the penalty of D(x) = ⟨w, x⟩ is wrong"


def check(answer):
    x, w, noise = normal(6, 3), normal(3, seed=1), normal(6, 3, seed=2)
    for s in (0.5, 0.01):  # D is linear, so the difference is exact; 1e-9 allows what its rounding is divided by
        found = answer.r1_by_differences(Tensor(x @ w), Tensor((x + s * noise) @ w), s)
        same("the penalty of D(x) = ⟨w, x⟩", found, np.square(noise @ w).mean())

    def penalty(w):
        logits, moved = (ops.tanh((a * w).sum(axis=1)) for a in (x, x + 0.1 * noise))
        return answer.r1_by_differences(logits, moved, 0.1)

    gradcheck(penalty, w)
