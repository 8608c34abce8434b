"""What gradcheck says of a wrong rule: hints in steps, the one edit that mends it, and the name of the mistake."""

import inspect
import linecache
import pickle
import re

import numpy as np
import pytest

from autograd import GradcheckError, Tensor, grad, gradcheck, modes, ops
from autograd.gradcheck import repair
from autograd.operation import Op


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


X, SQUARE, ROWS = normal(3, 4), normal(4, 4, seed=1), normal(5, 4, seed=2)


@Op
class halved:
    "y = tanh x                 ∂L/∂x = ½ g (1 − y²)   (wrong: no ½)"

    def forward(xp, x):
        return xp.tanh(x)

    def backward(xp, g, y):
        return 0.5 * g * (1 - y * y)


# Hints come in steps


def failure(op, *xs, **options):
    with pytest.raises(GradcheckError) as caught:
        gradcheck(op, *xs, **options)
    return caught.value


def test_the_first_hint_is_what_is_wrong():
    found = "analytic = 0.5 × numeric everywhere: look for a missing factor 2"
    assert failure(halved, X).hints[0] == f"the gradient of x is wrong: {found}"
    kink = failure(ops.relu, np.array([0.0, 1.0]))
    assert kink.hints == [str(kink)]  # nothing is wrong with the rule, so there is nothing to change


class wrong_tanh:
    "y = tanh x                 ∂L/∂x = g y     (wrong: 1 − y²)"

    def forward(xp, x):
        return xp.tanh(x)

    def backward(xp, g, y):
        return g * y


LINE = inspect.getsourcelines(wrong_tanh.backward)[1] + 1


def test_hints_name_the_line_and_the_edit_that_makes_the_rule_right():
    error = failure(Op(wrong_tanh), X)
    _, where, what = error.hints
    assert where == f"look at line {LINE} of test_diagnosis.py"
    assert what == f"line {LINE}: `g * y` becomes `g * (1 - y * y)`"
    assert where not in str(error) and what not in str(error)
    assert where in str(failure(Op(wrong_tanh), X, hints=2)) and what not in str(failure(Op(wrong_tanh), X, hints=2))
    assert str(failure(Op(wrong_tanh), X, hints=3)).endswith(f"\n\n  {where}\n  {what}")
    again = failure(Op(wrong_tanh), X)  # the search left the rule as it was
    assert str(again) == str(error)


# What a student writes: the forward, the wrong rule, its inputs, and the repair.
SLIPS = {
    "x for y": ("xp.tanh(x)", "x", "g * (1 - x * x)", (X,), "`g * (1 - y * y)`, and the signature names y"),
    "a term forgotten": ("x * x + x", "x", "g * (2 * x)", (X,), "`g * (2 * x + 1)`"),
    "the wrong function": ("xp.sin(x)", "x", "g * xp.sin(x)", (X,), "`g * xp.cos(x)`"),
    "the wrong axis": (
        "xp.exp(x) / xp.exp(x).sum(axis=0, keepdims=True)",
        "y",
        "y * (g - (g * y).sum(axis=1, keepdims=True))",
        (SQUARE,),
        "`y * (g - (g * y).sum(axis=0, keepdims=True))`",
    ),
    "keepdims forgotten": (
        "xp.exp(x) / xp.exp(x).sum(axis=1, keepdims=True)",
        "y",
        "y * (g - (g * y).sum(axis=1))",
        (X,),
        "`y * (g - (g * y).sum(axis=1, keepdims=True))`",
    ),
    "factors exchanged": (
        "xp.matmul(a, b)",
        "a, b",
        "(xp.matmul(g, xp.swapaxes(b, -1, -2)), xp.matmul(g, xp.swapaxes(a, -1, -2)))",
        (SQUARE, SQUARE[::-1]),
        "`xp.matmul(xp.swapaxes(a, -1, -2), g)`",
    ),
    "g forgotten beside a condition": ("xp.abs(x)", "x", "2.0 * (x > 0) - 1", (X,), "`(2.0 * (x > 0) - 1) * g`"),
    "a number of the forward forgotten": (
        "xp.sin(x * x + 0.3)",
        "x",
        "g * xp.cos(x * x) * 2 * x",
        (X,),
        "`g * xp.cos(x * x + 0.3) * 2 * x`",
    ),
    "a bias summed over one axis": (
        "a + b[:, None, None]",
        "a, b",
        "(g, g.sum(axis=(1, 2)))",
        (normal(2, 3, 3, 3), normal(3)),
        "`g.sum(axis=(0, 2, 3))`",
    ),
    "a softmax not normalised": (
        "xp.log(xp.exp(x).sum(axis=1, keepdims=True))",
        "x",
        "g * xp.exp(x)",
        (X,),
        "`g * (xp.exp(x) / xp.exp(x).sum(axis=-1, keepdims=True))`",
    ),
    "gradients exchanged": ("a * b", "a, b", "(g * a, g * b)", (X, ROWS[0]), "`(g * b, g * a)`"),
    "a transpose forgotten": (
        "xp.matmul(a, b)",
        "a, b",
        "(xp.matmul(g, b), xp.matmul(xp.swapaxes(a, -1, -2), g))",
        (X, ROWS[:4]),
        "`xp.matmul(g, xp.swapaxes(b, -1, -2))`",
    ),
}


