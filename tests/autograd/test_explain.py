"""The tape as text: complete, in order, with honest bytes, and the same every time."""

import inspect
import re
import textwrap

import numpy as np
import pytest

from autograd import Tensor, explain, grad, mermaid, ops
from autograd.operation import Op


def network():
    """A two-layer network with a loss; `names` as a reader would give them."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((32, 784)).astype("float32")
    W, V = (Tensor(rng.standard_normal(s).astype("float32"), requires_grad=True) for s in ((64, 784), (1, 64)))
    b = Tensor(np.zeros(64, "float32"), requires_grad=True)
    y = ops.softplus(ops.linear(ops.tanh(ops.linear(x, W, b)), V)).mean()
    return y, {"W": W, "b": b, "V": V}


TABLE = """\
 step  op        output     dtype    inputs         keeps  formula         gradient
    W  leaf      (64, 784)  float32
    V  leaf      (1, 64)    float32
    b  leaf      (64,)      float32
    1  linear    (32, 64)   float32  const, W, b   301 kB  Y = X Wᵀ + b    ∂L/∂X = G W,   …
    2  tanh      (32, 64)   float32  1            8.19 kB  y = tanh x      ∂L/∂x = g (1 − y²)
    3  linear    (32, 1)    float32  2, V, const    256 B  Y = X Wᵀ + b    ∂L/∂X = G W,   …
    4  softplus  (32, 1)    float32  3              128 B  y = ln(1 + eˣ)  ∂L/∂x = g σ(x)
    5  mean      ()         float32  4                0 B  y = Σ x / n     ∂L/∂x = g / n, …
