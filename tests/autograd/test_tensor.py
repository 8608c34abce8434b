"""What becomes a Tensor, what may be set on it, and what it refuses."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tensors import leaf, vector

import nn
from autograd import Tensor, backward, grad, no_grad, ops


class OnlyDlpack:
    def __dlpack__(self, **options):
        return np.arange(3.0).__dlpack__(**options)

    def __dlpack_device__(self):
        return (1, 0)


class OnlyArray:
    def __array__(self, dtype=None, copy=None):
        return np.arange(3.0)


@pytest.mark.parametrize("foreign", [OnlyDlpack(), OnlyArray(), [0.0, 1.0, 2.0], memoryview(np.arange(3.0))])
def test_foreign_arrays_become_arrays_of_numbers(foreign):
    assert Tensor(foreign).dtype == np.float64 and Tensor(foreign).data.tolist() == [0, 1, 2]
    x = vector(1.0, 1.0, 1.0)
    for create_graph in (False, True):  # an op keeps it for its rule
        np.testing.assert_array_equal(
            np.array(grad((x * foreign).sum(), [x], create_graph=create_graph)[0].data), [0, 1, 2]
        )


@pytest.mark.parametrize(
    "other", [None, pytest.param(object(), id="object"), "abc", [[1], [1, 2]], [None, 1.0]], ids=str
)
def test_what_is_no_array_of_numbers_is_refused(other):
    with pytest.raises(TypeError, match="is not an array of numbers"):
        Tensor(other)


def test_a_tensor_of_one_number_has_formats():
    loss = Tensor(np.array(1.23456))
    assert f"{loss:.3f}" == "1.235" and f"{loss:>8.1e}" == " 1.2e+00" and f"{loss}" == str(loss)
    with pytest.raises(ValueError, match="size 1"):
        f"{Tensor([1.0, 2.0]):.3f}"


def test_only_leaves_are_copied():
    x = vector(1.0, 2.0)
    other = copy.deepcopy(x)
    assert other.requires_grad and other.data is not x.data and other.data.tolist() == [1, 2]
    assert not copy.deepcopy(Tensor(1.0)).requires_grad
    with pytest.raises(TypeError, match=r"only leaves are copied, and this is a result of sum: copy x.detach\(\)"):
        copy.deepcopy({"loss": x.sum()})
    assert pickle.loads(pickle.dumps(x.detach())).data.tolist() == [1, 2]
    with pytest.raises(TypeError, match=r"only leaves are copied, and this is a result of sum: copy x.detach\(\)"):
        pickle.dumps({"loss": x.sum()})


def test_a_shallow_copy_is_at_the_same_place_on_the_tape():
    x = vector(1.0, 2.0)
    y = copy.copy(x * x)
    assert grad(y.sum(), [copy.copy(x)])[0].tolist() == [2, 4]


AFTER_A_PICKLE = """
import pickle, sys
import numpy as np
import nn
from autograd import Tensor, grad

x, frozen, constant, layer = pickle.load(sys.stdin.buffer)
assert x.requires_grad and not frozen.requires_grad and not constant.requires_grad
y = (x * x).sum()
assert x.node.id < y.node.id
assert grad(y, [x])[0].tolist() == [2, 4]
y.backward()
assert x.grad.tolist() == [2, 4]

before = [p.data.copy() for p in layer.parameters()]
layer(np.ones((4, 2), "float32")).sum().backward()
nn.SGD(layer.parameters(), 0.1).step()
for p, old in zip(layer.parameters(), before, strict=True):
    np.testing.assert_allclose(p.data, old - 0.4, rtol=1e-5)
