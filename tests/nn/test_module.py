"""What belongs to a module is found, wherever it stands, or refused when it is set. And what an optimiser is handed."""

import numpy as np
import pytest

import nn
from autograd import Tensor, grad, ops


def names(value) -> list[str]:
    """The parameters of a module that has this attribute."""
    module = nn.Module()
    module.part = value
    found = [name for name, _ in module.named_parameters()]
    assert len(found) == len(module.parameters()) == len(module.state_dict())
    return found


def weight() -> nn.Parameter:
    return nn.Parameter(np.ones(2, "float32"))


def layer() -> nn.Linear:
    return nn.Linear(2, 2, bias=False)


@pytest.mark.parametrize(
    "make, expected",
    [
        (weight, ["part"]),
        (lambda: [weight(), weight()], ["part.0", "part.1"]),
        (lambda: (weight(),), ["part.0"]),
        (lambda: {"a": weight(), 1: weight()}, ["part.a", "part.1"]),
        (lambda: [layer()], ["part.0.weight"]),
        (lambda: {"a": layer()}, ["part.a.weight"]),
        (lambda: [[layer()], {"b": (weight(), {"c": weight()})}], ["part.1.b.0", "part.1.b.1.c", "part.0.0.weight"]),
        (lambda: [layer(), None, abs, 3], ["part.0.weight"]),
    ],
)
def test_parameters_are_found(make, expected):
    assert names(make()) == expected


def test_what_is_put_in_later_is_found_too():
    module = nn.Module()
    module.parts = []
    module.parts.append({"a": layer()})
    assert [name for name, _ in module.named_parameters()] == ["parts.0.a.weight"]
    assert module.parts[0]["a"] in list(module.modules())
    assert "parts.0.a: Linear" in repr(module)


def test_a_module_with_parts_in_dicts_is_trained_copied_moved_and_saved():
    module = nn.Module()
    module.parts = {"a": layer(), "b": [weight()]}
    other = module.copy().to("cpu")
    for p in other.parameters():
        p.data = p.data + 1
    assert (module.parts["b"][0].data == 1).all() and (other.parts["b"][0].data == 2).all()
    module.load_state_dict(other.state_dict())
    assert (module.parts["b"][0].data == 2).all()
    assert not module.eval().parts["a"].training
    before = module.parts["a"].weight.data.copy()
    adam = nn.Adam(module.parameters())
    x = Tensor(np.ones((1, 2), "float32"))
    adam.step(grad((module.parts["a"](x) * module.parts["b"][0]).sum(), module.parameters()))
    assert (module.parts["a"].weight.data != before).all() and (module.parts["b"][0].data != 2).all()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Tensor([1.0], requires_grad=True), r"Module.part is a Tensor that requires gradients.*nn.Parameter"),
        (lambda: [Tensor([1.0], requires_grad=True)], r"Module.part.0 is a Tensor that requires gradients"),
        (lambda: {"a": Tensor([1.0], requires_grad=True)}, r"Module.part.a is a Tensor that requires gradients"),
        (lambda: {layer()}, "Module.part is a set, which has no order: use a list or a dict"),
        (lambda: frozenset([weight()]), "Module.part is a set"),
        (lambda: {"a.b": layer()}, r"Module.part\['a.b'\] has no dotted name"),
        (lambda: {(1, 2): layer()}, r"Module.part\[\(1, 2\)\] has no dotted name"),
    ],
)
def test_what_would_not_be_found_is_refused(make, message):
    with pytest.raises(TypeError, match=message):
        nn.Module().part = make()


def test_what_would_not_be_found_is_refused_when_parameters_are_looked_for():
    module = nn.Module()
    module.parts, module.late = [], Tensor([1.0])
    module.parts.append(Tensor([1.0], requires_grad=True))
    with pytest.raises(TypeError, match="parts.0 is a Tensor that requires gradients"):
        module.parameters()
    module.parts.clear()
    module.late.requires_grad = True
    with pytest.raises(TypeError, match="late is a Tensor that requires gradients"):
        module.parameters()


def test_attributes_of_the_class_are_refused():
    with pytest.raises(TypeError, match="Net.layer would belong to the class: set self.layer in __init__"):

        class Net(nn.Module):
            layer = layer()


def test_sets_and_dicts_of_other_things_and_results_are_welcome():
    module = nn.Module()
    module.words, module.sizes, module.shown = {"a", "b"}, {(1, 2): 3.5}, (weight() * 2).sum()
    assert module.parameters() == [] and module.state_dict() == {}


# Optimisers


