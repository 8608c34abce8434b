import numpy as np


def velocity(theta: float, psi: float, gamma: float) -> tuple:
    """(dθ/dt, dψ/dt)"""
    sigma = 1 / (1 + np.exp(-psi * theta))
    return psi, -theta * sigma
