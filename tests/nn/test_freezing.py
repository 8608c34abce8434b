"""Parameters without a gradient, frozen or beside the path of the loss: they stay as they are, as in PyTorch."""

import numpy as np
import pytest

import nn
from autograd import Tensor, accelerate, ops

OPTIMISERS = [
    ("SGD", {"lr": 0.1, "weight_decay": 0.5}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.5}),
    ("Adam", {"lr": 0.1}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.5}),
]


def array(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.fixture(params=[None, "cpu"])
def twins(request):
    before = "cpu" if accelerate.in_use("cpu") else None
    accelerate.use(request.param)
    yield
    accelerate.use(before)


@pytest.mark.parametrize("name, options", OPTIMISERS)
def test_a_frozen_layer_stays(name, options, twins):
    """As in fine-tuning: all parameters are given to the optimiser, and some of them are frozen."""
    model = nn.Sequential(nn.Linear(2, 3), ops.tanh, nn.Linear(3, 1))
    for p in model[0].parameters():
        p.requires_grad = False
    before = model.state_dict()
    optimizer = getattr(nn, name)(model.parameters(), **options)
    for _ in range(3):
        optimizer.zero_grad()
        model(Tensor(np.ones((4, 2), "float32"))).sum().backward()
        nn.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    for key, a in model.state_dict().items():
        assert np.array_equal(a, before[key]) == key.startswith("layers.0")


def test_zero_grad_forgets_the_gradient_of_a_parameter_that_is_frozen_just_now():
    """As where D is frozen while G is trained: afterwards its gradients start from nothing."""
    model = nn.Linear(2, 1)
    optimizer = nn.SGD(model.parameters(), lr=0.1)
    x = Tensor(np.ones((1, 2), "float32"))
    for _ in range(2):
        model(x).sum().backward()
        assert model.weight.grad.tolist() == [[1, 1]] and model.bias.grad.tolist() == [1]
        optimizer.step()
        for p in model.parameters():
            p.requires_grad = False
        optimizer.zero_grad()
        for p in model.parameters():
            p.requires_grad = True
            assert p.grad is None


@pytest.mark.parametrize("name, options", OPTIMISERS)
def test_without_a_gradient_a_parameter_does_what_torchs_does(name, options):
    """Neither decayed nor moved by its momentum; Adam's count of steps is the same where the gaps come at the end."""
    torch = pytest.importorskip("torch")
    ours = [nn.Parameter(array(3, seed=i)) for i in range(3)]
    theirs = [torch.tensor(array(3, seed=i), requires_grad=True) for i in range(3)]
    optimizer, other = getattr(nn, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    for t in range(5):
        # The first has a gradient in every step, the second in the first three, the third never.
        gradients = [array(3, seed=10 + t), array(3, seed=20 + t) if t < 3 else None, None]
        for p, g in zip(theirs, gradients, strict=True):
            p.grad = None if g is None else torch.tensor(g)
        optimizer.step(gradients)
        other.step()
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name, options", OPTIMISERS)
def test_moments_without_a_gradient_stay_too(name, options, twins):
    parameters = [nn.Parameter(array(3, seed=i).astype("float32")) for i in range(2)]
    optimizer = getattr(nn, name)(parameters, **options)
    optimizer.step([array(3, seed=2).astype("float32"), array(3, seed=3).astype("float32")])
    before = {key: a.copy() for key, a in optimizer.state().items()}
    weights = optimizer.flat.data.copy()
    optimizer.step([array(3, seed=4).astype("float32"), None])
    for a, b in [*((optimizer.state()[key], before[key]) for key in before), (optimizer.flat.data, weights)]:
        np.testing.assert_array_equal(a[3:], b[3:])
        assert (a[:3] != b[:3]).all()


def test_a_copy_is_frozen_where_the_model_is_and_of_the_same_classes():
    class Scale(nn.Parameter):
        pass

    class Statistics(nn.Buffer):
        pass

    model = nn.Module()
    model.layer, model.scale, model.seen = nn.Linear(2, 3), Scale(np.ones(2)), Statistics(np.ones(2))
    model.layer.weight.requires_grad = False
    model.scale.requires_grad = False
    for copied in (model.copy(), model.copy().copy()):
        assert not copied.layer.weight.requires_grad and copied.layer.bias.requires_grad
        assert type(copied.scale) is Scale and type(copied.seen) is Statistics
        assert not copied.scale.requires_grad
    assert not nn.EMA(nn.Sequential(model.layer)).model[0].weight.requires_grad


def test_a_parameter_can_be_made_frozen():
    assert not nn.Parameter(np.ones(2), requires_grad=False).requires_grad
    assert nn.Parameter(np.ones(2)).requires_grad


# What an optimiser refuses


def test_parameters_of_several_dtypes_are_refused():
    parameters = [nn.Parameter(np.ones(2)), nn.Parameter(np.ones(2, "float32"))]
    with pytest.raises(TypeError, match="the parameters are float32 and float64: give all of them one dtype"):
        nn.Adam(parameters)
    assert [p.dtype for p in parameters] == [np.float64, np.float32]


def test_a_second_optimiser_of_the_same_parameters_is_named():
    model = nn.Linear(1, 1)
    first = nn.Adam(model.parameters())
    nn.SGD(model.parameters())
    with pytest.raises(RuntimeError, match="or by another optimiser"):
        first.step([np.ones((1, 1), "float32"), None])
