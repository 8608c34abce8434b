import numpy as np


def adam(theta, g, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    """The new (theta, m, v) after step t = 1, 2, …"""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    mean = m / (1 - beta1**t)
    square = v / (1 - beta2**t)
    return theta - lr * mean / (np.sqrt(square) + eps), m, v