def test_step_says_what_to_pass():
    adam = nn.Adam(layer().parameters())
    with pytest.raises(TypeError, match=r"step\(\) takes the gradients that loss.backward.*grad\(loss, "):
        adam.step()


@pytest.mark.parametrize(
    "gradients, message",
    [
        ([], "got 0 gradients for 2 parameters"),
        ([None], "got 1 gradients for 2 parameters: give one for each, or None"),
        ([None] * 3, "got 3 gradients for 2 parameters"),
        ([np.ones(1, "float32"), None], r"gradient 0 has shape \(1,\), and its parameter \(2,\)"),
    ],
)
def test_gradients_are_counted_and_fit(gradients, message):
    parameters = [weight(), weight()]
    adam = nn.Adam(parameters)
    with pytest.raises(ValueError, match=message):
        adam.step(gradients)
    assert (parameters[0].data == 1).all() and adam.t == 0


def test_what_no_optimiser_can_train():
    with pytest.raises(ValueError, match="there are no parameters to train"):
        nn.Adam([])
    shared = weight()
    with pytest.raises(ValueError, match="a parameter stands in the list twice"):
        nn.Adam([shared, shared])
    with pytest.raises(TypeError, match="float16 weights would lose small updates: keep the weights in float32"):
        nn.Adam([nn.Parameter(np.ones(2, "float16"))])
    for wrong in (weight(), [("a", weight())], [{"params": [weight()]}]):
        with pytest.raises(TypeError, match="takes a list of parameters, such as model.parameters"):
            nn.SGD(wrong, 0.1)


def test_batch_norm_moves_the_statistics_of_tensors_too():
    """As of arrays: mean ← mean + ½ (batch mean − mean)."""
    x = np.arange(8.0).reshape(4, 2)
    mean, var = nn.Buffer(np.zeros(2)), nn.Buffer(np.ones(2))
    ops.batch_norm(x, mean, var, training=True, momentum=0.5)
    np.testing.assert_allclose(mean.data, [1.5, 2.0])
    np.testing.assert_allclose(var.data, 0.5 + 0.5 * x.var(axis=0, ddof=1))
    y = ops.batch_norm(x, mean, var)
    np.testing.assert_allclose(y.data, (x - mean.data) / np.sqrt(var.data + 1e-5))


def test_a_shared_layer_counts_once():
    """One power iteration of a layer that stands in two places is one: its u and v are those of the layer alone."""
    module, twice = nn.Module(), nn.Linear(3, 3, norm="sn")
    module.a, module.b = twice, [twice]
    alone = twice.copy()
    assert module.modules() == [module, twice, twice.spectral]
    assert module.buffers() == twice.buffers() and len(module.buffers()) == 3
    for norm in (twice, alone):
        norm.weight.data = norm.weight.data + np.eye(3, dtype="float32")
    nn.power_iteration(module)
    nn.power_iteration(alone)
    np.testing.assert_array_equal(twice.spectral.u.data, alone.spectral.u.data)


def test_a_child_may_refer_to_its_parent():
    module = nn.Module()
    module.part = layer()
    module.part.around = [module]
    assert module.modules() == [module, module.part]
    assert list(module.state_dict()) == ["part.weight"] and module.parameters() == [module.part.weight]
    assert "around.0: …" in repr(module) and not module.eval().part.training
    copied = module.copy()
    assert copied.part.around[0] is copied


def test_moving_to_where_it_is_writes_nothing():
    module, x = layer(), Tensor(np.ones((1, 2), "float32"), requires_grad=True)
    before = module.weight.data
    y = module(x).sum()
    module.to("cpu")
    assert module.weight.data is before
    np.testing.assert_array_equal(grad(y, [x])[0], before.sum(axis=0, keepdims=True))


def test_two_keys_of_one_dotted_name_are_refused():
    with pytest.raises(TypeError, match="Module.part has two keys of the dotted name Module.part.1"):
        nn.Module().part = {1: layer(), "1": layer()}
    nn.Module().part = {1: 2.0, "1": layer()}  # only one of them has a name


@pytest.mark.parametrize(
    "change, message",
    [
        ({"m": np.zeros(())}, r"m: the state has shape \(\), the optimiser \(2,\)"),
        ({"v": np.zeros(1)}, r"v: the state has shape \(1,\), the optimiser \(2,\)"),
        ({"t": None, "m": None}, "the state does not fit this Adam: missing m, t"),
    ],
)
def test_the_state_of_an_optimiser_fits(change, message):
    adam = nn.Adam([weight()])
    state = {k: v for k, v in {**adam.state_dict(), **change}.items() if v is not None}
    with pytest.raises(ValueError, match=message):
        adam.load_state_dict(state)