@pytest.mark.parametrize("name", SLIPS)
def test_one_edit_mends_a_slip(name):
    forward, kept, rule, xs, mended = SLIPS[name]
    inputs = "a, b" if len(xs) == 2 else "x"
    lines = [
        "class slip:\n",
        "    'y = f(x)    a formula'\n",
        f"    def forward(xp, {inputs}): return {forward}\n",
        f"    def backward(xp, g, {kept}):\n",
        f"        return {rule}\n",
    ]
    file = f"<cell {name}>"  # as a notebook does it: the source stands in linecache alone
    linecache.cache[file] = (len("".join(lines)), None, lines, file)
    scope: dict = {}
    exec(compile("".join(lines), file, "exec"), scope)
    assert failure(Op(scope["slip"]), *xs).hints[2].endswith(f"becomes {mended}")


def test_a_rule_typed_at_the_prompt_has_no_line():
    scope: dict = {}
    exec("class f:\n 'y = x'\n def forward(xp, x): return x * 1.0\n def backward(xp, g): return g * 2", scope)
    assert len(failure(Op(scope["f"]), X).hints) == 1


def test_a_rule_that_prints_is_not_heard_during_the_search(capsys):
    @Op
    class loud:
        "y = tanh x     ∂L/∂x = g y   (wrong: 1 − y²)"

        def forward(xp, x):
            return xp.tanh(x)

        def backward(xp, g, y):
            print("here")
            return g * y

    error = failure(loud, X)
    capsys.readouterr()
    assert error.hints[2].endswith("becomes `g * (1 - y * y)`")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("seconds", [2.0, 0.5])
def test_the_search_ends_in_time_whatever_a_call_costs(seconds, monkeypatch):
    """Each op and each rule takes 0.1 s by the clock that the search is given: 20 of them, and not one more."""

    class hopeless:  # no one edit makes it right
        "y = tanh x     ∂L/∂x = 3 + sin(7 g)   (wrong)"

        def forward(xp, x):
            return xp.tanh(x)

        def backward(xp, g, y):
            return 3 + xp.sin(7 * g)

    monkeypatch.setattr(repair, "SECONDS", seconds)
    op, now, calls = Op(hopeless), [0.0], []
    rule = op.rule.f

    def cost(called, kind, call):
        now[0] += 0.1
        calls.append(kind)
        return call()

    def agrees():
        x = Tensor(X, requires_grad=True)
        (got,) = grad(op(x), [x], np.ones_like(X))
        return np.allclose(got, 1 - np.tanh(X) ** 2)

    with modes.hook(cost):
        assert repair.search([op], agrees, agrees, clock=lambda: now[0]) is None
    assert abs(len(calls) - seconds / 0.1) <= 1
    assert op.rule.f is rule


