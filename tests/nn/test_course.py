"""The layers, losses and optimisers of an ordinary course, each beside PyTorch's of the same name."""

import math

import numpy as np
import pytest

import nn
from autograd import Tensor, accelerate, grad, gradcheck, ops
from autograd.random import RandomStream

torch = pytest.importorskip("torch")
F = torch.nn.functional


def array(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def alike(ours, theirs):
    """Both in float64, with the same weights by name."""
    theirs.double()
    state = {name: t.detach().numpy().copy() for name, t in theirs.state_dict().items() if "num_batches" not in name}
    for t in dict(ours.named_tensors()).values():
        t.data = t.data.astype("float64")
    ours.load_state_dict(state)


def compare(ours, theirs, *inputs, call=lambda f, *xs: f(*xs)):
    """Values, and gradients of inputs and weights for a random g."""
    alike(ours, theirs)
    xs = [Tensor(x, requires_grad=True) for x in inputs]
    xs_torch = [torch.tensor(x, requires_grad=True) for x in inputs]
    y, y_torch = call(ours, *xs), call(theirs, *xs_torch)
    np.testing.assert_allclose(y.data, y_torch.detach().numpy(), rtol=1e-10, atol=1e-10)
    g = array(*y.shape, seed=9)
    found = grad(y, [*xs, *ours.parameters()], g=g)
    expected = torch.autograd.grad(y_torch, [*xs_torch, *theirs.parameters()], torch.tensor(g))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-9, atol=1e-10)


def cell_steps(cell, x, *state):
    """Two steps of a cell; h, and of an LSTM h + c."""
    state = tuple(state) if len(state) == 2 else state[0]
    for _ in range(2):
        state = cell(x, state)
    return state[0] + state[1] if isinstance(state, tuple) else state


@pytest.mark.parametrize(
    "name, args, shapes, call",
    [
        ("RNNCell", (3, 4), [(2, 3), (2, 4)], cell_steps),
        ("GRUCell", (3, 4), [(2, 3), (2, 4)], cell_steps),
        ("LSTMCell", (3, 4), [(2, 3), (2, 4), (2, 4)], cell_steps),
        ("LSTMCell", (3, 4, False), [(2, 3), (2, 4), (2, 4)], cell_steps),
        ("GRUCell", (3, 4), [(2, 3)], lambda f, x: f(x)),
        ("Conv1d", (2, 3, 3), [(2, 2, 7)], None),
        ("Conv1d", (2, 3, 2, 2, 1, 2), [(2, 2, 7)], None),
        ("GroupNorm", (2, 4), [(3, 4, 2, 3)], None),
        ("GroupNorm", (4, 4), [(3, 4)], None),
        ("RMSNorm", (5,), [(2, 3, 5)], None),
        ("RMSNorm", (5, 1e-3), [(3, 5)], None),
        ("BatchNorm1d", (4,), [(5, 4)], None),
        ("BatchNorm1d", (4,), [(3, 4, 5)], None),
        ("Flatten", (), [(2, 3, 4)], None),
        ("ReLU", (), [(2, 3)], None),
        ("LeakyReLU", (0.2,), [(2, 3)], None),
        ("GELU", (), [(2, 3)], None),
        ("GELU", ("tanh",), [(2, 3)], None),
        ("SiLU", (), [(2, 3)], None),
        ("Sigmoid", (), [(2, 3)], None),
        ("Tanh", (), [(2, 3)], None),
    ],
)
def test_layers_are_torchs(name, args, shapes, call):
    make = {"approximate": args[0]} if args == ("tanh",) else None
    ours = getattr(nn, name)(**make) if make else getattr(nn, name)(*args)
    theirs = getattr(torch.nn, name)(**make) if make else getattr(torch.nn, name)(*args)
    options = {} if call is None else {"call": call}
    compare(ours, theirs, *(array(*shape, seed=i) for i, shape in enumerate(shapes)), **options)


def test_embedding_is_torchs():
    ours, theirs = nn.Embedding(5, 3), torch.nn.Embedding(5, 3)
    ids = np.array([[1, 4, 1], [0, 1, 1]])
    alike(ours, theirs)
    for x in (ids, Tensor(ids)):
        y, y_torch = ours(x), theirs(torch.tensor(ids))
        np.testing.assert_array_equal(y.data, y_torch.detach().numpy())
        g = array(2, 3, 3)
        (expected,) = torch.autograd.grad(y_torch, theirs.parameters(), torch.tensor(g))
        np.testing.assert_allclose(grad(y, ours.parameters(), g=g)[0], expected.numpy(), rtol=1e-14)
    weights = nn.Embedding(200, 50, rng=RandomStream(1)).weight.data
    assert abs(weights.mean()) < 0.04 and abs(weights.std() - 1) < 0.03  # N(0, 1): four standard errors of 1e4 draws


