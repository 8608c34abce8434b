import numpy as np


def step(s: np.ndarray, d: np.ndarray, lr: float) -> np.ndarray:
    q = np.exp(s - s.max())
    q = q / q.sum()
    slope = -q * (d - (q * d).sum())
    return s - lr * slope