@pytest.mark.parametrize("file", ["/place/ipykernel_12/345.py", "<ipython-input-3-1f>"])
def test_a_cell_of_a_notebook_is_called_the_cell(file):
    lines = inspect.getsource(wrong_tanh).splitlines(keepends=True)
    linecache.cache[file] = (len("".join(lines)), None, lines, file)
    scope: dict = {}
    exec(compile("".join(lines), file, "exec"), scope)
    assert failure(Op(scope["wrong_tanh"]), X).hints[1] == f"look at line {len(lines)} of the cell"


def test_an_error_may_go_to_another_process():
    error = failure(Op(wrong_tanh), X)
    copied = pickle.loads(pickle.dumps(error))
    assert str(copied) == str(error) and copied.hints == error.hints[:1]


def test_each_new_version_that_fails_is_told_more():
    versions = [wrong_tanh, *(type("wrong_tanh", (wrong_tanh,), dict(vars(wrong_tanh))) for _ in range(2))]

    def second(xp, g, y):
        return g * (y + 1)

    def third(xp, g, y):
        return g * (1 + y * y)

    versions[1].backward, versions[2].backward = second, third
    lengths = []
    for version in versions:
        message = [str(failure(Op(version), X)) for _ in range(2)]  # the same one again is no new try
        lengths.append(len(message[0].splitlines()))
        assert message[0] == message[1]
    assert lengths == [lengths[0], lengths[0] + 2, lengths[0] + 3]
    right = Op(type("wrong_tanh", (), {**vars(wrong_tanh), "backward": lambda xp, g, y: g * (1 - y * y)}))
    gradcheck(right, X)
    assert "look at line" not in str(failure(Op(wrong_tanh), X))


