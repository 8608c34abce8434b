import numpy as np

from autograd import Tensor, grad, ops
from experiments.learn.checking import normal, same, wrong

START_FAILS_WITH = "the step of G is wrong"


def softmax(s):
    e = np.exp(s - s.max())
    return e / e.sum()


def check(answer):
    s, d = normal(5), normal(5, seed=1)
    x = Tensor(s, requires_grad=True)
    (slope,) = grad(-(ops.softmax(x) * d).sum(), [x])
    same("the step of G", answer.step(s, d, 0.3), s - 0.3 * slope)
    p = np.array([0.4, 0.3, 0.2, 0.1])
    still = keeps_up = np.zeros(4)
    d = np.log(p) - np.log(softmax(still))
    for _ in range(1000):
        still = answer.step(still, d, 1.0)
        keeps_up = answer.step(keeps_up, np.log(p) - np.log(softmax(keeps_up)), 1.0)
    if not softmax(still)[0] > 0.99:
        wrong(f"against a D that stands still, G should collapse onto one point; it makes {softmax(still).round(2)}")
    same("what G makes against a D that keeps up", softmax(keeps_up), p, rtol=1e-6)
