import numpy as np

from experiments.learn.checking import normal, same

START_FAILS_WITH = "σ of a diagonal matrix after 1 step"


def check(answer):
    diagonal, u = np.diag([3.0, 2.0]), np.array([0.6, 0.8])
    v = diagonal @ u / np.linalg.norm(diagonal @ u)
    same("σ of a diagonal matrix after 1 step", answer.spectral_norm(diagonal, u, 1), np.linalg.norm(diagonal @ v))
    w, u = normal(4, 6), normal(4, seed=1)
    w[0] *= 5  # one singular value far above the others: 200 steps reach it to the last digits
    same("σ after 200 steps", answer.spectral_norm(w, u, 200), np.linalg.svd(w)[1][0])
    same("σ of W/2", answer.spectral_norm(w / 2, u, 200), np.linalg.svd(w)[1][0] / 2)