total  5 steps                                     310 kB
"""


def test_the_table_of_a_network():
    y, names = network()
    table = explain(y, names=names)
    shown, expected = table.splitlines(), TABLE.splitlines()
    assert len(shown) == len(expected)
    for line, pattern in zip(shown, expected, strict=True):
        assert line.startswith(pattern.removesuffix("…")), line
    assert not any(line != line.rstrip() for line in shown)
    assert explain(network()[0], names=network()[1]) != table  # names of another network: leaf 1, leaf 2, leaf 3
    assert explain(y, names=names) == table


def test_without_names_leaves_are_numbered():
    y, _ = network()
    lines = explain(y).splitlines()
    assert [line.split("  ")[0].strip() for line in lines[1:4]] == ["leaf 1", "leaf 2", "leaf 3"]
    assert "const, leaf 1, leaf 3" in lines[4] and "2, leaf 2, const" in lines[6]


def row(table, step):
    """The cells of one step; cells are two spaces apart."""
    (line,) = (line for line in table.splitlines() if line.split()[0] == str(step))
    return re.split(r" {2,}", line.strip())


def kept(table, step):
    return row(table, step)[5 if step != "total" else -1]


def test_bytes_are_those_of_distinct_buffers():
    x = Tensor(np.ones((10, 10)), requires_grad=True)  # 800 bytes
    table = explain((ops.tanh(x) + x.reshape(100).reshape(10, 10)).sum())
    assert [kept(table, i) for i in (1, 2, 3, 4, 5, "total")] == ["800 B", "0 B", "0 B", "0 B", "0 B", "800 B"]

    shared = explain((ops.exp(x) * ops.exp(x)).sum())  # mul keeps what the two exp keep
    assert [kept(shared, i) for i in (1, 2, 3, "total")] == ["800 B", "800 B", "0 B", "1.6 kB"]

    views = ops.sin(x[:5]) + ops.cos(x[5:])  # two halves of the same buffer: it is alive as a whole, and once
    assert [kept(explain(views), i) for i in (2, 4, "total")] == ["800 B", "0 B", "800 B"]

    one = Tensor(np.ones(1), requires_grad=True)  # a stretched view is as small as what is stretched
    assert kept(explain(ops.sin(ops.broadcast_to(one, shape=(10**6,)))), "total") == "8 B"


def test_constants_that_a_rule_needs_are_counted():
    x = Tensor(np.ones(100), requires_grad=True)
    table = explain(x * np.ones(100) * 2.0)
    assert row(table, 1)[4:6] == ["leaf 1, const", "1.6 kB"]
    assert row(table, 2)[4:6] == ["1, const", "800 B"]  # the product, and a number


@pytest.mark.parametrize(
    "n, text", [(999, "999 B"), (1000, "1 kB"), (8192, "8.19 kB"), (999_900, "1 MB"), (3e9, "3 GB")]
)
def test_sizes(n, text):
    from autograd.explain import size

    assert size(n) == text


def test_long_tapes_show_both_ends_and_the_whole_total():
    x = y = Tensor(np.ones(125), requires_grad=True)
    for _ in range(50):
        y = ops.tanh(y)
    table = explain(y, limit=5)
    steps = [line.split()[0] for line in table.splitlines()]
    assert steps == ["step", "leaf", "1", "2", "…", "48", "49", "50", "total"]
    assert re.split(r" {2,}", table.splitlines()[4].strip()) == ["…", "45 more", "45 kB"]
    assert re.split(r" {2,}", table.splitlines()[-1].strip()) == ["total", "50 steps", "50 kB"]
    assert len(explain(y, limit=50).splitlines()) == 53 and "more" not in explain(y, limit=50)
    assert x.shape == (125,)


def test_the_source_of_every_rule_once():
    y, names = network()
    table, *sources = explain(y, names=names, source=True).split("\n\n")
    assert table == explain(y, names=names)
    assert [s.splitlines()[0] for s in sources] == ["linear", "tanh", "softplus", "mean"]
    code = textwrap.indent(textwrap.dedent(inspect.getsource(ops.tanh.backward)), "    ").rstrip()
    assert sources[1] == f"tanh\n{code}" and "return g * (1 - y * y)" in code


def test_source_of_a_rule_that_is_in_no_file():
    namespace = {}
    exec(
        "class cube:\n    'y = x³   ∂L/∂x = 3 g x²'\n"
        "    def forward(xp, x):\n        return x * x * x\n"
        "    def backward(xp, g, x):\n        return 3 * g * x * x\n",
        namespace,
    )
    y = Op(namespace["cube"])(Tensor(np.ones(2), requires_grad=True))
    assert explain(y, source=True).endswith("\n\ncube\n    (no source: not defined in a file)")


def test_formulas_of_several_lines_stay_in_their_column():
    @Op
    class pair:
        """y = x̂ v                   ∂L/∂u = g v,   x̂ is u
        ∂L/∂v = g x̂                 (two lines)"""

        def forward(xp, u, v):
            return u * v

        def backward(xp, g, u, v):
            return g * v, g * u

    u = Tensor(np.ones(2), requires_grad=True)
    header, _, first, second, _ = explain(pair(u, u)).splitlines()
    column = header.index("gradient")
    assert first.replace("\u0302", "")[column:] == "∂L/∂u = g v,   x is u"  # a combining hat takes no place
    assert second.strip() == "∂L/∂v = g x̂   (two lines)" and second.index("∂") == column


def test_second_order_tapes_are_explained_too():
    x = Tensor(np.ones(3), requires_grad=True)
    (gx,) = grad(ops.tanh(x).sum(), [x], create_graph=True)
    table = explain((gx * gx).sum(), names={"x": x})
    assert row(table, 1)[1] == "tanh" and {"mul", "sub"} <= {line.split()[1] for line in table.splitlines()}


def test_mermaid():
    y, names = network()
    assert mermaid(y, names=names).splitlines() == [
        "graph TD",
        '    n0("W<br/>(64, 784)")',
        '    n1("V<br/>(1, 64)")',
        '    n2("b<br/>(64,)")',
        '    n3["linear<br/>(32, 64)"]',
        '    n4["tanh<br/>(32, 64)"]',
        '    n5["linear<br/>(32, 1)"]',
        '    n6["softplus<br/>(32, 1)"]',
        '    n7["mean<br/>()"]',
        "    n0 --> n3",
        "    n2 --> n3",
        "    n3 --> n4",
        "    n4 --> n5",
        "    n1 --> n5",
        "    n5 --> n6",
        "    n6 --> n7",
    ]


def test_mermaid_draws_every_edge_and_escapes_names():
    x = Tensor(np.ones(3), requires_grad=True)
    text = mermaid(x * x, names={'the "x"': x})
    assert text.splitlines()[1] == '    n0("the #quot;x#quot;<br/>(3,)")'
    assert text.count("n0 --> n1") == 2


def test_a_leaf_alone_and_nothing_at_all():
    x = Tensor(np.ones(3), requires_grad=True)
    assert mermaid(x) == 'graph TD\n    n0("leaf 1<br/>(3,)")'
    assert explain(x).splitlines()[-1].split() == ["total", "0", "steps", "0", "B"]
    for show in (explain, mermaid):
        with pytest.raises(ValueError, match="nothing to explain: y depends on nothing with requires_grad=True"):
            show(x.detach())


def test_deep_tapes():
    y = Tensor(np.ones(1), requires_grad=True)
    for _ in range(5000):
        y = y * 1.0
    assert len(explain(y).splitlines()) == 104 and mermaid(y).count("-->") == 5000
