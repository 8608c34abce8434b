import numpy as np


def spectral_norm(w: np.ndarray, u: np.ndarray, steps: int) -> float:
    """The estimate of σ after some steps from u; no function of np.linalg but `norm` of a vector is needed."""
    norm = np.linalg.norm
    for _ in range(steps):
        v = w.T @ u
        v = v / norm(v)
        u = w @ v
        u = u / norm(u)
    return u @ w @ v
