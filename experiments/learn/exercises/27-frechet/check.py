import numpy as np

from experiments.learn.checking import normal, same
from minigan.metrics.frechet import frechet_distance

START_FAILS_WITH = "the distance of two Gaussians with correlated features"


def check(answer):
    m1, m2 = normal(4), normal(4, seed=1)
    v1, v2 = np.exp(normal(4, seed=2)), np.exp(normal(4, seed=3))
    right = np.square(m1 - m2).sum() + np.square(np.sqrt(v1) - np.sqrt(v2)).sum()
    same(
        "the distance of two Gaussians with independent features",
        answer.frechet(m1, np.diag(v1), m2, np.diag(v2)),
        right,
    )
    a, b = normal(4, 4, seed=4), normal(4, 4, seed=5)
    c1, c2 = a @ a.T, b @ b.T
    right = frechet_distance(m1, c1, m2, c2)
    same("the distance of two Gaussians with correlated features", answer.frechet(m1, c1, m2, c2), right, rtol=1e-7)