"""


def test_leaves_are_trained_in_the_process_that_unpickles_them():
    """A process that has made many nodes gives large numbers to the next ones."""
    for _ in range(1000):
        vector(1.0)
    leaves = vector(1.0, 2.0), nn.Parameter(np.ones(2)).requires_grad_(False), Tensor(1.0), nn.Linear(2, 3)
    command = [sys.executable, "-W", "error", "-c", AFTER_A_PICKLE]
    done = subprocess.run(command, input=pickle.dumps(leaves), capture_output=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr.decode()


def test_a_pickle_keeps_no_gradient_and_makes_one_of_one():
    x = vector(1.0, 2.0)
    x.sum().backward()
    one, two = pickle.loads(pickle.dumps([x, x]))
    assert one is two and one.grad is None and one.requires_grad


def test_a_leaf_that_is_frozen_for_a_while():
    x = vector(1.0, 2.0, 3.0)
    y = (x * x).sum()
    y.backward()
    x.requires_grad_(False)
    assert x.grad is None and not (x * x).requires_grad
    x.requires_grad_(True)
    assert x.grad.tolist() == [2, 4, 6] and grad(y, [x])[0].tolist() == [2, 4, 6]
    y.backward()
    assert x.grad.tolist() == [4, 8, 12]


def test_a_leaf_may_get_other_data_while_it_is_frozen():
    x = vector(1.0, 2.0, 3.0)
    x.sum().backward()
    x.requires_grad_(False)
    x.data = np.ones((2, 2), "float32")
    x.requires_grad_(True)
    assert x.grad is None
    (gx,) = grad((x * x).sum(), [x])
    assert gx.shape == (2, 2) and gx.dtype == np.float32


def test_a_recorded_value_is_not_assigned_in_place():
    w, b = vector(1.0, 2.0, 3.0), Tensor(np.zeros(3))
    with pytest.raises(RuntimeError, match=r"the value is recorded.*ops.where\(.*ops.stack.*ops.scatter_add"):
        b[0] = (w * 2).sum()
    assert (b.data == 0).all()
    with no_grad():
        b[0] = (w * 2).sum()
    assert b.data.tolist() == [12, 0, 0]


def test_node_and_requires_grad_are_named():
    with pytest.raises(TypeError, match="positional argument"):
        Tensor([1.0], True)


def test_data_of_a_leaf_keeps_its_kind():
    a = vector(1.0, 2.0)
    with pytest.raises(TypeError, match="this Tensor requires gradients, so its data cannot become int64"):
        a.data = np.array([1, 2])
    a.data = np.ones((3, 1), "float32")
    (ga,) = grad((a * a).sum(), [a])
    assert ga.shape == (3, 1) and ga.dtype == np.float32


def test_gradients_of_leaves_fit():
    x = vector(1.0, 2.0)
    with pytest.raises(ValueError, match=r"the gradient of a leaf of shape \(2,\) is an array of this shape, or None"):
        x.grad = np.ones(3)
    x.grad = Tensor([1.0, 1.0])  # its array
    assert type(x.grad) is np.ndarray
    (x * 2).sum().backward()
    np.testing.assert_array_equal(x.grad, [3, 3])
    x.data = np.ones(2)
    assert x.grad is not None
    x.data = np.ones(3)
    assert x.grad is None
    (x * 2).sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 2, 2])


def test_results_stay_recorded():
    y = vector(1.0) * 2
    y.requires_grad = True  # as it is
    with pytest.raises(RuntimeError, match=r"this is a result of mul, which stays recorded: use x.detach\(\)"):
        y.requires_grad = False
    with pytest.raises(TypeError, match=r"backward\(y\) takes a Tensor, not ndarray"):
        backward(np.ones(1))


def test_only_floating_point_requires_gradients():
    for data in (np.arange(3), np.ones(2, complex), np.ones(2, bool)):
        with pytest.raises(TypeError, match="only floating-point Tensors can require gradients"):
            Tensor(data, requires_grad=True)


def test_in_place_assignment_is_refused_where_it_is_recorded():
    x = leaf(3)
    for t in (x, x * 2):
        with pytest.raises(RuntimeError, match=r"cannot be assigned to in place: .* ops.where\(mask, new, old\)"):
            t[0] = 1.0
    free = x.detach() * 1.0
    free[0] = 7.0
    assert free.data[0] == 7
    y = x
    y += 1  # a new Tensor: x is as it was
    assert y is not x and y.node.op is ops.add


def test_a_tensor_is_an_index_of_an_assignment():
    t = Tensor(np.zeros((2, 3)))
    t[Tensor([0, 1]), Tensor([2, 0])] = 1.0
    t[Tensor([[False, True, False], [False, False, False]])] = Tensor(5.0)
    assert t.data.tolist() == [[0, 5, 1], [1, 0, 0]]


def test_grad_belongs_to_leaves():
    x = leaf(3)
    x.grad = np.ones(3)
    assert x.grad.tolist() == [1, 1, 1]
    for t in (x * 2, Tensor(np.ones(3))):
        with pytest.raises(ValueError, match="only a leaf with requires_grad=True"):
            t.grad = np.ones(3)
    x.requires_grad = False
    assert x.node is None and (x * 2).node is None


class Named(Tensor):
    """A subclass with an attribute, and arguments of its own."""

    def __init__(self, name, data):
        super().__init__(data, requires_grad=True)
        self.name = [name]


def test_a_subclass_is_copied_with_what_it_keeps_beside_the_array():
    x = Named("w", [1.0, 2.0])
    for other in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert type(other) is Named and other.name == ["w"] and other.requires_grad
        assert other.data.tolist() == [1, 2]
    assert copy.copy(x).name is x.name and copy.deepcopy(x).name is not x.name
