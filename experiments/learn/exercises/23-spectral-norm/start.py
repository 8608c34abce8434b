import numpy as np


def spectral_norm(w: np.ndarray, u: np.ndarray, steps: int) -> float:
    """The estimate of σ after some steps from u; no function of np.linalg but `norm` of a vector is needed."""
    return np.sqrt((w * w).sum())