# The forward, the wrong rule, its inputs, and what must be said: a fact about the values, derived by hand.
NAMED = {
    "a factor forgotten": ("xp.tanh(x)", "y", "g * 1.0", (X,), r"the gradient lacks the factor \(1 − y²\)"),
    "at one element": ("xp.tanh(x)", "y", "g * 1.0", (np.array(0.3),), r"the gradient lacks the factor \(1 − y²\)"),
    "right at one value by chance": (
        "xp.tanh(x)",
        "y",
        "g * (1 - y)",
        (np.linspace(-2.0, 2.0, 5),),
        r"the gradient lacks the factor \(1 \+ y\)",
    ),
    "right on one side": ("xp.abs(x)", "x", "g * (x < 9)", (np.linspace(-2.5, 2.5, 6),), "right only where x > 0"),
    "wrong at zero": (
        "x * x + x",
        "x",
        "g * (2 * x + (xp.abs(x) > 0.1))",
        (np.linspace(-2.0, 2.0, 5),),
        r"right only where \|x\| > 0; analytic is zero there",
    ),
    "two factors forgotten": (
        "xp.exp(xp.sin(x))",
        "y",
        "g * 1.0",
        (X,),
        r"the gradient lacks the factor y cos x",
    ),
    "an exponential forgotten": (
        "xp.log(xp.exp(x).sum(axis=1, keepdims=True))",
        "x",
        "g * x / x",
        (X,),
        r"the gradient lacks the factor exp\(x − y\)",
    ),
    "a term of log softmax forgotten": (
        "x - xp.log(xp.exp(x).sum(axis=1, keepdims=True))",
        "y",
        "g * 1.0",
        (X,),
        r"analytic − numeric = exp y Σ\(g\) over axis 1",
    ),
    "a factor twice": ("xp.exp(x)", "y", "g * y * y", (X,), "the gradient has one factor too many: y$"),
    "another factor": (
        "xp.sin(x)",
        "x",
        "g * xp.sin(x)",
        (X,),
        "the gradient has the factor y where cos x belongs",
    ),
    "another input": ("a * b", "a, b", "(g * a, g * b)", (X, ROWS[0]), "has the factor a where b belongs"),
    "a term forgotten": ("x * x + x", "x", "g * (2 * x)", (X,), "analytic − numeric = −g: this term is missing"),
    "a product turned round": (
        "xp.matmul(a, b)",
        "a, b",
        "(xp.matmul(g, xp.swapaxes(b, -1, -2)), xp.matmul(g, xp.swapaxes(a, -1, -2)))",
        (SQUARE, SQUARE[::-1]),
        "the rule returns g aᵀ where aᵀ g belongs",
    ),
    "the sum over the wrong axis": (
        "a + b",
        "y",
        "(g, g.sum(axis=1))",
        (SQUARE, ROWS[0]),
        "the rule returns Σ[(]g[)] over axis 1 where Σ[(]g[)] over axis 0 belongs",
    ),
    "an axis reversed": ("x[::-1] * 1.0", "y", "g * 1.0", (X,), "the numeric gradient reversed along axis 0"),
    "an axis moved": ("xp.roll(x, 1, axis=1)", "y", "g * 1.0", (X,), "moved by 1 along axis 1"),
    "g forgotten in a sum": (
        "(x * x).sum(axis=1)",
        "x",
        "2 * x + 0 * g.sum()",
        (X,),
        "the gradient of Σ y, not of Σ g y: the rule forgot g",
    ),
    "axes exchanged": (
        "xp.transpose(x, (1, 2, 0))",
        "y",
        "xp.transpose(g, (1, 2, 0))",
        (normal(3, 3, 3),),
        "transposed, its axes in the order",
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_mistakes_are_named(name):
    forward, kept, rule, xs, words = NAMED[name]
    scope: dict = {}
    inputs = "a, b" if len(xs) == 2 else "x"
    body = f" def forward(xp, {inputs}): return {forward}\n def backward(xp, g, {kept}): return {rule}\n"
    exec(f"class slip:\n 'y = f(x)    a formula'\n{body}", scope)
    found = failure(Op(scope["slip"]), *xs, order=1).hints[0]
    assert re.search(words, found), found


# Shapes that do not fit: the op, both shapes, the usual cause


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: ops.matmul(Tensor(X), Tensor(X)),
            r"in matmul\(float64\[3, 4\], float64\[3, 4\]\): .*4 columns meet 3 rows; is one of them transposed\?",
        ),
        (
            lambda: ops.linear(Tensor(normal(2, 5)), Tensor(X)),
            r"in linear\(float64\[2, 5\], float64\[3, 4\], .*: linear of x \(2, 5\) needs a weight \(out, 5\)",
        ),
        (
            lambda: ops.add(Tensor(X), Tensor(X[:, 0])),
            r"in add\(float64\[3, 4\], float64\[3\]\): .*is one transposed, or does a sum lack keepdims=True\?",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_told_with_the_cause(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "rule, cause",
    [
        ("xp.swapaxes(xp.matmul(g, xp.swapaxes(b, -1, -2)), -1, -2)", r"shape \(4, 3\) .* \(3, 4\): transposed\?"),
        ("xp.matmul(g, xp.swapaxes(b, -1, -2)).sum(axis=1)", r"shape \(3,\) .* \(3, 4\): is there a sum too many\?"),
        ("xp.broadcast_to(b, (2, 4, 2))", r"shape \(2, 4, 2\) .* \(3, 4\): is a sum missing\?"),
        ("b", r"shape \(4, 2\) .* \(3, 4\), which is the shape of another input: are two gradients exchanged\?"),
        (
            "xp.matmul(g, b)",
            r"rule of slip\(float64\[3, 2\], .*size 4 is different from 2; is one of them transposed\?",
        ),
    ],
)
def test_gradients_of_a_wrong_shape_are_told_with_the_cause(rule, cause):
    class slip:
        "Y = A B       ∂L/∂A = G Bᵀ   (wrong)"

        def forward(xp, a, b):
            return xp.matmul(a, b)

    scope: dict = {}
    exec(f"def backward(xp, g, b): return {rule}, None", scope)
    slip.backward = scope["backward"]
    assert re.search(cause, str(failure(Op(slip), X, ROWS[:4, :2])))
