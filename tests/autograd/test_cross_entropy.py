"""Targets of cross_entropy."""

import numpy as np
import pytest

from autograd import Tensor, grad, ops

LOGITS = np.array([[1.0, 2, 3], [0, 0, 1]])


def test_targets_of_any_integer_type_or_a_list():
    """ln Σ eˣ − x[target], by hand."""
    expected = (np.log(np.exp(LOGITS).sum(axis=1)) - LOGITS[[0, 1], [1, 0]]).mean()
    for target in ([1, 0], (1, 0), np.array([1, 0], "uint8"), np.array([1, 0], "int32"), Tensor(np.array([1, 0]))):
        x = Tensor(LOGITS, requires_grad=True)
        y = ops.cross_entropy(x, target)
        (gx,) = grad(y, [x])
        softmax = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(y.data, expected, rtol=1e-14)
        np.testing.assert_allclose(gx, (softmax - np.eye(3)[[1, 0]]) / 2, rtol=1e-13)


@pytest.mark.parametrize(
    "shape, target, error, message",
    [
        ((2, 3), np.zeros((2, 1), int), ValueError, r"a target for each row, \(rows,\), not \(2, 3\) and \(2, 1\)"),
        ((2, 3), np.zeros(1, int), ValueError, "a target for each row"),
        ((2, 3), np.zeros(3, int), ValueError, "a target for each row"),
        ((2, 3), 1, ValueError, "a target for each row"),
        ((2, 4, 3), np.zeros((2, 4), int), ValueError, r"reshape \(B, T, V\) to \(B·T, V\), and its targets \(B, T\)"),
        ((2, 2), np.eye(2), ValueError, "a target for each row"),
        ((3,), np.array(1), ValueError, "takes logits"),
        ((2, 3), np.array([-1, 0]), ValueError, "target -1 is none of the 3 classes, 0 to 2"),
        ((2, 3), np.array([0, 3]), ValueError, "target 3 is none of the 3 classes, 0 to 2"),
        ((2, 3), [0, -100], ValueError, "target -100 is none"),
        ((2, 3), np.zeros(2), TypeError, "integers, not float64"),
        ((2, 3), [True, False], TypeError, "integers, not bool"),
    ],
)
def test_other_targets_are_refused(shape, target, error, message):
    with pytest.raises(error, match=f"in cross_entropy.*{message}"):
        ops.cross_entropy(Tensor(np.ones(shape), requires_grad=True), target)