def test_losses_are_torchs():
    x, t = array(4, 3), array(4, 3, seed=1)
    for ours, theirs, target in (
        (ops.mse_loss, F.mse_loss, t),
        (ops.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits, (t > 0) * 1.0),
        (ops.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits, 1 / (1 + np.exp(-t))),
    ):
        for scale in (1, 1e3):  # far out too
            a, b = Tensor(scale * x, requires_grad=True), torch.tensor(scale * x, requires_grad=True)
            y, y_torch = ours(a, target), theirs(b, torch.tensor(target))
            np.testing.assert_allclose(float(y), y_torch.item(), rtol=1e-12)
            (expected,) = torch.autograd.grad(y_torch, [b])
            np.testing.assert_allclose(grad(y, [a])[0], expected.numpy(), rtol=1e-12, atol=1e-15)
        gradcheck(lambda a, ours=ours, target=target: ours(a, target), x, order=2)
        with pytest.raises(ValueError, match="give both one shape"):
            ours(x, target[:, :1])  # it would be broadcast


OPTIMISERS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.5, "dampening": 0.3}),
    ("SGD", {"lr": 0.1, "dampening": 0.3}),
    ("Adam", {"lr": 0.02}),
    ("AdamW", {"lr": 0.02}),
    ("AdamW", {"lr": 0.02, "weight_decay": 0.3}),
]


@pytest.mark.parametrize("name, options", OPTIMISERS)
def test_optimisers_are_torchs_as_everyone_types_them(name, options):
    """loss.backward(), step(), zero_grad(); a schedule, and clipping between."""
    p, q = nn.Parameter(array(3, 2)), torch.tensor(array(3, 2), requires_grad=True)
    ours, theirs = getattr(nn, name)([p], **options), getattr(torch.optim, name)([q], **options)
    falls = nn.CosineAnnealingLR(ours, 5, 0.01), torch.optim.lr_scheduler.CosineAnnealingLR(theirs, 5, 0.01)
    for t in range(4):
        target = array(3, 2, seed=t)
        for opt in (ours, theirs):
            opt.zero_grad()
        ops.mse_loss(p, target).backward()
        F.mse_loss(q, torch.tensor(target)).backward()
        norms = nn.clip_grad_norm_([p], 0.5), torch.nn.utils.clip_grad_norm_([q], 0.5)
        np.testing.assert_allclose(float(norms[0]), norms[1].item(), rtol=1e-12)
        for step in (ours, theirs, *falls):
            step.step()
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name, options", OPTIMISERS)
def test_optimisers_go_on_from_their_state(name, options):
    def run(stop):
        p = nn.Parameter(array(3))
        opt = getattr(nn, name)([p], **options)
        for t in range(6):
            if t == stop:
                state, p = opt.state_dict(), nn.Parameter(p.data.copy())
                opt = getattr(nn, name)([p], **options)
                opt.load_state_dict(state)
            opt.step([array(3, seed=t)])
        return p.data

    np.testing.assert_array_equal(run(3), run(None))


@pytest.mark.parametrize("name, options", OPTIMISERS[2:6:3])
def test_optimisers_keep_float32_and_refuse_what_does_not_fit(name, options):
    p = nn.Parameter(array(3).astype("float32"))
    opt = getattr(nn, name)([p], **options)
    opt.step([array(3).astype("float32")])
    assert p.dtype == np.float32
    with pytest.raises(TypeError, match="there are none: call it first"):
        opt.step()
    before = p.data.copy()
    with pytest.raises(ValueError, match="gradient 0 has shape"):
        opt.step([array(4)])
    np.testing.assert_array_equal(p.data, before)


def test_schedules_are_torchs():
    p, q = nn.Parameter(array(1)), torch.tensor(array(1), requires_grad=True)
    theirs = torch.optim.lr_scheduler
    for name, args in (("StepLR", (2, 0.5)), ("CosineAnnealingLR", (6,)), ("LambdaLR", (lambda t: 1 / (1 + t),))):
        opt, opt_torch = nn.SGD([p], lr=0.4), torch.optim.SGD([q], lr=0.4)
        ours, other = getattr(nn, name)(opt, *args), getattr(theirs, name)(opt_torch, *args)
        for _ in range(6):
            assert opt.lr == pytest.approx(opt_torch.param_groups[0]["lr"], abs=1e-12)
            opt_torch.step()
            ours.step()
            other.step()


