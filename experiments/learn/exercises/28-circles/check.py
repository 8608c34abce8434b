import numpy as np

from autograd import Tensor, grad, ops
from experiments.learn.checking import same, wrong

START_FAILS_WITH = "from 1.00 away"


def distance(velocity, steps=2000, dt=0.02):
    """How far (θ, ψ) is from (0, 0) after a while, from (1, 0), by the midpoint rule."""
    at = np.array([1.0, 0.0])
    for _ in range(steps):
        half = at + dt / 2 * np.array(velocity(*at, 1.0))
        at = at + dt * np.array(velocity(*half, 1.0))
    return np.hypot(*at)


def check(answer):
    away = distance(answer.velocity)
    if not away < 0.1:
        wrong(f"with γ = 1 the game that began at θ = 1, from 1.00 away, is {away:.2f} away from its goal after 40 s")
    for theta, psi, gamma in np.random.default_rng(0).uniform(-2, 2, (5, 3)):
        t, p = (Tensor(a, requires_grad=True) for a in (theta, psi))
        loss_d = ops.softplus(p * theta) + gamma / 2 * p * p
        right = -grad(-psi * t, [t])[0], -grad(loss_d, [p])[0]
        same(f"velocity({theta:.3f}, {psi:.3f}, {gamma:.3f})", answer.velocity(theta, psi, gamma), right)
