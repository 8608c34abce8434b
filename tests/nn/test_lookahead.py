"""Lookahead against its formula, written out for one number; its borders."""

import numpy as np
import pytest
from small_net import Net
from tensors import normal

from autograd import Tensor, grad
from nn import SGD, Adam, Lookahead, Parameter


@pytest.mark.parametrize("k, alpha", [(1, 1.0), (3, 0.5), (5, 0.2)])
def test_it_is_the_formula(k, alpha):
    p = Parameter(normal(4))
    optimizer = SGD([p], lr=0.1)
    lookahead = Lookahead(optimizer.flat, k, alpha)
    fast = slow = p.data.copy()
    for t in range(1, 12):
        g = normal(4, seed=t)
        optimizer.step([g])
        lookahead.step()
        fast = fast - 0.1 * g
        if t % k == 0:
            fast = slow = slow + alpha * (fast - slow)
        np.testing.assert_allclose(p.data, fast, rtol=1e-12)
        np.testing.assert_allclose(lookahead.slow.data, slow, rtol=1e-12)


def test_a_network_stays_the_views_of_its_optimiser():
    net = Net()
    adam = Adam(net.parameters(), lr=0.05)
    lookahead = Lookahead(adam.flat, k=2)
    for _ in range(4):
        adam.step(grad(net(Tensor(normal(3, 4, dtype="float32"))).sum(), net.parameters()))
        lookahead.step()
    np.testing.assert_allclose(adam.flat.data, lookahead.slow.data, rtol=1e-6)
    np.testing.assert_array_equal(np.concatenate([p.data.ravel() for p in net.parameters()]), adam.flat.data)
    adam.flat.data[...] = 7
    lookahead.restart()
    assert (lookahead.slow.data == 7).all()


def test_a_game_that_turns_comes_to_rest():
    """min over x, max over y of x y: steps at once turn outwards, and with Lookahead inwards."""

    def radius(k):
        x, y = Parameter(np.array([1.0])), Parameter(np.array([1.0]))
        optimizer = SGD([x, y], lr=0.3)
        lookahead = Lookahead(optimizer.flat, k or 1, 0.5 if k else 1.0)
        for _ in range(100):
            optimizer.step([y.data.copy(), -x.data])
            lookahead.step()
        return np.hypot(x.data, y.data).item()

    turn = 1 + 0.3j  # what a step multiplies x + i y by
    np.testing.assert_allclose(radius(0), 2**0.5 * abs(turn) ** 100)  # 105
    np.testing.assert_allclose(radius(5), 2**0.5 * abs((1 + turn**5) / 2) ** 20)  # 0.04


def test_it_goes_on_from_its_state():
    """In the middle between two steps back."""
    p, again = Parameter(normal(4)), Parameter(normal(4))
    ours, theirs = (SGD([weights], lr=0.1) for weights in (p, again))
    a, b = (Lookahead(optimizer.flat, 3) for optimizer in (ours, theirs))
    for t in range(8):
        if t == 4:
            again.data[...] = p.data
            b.load_state_dict(a.state_dict())
        for optimizer, lookahead in [(ours, a), (theirs, b)][: 1 + (t >= 4)]:
            optimizer.step([normal(4, seed=t)])
            lookahead.step()
    np.testing.assert_array_equal(p.data, again.data)
    with pytest.raises(ValueError, match="4 slow weights for 2"):
        Lookahead(SGD([Parameter(normal(2))]).flat).load_state_dict(a.state_dict())


def test_it_takes_flat_weights_alone():
    for wrong in (SGD([Parameter(normal(2))]), [Parameter(normal(2))]):
        with pytest.raises(TypeError, match=r"Lookahead\(optimizer.flat, k\)"):
            Lookahead(wrong)


@pytest.mark.parametrize("k, alpha", [(0, 0.5), (5, 0.0), (5, 1.5)])
def test_bad_numbers_are_refused(k, alpha):
    with pytest.raises(ValueError, match=r"k must be at least 1 and alpha in \(0, 1\]"):
        Lookahead(SGD([Parameter(normal(2))]).flat, k, alpha)