@pytest.mark.parametrize("name, args", [("StepLR", (2, 0.5)), ("CosineAnnealingLR", (6, 0.1))])
def test_a_schedule_goes_on_from_its_state(name, args):
    def start():
        optimizer = nn.SGD([nn.Parameter(array(1))], lr=0.4)
        return optimizer, getattr(nn, name)(optimizer, *args)

    (first, schedule), (later, other) = start(), start()
    for _ in range(3):
        schedule.step()
    other.load_state_dict(schedule.state_dict())
    assert later.lr == first.lr != 0.4
    schedule.step()
    other.step()
    assert later.lr == first.lr
    with pytest.raises(ValueError, match=f"does not fit this {name}: missing first"):
        other.load_state_dict({"t": 2})


def test_a_cosine_rises_from_a_rate_of_zero_as_torchs():
    p, q = nn.Parameter(array(1)), torch.tensor(array(1), requires_grad=True)
    ours, theirs = nn.SGD([p], lr=0.0), torch.optim.SGD([q], lr=0.0)
    rises = nn.CosineAnnealingLR(ours, 4, 0.1), torch.optim.lr_scheduler.CosineAnnealingLR(theirs, 4, 0.1)
    for _ in range(3):
        theirs.step()
        for each in rises:
            each.step()
        assert ours.lr == pytest.approx(theirs.param_groups[0]["lr"], abs=1e-12)


def test_gradients_are_clipped_as_torch_does():
    p, q = nn.Parameter(np.array([1.0, -2, 3])), torch.tensor([1.0, -2, 3], dtype=torch.float64, requires_grad=True)
    (p * np.array([5.0, 0.1, -7])).sum().backward()
    (q * torch.tensor([5.0, 0.1, -7], dtype=torch.float64)).sum().backward()
    nn.clip_grad_value_([p], 0.5)
    torch.nn.utils.clip_grad_value_([q], 0.5)
    np.testing.assert_array_equal(p.grad, q.grad.numpy())
    nothing = nn.clip_grad_norm_([nn.Parameter(array(2))], 1.0)
    assert nothing == 0 and nothing.shape == ()


def test_the_gradient_of_one_tensor_is_clipped_as_torch_does():
    p, q = nn.Parameter(np.ones(2)), torch.ones(2, dtype=torch.float64, requires_grad=True)
    p.grad, q.grad = np.array([30.0, -40]), torch.tensor([30.0, -40], dtype=torch.float64)
    norms = nn.clip_grad_norm_(p, 5.0), torch.nn.utils.clip_grad_norm_(q, 5.0)
    assert float(norms[0]) == norms[1].item() == 50
    np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-12)
    nn.clip_grad_value_(p, 3.5)
    torch.nn.utils.clip_grad_value_(q, 3.5)
    np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-12)


def test_dropout():
    layer = nn.Dropout(0.25, rng=RandomStream(3))
    x = Tensor(np.ones((100, 100)), requires_grad=True)
    y = layer(x)
    kept = y.data != 0
    np.testing.assert_allclose(y.data[kept], 1 / 0.75, rtol=1e-6)
    assert abs(kept.mean() - 0.75) < 4 * math.sqrt(0.75 * 0.25 / 1e4)  # four standard errors
    np.testing.assert_array_equal(grad(y.sum(), [x])[0], y.data)
    assert not np.array_equal(layer(x).data, y.data)
    layer.eval()
    assert layer(x) is x
    assert not nn.Dropout(1.0)(x).data.any() and nn.Dropout(0.0)(x) is x
    again = nn.Dropout(0.25, rng=RandomStream(3))
    np.testing.assert_array_equal(again(x).data, y.data)
    with pytest.raises(ValueError, match="between 0 and 1"):
        nn.Dropout(1.5)


def test_containers_give_names_as_torch_does():
    def make(lib, parameter):
        m = lib.Module() if lib is torch.nn else type("Net", (nn.Module,), {})()
        m.layers = lib.ModuleList([lib.Linear(2, 3), lib.Linear(3, 1)])
        m.heads = lib.ModuleDict({"a": lib.Linear(1, 1)})
        m.scales = lib.ParameterList([parameter])
        return m

    ours = make(nn, nn.Parameter(array(2)))
    theirs = make(torch.nn, torch.nn.Parameter(torch.ones(2)))
    assert {n for n, _ in ours.named_parameters()} == {n for n, _ in theirs.named_parameters()}


