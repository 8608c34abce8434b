import numpy as np


def frechet(mean1, cov1, mean2, cov2) -> float:
    cross = np.sqrt(np.diag(cov1) * np.diag(cov2)).sum()
    return ((mean1 - mean2) ** 2).sum() + np.trace(cov1 + cov2) - 2 * cross