# Masks


@pytest.mark.parametrize("similarity", ops.SIMILARITIES)
def test_a_causal_token_does_not_see_the_future(similarity):
    attention = nn.MultiHeadAttention(8, 2, similarity, causal=True, rng=RandomStream(0))
    x = array(2, 5, 8).astype("float32")
    y = attention(Tensor(x)).data
    changed = x.copy()
    changed[:, 3:] += 1
    np.testing.assert_allclose(attention(Tensor(changed)).data[:, :3], y[:, :3], rtol=1e-5, atol=1e-6)
    assert not np.allclose(attention(Tensor(changed)).data[:, 3:], y[:, 3:])
    np.testing.assert_allclose(attention(Tensor(x), first=2).data, y[:, :2], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("how", ["self", "causal", "padding", "cross", "mask", "mask and padding"])
def test_masked_attention_is_torchs(how):
    d, heads, context = 8, 2, array(2, 4, 8, seed=3)
    ours = nn.MultiHeadAttention(d, heads, causal=how == "causal", rng=RandomStream(1))
    theirs = torch.nn.MultiheadAttention(d, heads, batch_first=True).double()
    weights = {n: array(*t.shape, seed=i) for i, (n, t) in enumerate(ours.named_tensors())}
    for name, t in ours.named_tensors():
        t.data = weights[name]
    with torch.no_grad():
        stacked = np.concatenate([weights[f"{n}.weight"] for n in ("query", "key", "value")])
        theirs.in_proj_weight.copy_(torch.tensor(stacked))
        theirs.in_proj_bias.zero_()
        theirs.out_proj.weight.copy_(torch.tensor(weights["out.weight"]))
        theirs.out_proj.bias.copy_(torch.tensor(weights["out.bias"]))
    x, other = array(2, 4, d), context if how == "cross" else array(2, 4, d)
    padding = np.array([[False, False, False, True], [False, True, False, False]])
    allowed = np.eye(4, dtype=bool) | (array(4, 4) > 0)
    allowed[:, 0] = True  # this key is never padding, so that every query has one to look at
    masked, padded = "mask" in how, "padding" in how
    hidden = ~np.tri(4, dtype=bool) if how == "causal" else ~allowed if masked else None
    y = ours(
        Tensor(x),
        context=Tensor(context) if how == "cross" else None,
        mask=Tensor(allowed) if masked else None,
        key_padding_mask=Tensor(padding) if padded else None,
    )
    x_torch, other_torch = torch.tensor(x), torch.tensor(other)
    expected, _ = theirs(
        x_torch,
        other_torch,
        other_torch,
        key_padding_mask=torch.tensor(padding) if padded else None,
        attn_mask=None if hidden is None else torch.tensor(hidden),
    )
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=1e-10, atol=1e-10)


def test_fast_twins_leave_masks_to_the_readable_rule():
    q, k, v = (array(2, 2, 4, 3, seed=i).astype("float32") for i in range(3))
    results = []
    before = "cpu" if accelerate.in_use("cpu") else None
    try:
        for fast in (None, "cpu"):
            accelerate.use(fast)
            for similarity in ops.SIMILARITIES:
                x = Tensor(q, requires_grad=True)
                y, p = ops.attention(x, k, v, similarity, causal=True, return_weights=True)
                assert not np.triu(p.data, 1).any()
                results.append((y.data, grad(y, [x], g=v)[0]))
    finally:
        accelerate.use(before)
    half = len(results) // 2
    for plain, fast in zip(results[:half], results[half:], strict=True):
        np.testing.assert_array_equal(plain, fast)


def test_a_mask_of_numbers_is_refused():
    q = array(1, 1, 2, 2)
    with pytest.raises(TypeError, match="array of booleans"):
        ops.attention(q, q, q, mask=np.ones((2, 2)))
    with pytest.raises(TypeError, match="key_padding_mask is an array of booleans"):
        nn.MultiHeadAttention(2, 1)(Tensor(array(1, 2, 2)), key_padding_mask=np.array([[0, 1]]))
    with pytest.raises(TypeError, match="^mask is an array of booleans"):
        padding = np.array([[False, True]])
        nn.MultiHeadAttention(2, 1)(Tensor(array(1, 2, 2)), mask=np.ones((2, 2)), key_padding_mask=padding)
