"""The tape, played: the steps and their numbers are those of the engine, and the page shows them."""

import json
import re

import numpy as np
import pytest
from browser import CHROMIUM, Browser

import nn
from autograd import Tensor, debug, grad, ops, play
from autograd.layout import crossings, layered, order, spread
from autograd.play.page import sample


def network():
    """Two linear layers and a loss in which tanh is used twice, and the leaves by name."""
    rng = np.random.default_rng(0)
    shapes = {"W": (5, 3), "b": (5,), "V": (1, 5)}
    leaves = {name: Tensor(rng.standard_normal(shape), requires_grad=True) for name, shape in shapes.items()}
    x = rng.standard_normal((4, 3))
    h = ops.tanh(ops.linear(x, leaves["W"], leaves["b"]))
    return ((ops.linear(h, leaves["V"]) + h.sum() * 0.1) ** 2).mean(), leaves


def named(story, name):
    return [node for node in story.nodes if node.op is not None and node.op.name == name]


def test_the_steps_are_forward_in_order_then_rules_newest_first():
    y, _ = network()
    events = play(y).story.events
    forward = [e.node.id for e in events if e.kind == "forward"]
    rules = [e.node.id for e in events if e.kind == "rule"]
    assert forward == sorted(forward) and rules == sorted(rules, reverse=True)
    assert [e.kind for e in events].index("seed") == len(forward)
    assert {e.node.id for e in events if e.kind == "rule"} <= set(forward)


def test_the_gradients_are_those_of_grad():
    y, leaves = network()
    story = play(y).story
    expected = grad(y, list(leaves.values()))
    for leaf, gradient in zip(leaves.values(), expected, strict=True):
        np.testing.assert_array_equal(story.gradients[leaf.node], gradient)


def test_a_sum_of_gradients_is_a_step_of_its_own():
    y, _ = network()
    story = play(y).story
    (tanh,) = named(story, "tanh")
    (add,) = [e for e in story.events if e.kind == "add"]
    assert add.node is tanh
    np.testing.assert_array_equal(add.total, story.gradients[tanh])
    (rule,) = [e for e in story.events if e.kind == "rule" and e.node.op.name == "sum"]
    np.testing.assert_array_equal(dict(rule.gives)[tanh], add.before)  # the sum is younger: its rule runs first
    np.testing.assert_allclose(add.before + add.gives[0][1], add.total)


def test_a_broadcast_gradient_is_summed_and_says_so():
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    b = Tensor(np.ones(3), requires_grad=True)
    events = play((x + b) * 2, np.ones((2, 3))).story.events
    (rule,) = [e for e in events if e.kind == "rule" and e.node.op.name == "add"]
    assert rule.summed == [b.node]
    np.testing.assert_array_equal(dict(rule.gives)[b.node], np.full(3, 4.0))


def test_values_are_known_where_a_rule_keeps_them_and_all_of_them_in_debug_mode():
    y, leaves = network()
    story = play(y).story
    assert named(story, "tanh")[0] in story.values and named(story, "linear")[1] not in story.values
    with debug():
        y, leaves = network()
    story = play(y).story
    assert len(story.values) == len(story.nodes)
    (linear, _), (tanh,) = named(story, "linear"), named(story, "tanh")
    np.testing.assert_array_equal(story.values[tanh], np.tanh(story.values[linear]))
    np.testing.assert_array_equal(story.values[leaves["b"].node], leaves["b"].data)


def test_under_create_graph_every_node_of_the_second_tape_belongs_to_a_rule():
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = (ops.tanh(x) * x).sum()
    story = play(y, create_graph=True).story
    second = story.nodes[story.first :]
    made = [node for event in story.events for node in event.made]
    assert second and sorted(n.id for n in made) == [n.id for n in second]
    assert {e.node.op.name for e in story.events if e.made} == {"tanh", "mul"}
    t = np.tanh(x.data)
    np.testing.assert_allclose(story.gradients[x.node], t + x.data * (1 - t**2))


def test_nothing_is_left_behind():
    y, leaves = network()
    play(y)
    assert all(leaf.grad is None for leaf in leaves.values())
    with pytest.raises(ValueError, match="nothing to explain"):
        play(Tensor(np.ones(3)).sum())
    with pytest.raises(ValueError, match="give g"):
        play(Tensor(np.ones(3), requires_grad=True) * 2)


def story_of(html):
    return json.loads(re.search(r'id="story">(.*?)</script>', html, re.S)[1])


def test_the_page_has_the_numbers_the_names_and_the_formulas():
    with debug():
        y, leaves = network()
    page = story_of(play(y, names=leaves, title="a < b").html)
    assert page["title"] == "a < b"
    nodes = {node["name"]: node for node in page["nodes"]}
    shape, rows, sampled = page["arrays"][nodes["W"]["value"]]
    assert shape == [5, 3] and not sampled
    np.testing.assert_allclose(rows, leaves["W"].data, rtol=1e-3)  # four digits
    assert nodes["tanh"]["gradient"] == ["∂L/∂x = g (1 − y²)"] and "1 - y * y" in page["sources"]["tanh"][1]
    assert nodes["tanh"]["keeps"][0] == ["y"]


def test_only_the_chosen_similarity_is_shown():
    q = Tensor(np.random.default_rng(0).standard_normal((1, 1, 3, 2)), requires_grad=True)
    page = story_of(play(ops.attention(q, q, q, similarity="l1").sum()).html)
    text = " ".join(page["nodes"][1]["gradient"])
    assert "sign(q − k)" in text and "l1:" not in text and "2s H K" not in text


def test_a_text_cannot_end_the_script():
    y, leaves = network()
    html = play(y, title="</script><script>alert(1)</script>", names={"</script>": leaves["W"]}).html
    assert html.count("</script>") == 2


def test_layers_of_a_model_are_groups_and_a_weight_belongs_to_its_layer():
    model = nn.Sequential(nn.Linear(3, 4), ops.tanh, nn.Linear(4, 2))
    with debug():
        y = model(Tensor(np.ones((2, 3)))).sum()
    page = story_of(play(y, names=dict(model.named_parameters())).html)
    assert page["groups"] == [["Sequential", -1], ["layers.0 Linear", 0], ["layers.2 Linear", 0]]
    groups = {node["name"]: node["group"] for node in page["nodes"]}
    assert groups["layers.0.weight"] == 1 and groups["layers.2.bias"] == 2 and groups["tanh"] == 0
    assert groups["sum"] == -1


def test_a_tape_of_200_nodes_takes_less_than_a_megabyte():
    x = Tensor(np.random.default_rng(0).standard_normal((64, 64)), requires_grad=True)
    with debug():
        y = x
        for _ in range(100):
            y = ops.tanh(y) * 0.9
        y = y.sum()
    player = play(y)
    assert len(player.story.nodes) >= 200 and len(player.html.encode()) < 1_000_000
    assert any(sampled for _, _, sampled in story_of(player.html)["arrays"])


def test_numbers_that_are_not_finite_and_arrays_of_any_shape():
    x = Tensor(np.array([0.0, 1.0]), requires_grad=True)
    with np.errstate(divide="ignore"):
        page = story_of(play((1 / x).sum()).html)  # JSON has no Infinity
    assert any("inf" in row for _, rows, _ in page["arrays"] for row in rows)
    for shape in ((), (0,), (2, 0, 3), (2, 3, 4, 5)):
        play(Tensor(np.ones(shape), requires_grad=True) * 1.0, np.ones(shape))


@pytest.mark.parametrize("shape", [(1, 10_000), (10_000, 1), (300, 200), (3, 5)])
def test_a_sample_is_spread_over_the_whole_table(shape):
    table = np.arange(np.prod(shape)).reshape(shape)
    rows, sampled = sample(table, 256)
    assert rows.size <= 256 and sampled == (table.size > 256)
    assert rows[0, 0] == table[0, 0] and rows[-1, -1] == table[-1, -1]


def test_the_layout_has_every_node_below_its_parents_and_none_upon_another():
    rng = np.random.default_rng(0)
    parents = [sorted(rng.choice(i, size=min(i, rng.integers(0, 3)), replace=False).tolist()) for i in range(60)]
    layout = layered(parents)
    for node, its_parents in enumerate(parents):
        assert all(layout.layers[p] < layout.layers[node] for p in its_parents)
    for layer in set(layout.layers):
        xs = sorted(x for x, own in zip(layout.xs, layout.layers, strict=True) if own == layer)
        assert all(b - a >= 1 - 1e-9 for a, b in zip(xs, xs[1:], strict=False))


def test_the_layout_of_a_deep_tape_is_not_quadratic():
    """Each row is compared with its neighbours alone: twice the nodes are twice the calls, not four times."""
    counts = []
    for n in (200, 400):
        counts.append(0)

        class Counted(int):
            def __hash__(self):
                counts[-1] += 1
                return int.__hash__(self)

        rows = [[Counted(i)] for i in range(n)]
        above = [[] if i == 0 else [Counted(i - 1)] for i in range(n)]
        below = [[Counted(i + 1)] if i + 1 < n else [] for i in range(n)]
        order(rows, above, below)
    assert counts[1] < 2.2 * counts[0]


def test_the_layout_untangles_a_ladder():
    """Two chains whose nodes are created in turn, the second row in the wrong order, can be drawn without crossings."""
    parents = [[], [], [1], [0], [2], [3], [5], [4]]
    layout = layered(parents)
    in_order = sorted(range(8), key=lambda i: layout.xs[i])
    rows = [[i for i in in_order if layout.layers[i] == layer] for layer in range(4)]
    assert crossings(rows, parents) == 0


def test_spread_is_the_nearest_arrangement():
    np.testing.assert_allclose(spread([0, 5, 9], [1, 1, 1]), [0, 5, 9])
    np.testing.assert_allclose(spread([2, 2, 2], [1, 1, 1]), [1, 2, 3])
    np.testing.assert_allclose(spread([3, 1], [1, 1]), [1.5, 2.5])


def test_a_notebook_gets_an_iframe_and_a_file_gets_the_page(tmp_path):
    player = play(network()[0])
    assert player._repr_html_().startswith("<iframe") and "allow-scripts" in player._repr_html_()
    assert player.save(tmp_path / "tape.html").read_text(encoding="utf-8") == player.html
    assert "tape.html" in repr(player)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    tab = Browser(tmp_path_factory.mktemp("profile"))
    yield tab
    tab.close()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
class TestInABrowser:
    def open(self, browser, tmp_path, player, **how):
        browser.open(player.save(tmp_path / "tape.html"), **how)

    def text(self, browser, selector):
        return browser.ask(f"document.querySelector({json.dumps(selector)}).textContent")

    def test_it_walks_forward_and_backward_and_fetches_nothing(self, browser, tmp_path):
        with debug():
            y, leaves = network()
        player = play(y, names=leaves)
        self.open(browser, tmp_path, player)
        steps = len(player.story.events)
        assert self.text(browser, "header output") == f"step 1 of {steps}"
        browser.key("ArrowRight")
        assert self.text(browser, "header output") == f"step 2 of {steps}"
        browser.key("End")
        assert self.text(browser, "header output") == f"step {steps} of {steps}"
        browser.key("ArrowLeft")
        browser.key("Home")
        assert self.text(browser, "header output") == f"step 1 of {steps}"
        methods = [event["method"] for event in browser.events]
        assert methods.count("Network.requestWillBeSent") == 1  # the file itself
        assert "Runtime.exceptionThrown" not in methods and "Log.entryAdded" not in methods

    def test_it_shows_the_gradients_of_grad(self, browser, tmp_path):
        with debug():
            y, leaves = network()
        self.open(browser, tmp_path, play(y, names=leaves))
        browser.key("End")  # the rule of the first linear gives ∂L/∂W
        cells = browser.ask(
            "[...[...document.querySelectorAll('.map')].find(m => m.textContent.includes('for W'))"
            ".querySelectorAll('td')].map(c => Number(c.textContent.replace('−', '-')))"
        )
        (expected,) = grad(y, [leaves["W"]])
        np.testing.assert_allclose(np.reshape(cells, (5, 3)), expected, rtol=6e-4)  # four digits

    def test_a_sum_of_gradients_adds_up_on_the_page(self, browser, tmp_path):
        with debug():
            x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
            y = (ops.tanh(x) * x).sum()
        self.open(browser, tmp_path, play(y, names={"x": x}))
        browser.key("End")
        assert self.text(browser, "#step h2") == "x: gradients add up"
        tables = browser.ask(
            "[...document.querySelectorAll('.map')].map("
            "map => [...map.querySelectorAll('td')].map(cell => Number(cell.textContent)))"
        )
        t = np.tanh([1.0, 2.0, 3.0])
        np.testing.assert_allclose(tables, [t, x.data * (1 - t**2), t + x.data * (1 - t**2)], rtol=6e-4)

    def test_layers_fold_and_unfold_and_a_click_visits_a_node(self, browser, tmp_path):
        model = nn.Sequential(nn.Linear(3, 4), ops.tanh, nn.Linear(4, 2))
        with debug():
            y = model(Tensor(np.ones((2, 3)))).sum()
        self.open(browser, tmp_path, play(y, names=dict(model.named_parameters())))
        count = "document.querySelectorAll('.node').length"
        unfolded = browser.ask(count)
        browser.click('[data-key="f"]')
        assert browser.ask(count) == 2  # the model, and the sum
        browser.click('[data-key="u"]')
        assert browser.ask(count) == unfolded == 8
        browser.click('[data-node="7"]')
        assert self.text(browser, "#step h2").startswith("sum")

    def test_dark_and_big_type_for_a_wall(self, browser, tmp_path):
        self.open(browser, tmp_path, play(network()[0]), dark=True)
        assert browser.screenshot().mean() < 80
        before = browser.ask("parseFloat(getComputedStyle(document.body).fontSize)")
        browser.click('[data-key="+"]')
        assert browser.ask("parseFloat(getComputedStyle(document.body).fontSize)") == before + 2
        browser.click('[data-key="d"]')
        assert browser.screenshot().mean() > 150

    def test_a_graph_a_little_too_wide_is_made_to_fit_and_grows_with_the_type(self, browser, tmp_path):
        model = nn.Sequential(nn.Linear(3, 5), ops.tanh, nn.Linear(5, 1))
        y = (model(Tensor(np.ones((4, 3)))) ** 2).mean()
        self.open(browser, tmp_path, play(y, names=dict(model.named_parameters())), width=1280, height=720)
        pane = "document.querySelector('#graph')"
        assert browser.ask(f"{pane}.scrollWidth <= {pane}.clientWidth")
        width = "document.querySelector('#graph svg').getBoundingClientRect().width"
        before = browser.ask(width)
        browser.click('[data-key="+"]')
        assert browser.ask(width) > before

    def test_a_long_name_keeps_its_end_and_whole_words(self, browser, tmp_path):
        x = Tensor([1.0], requires_grad=True)
        w = Tensor([2.0], requires_grad=True)
        names = {"blocks.0.attention.out.weight": x, "averyveryverylongname": w}
        self.open(browser, tmp_path, play((x * w).sum(), names=names))
        labels = browser.ask("[...document.querySelectorAll('.node text:first-of-type')].map(t => t.textContent)")
        assert labels[:2] == ["out.weight", "…" + "averyveryverylongname"[-12:]]
        boxes = browser.ask(
            "[...document.querySelectorAll('.node')].map(n => [n.querySelector('text').getBBox().width,"
            " n.querySelector('rect').getBBox().width])"
        )
        assert all(text <= box - 34 for text, box in boxes), boxes  # the marks stand within 17 at either end

    def test_without_scripts_it_shows_the_table(self, browser, tmp_path):
        self.open(browser, tmp_path, play(network()[0]), script=False)
        assert browser.ask("document.querySelector('noscript').getBoundingClientRect().height") > 100
        assert "Y = X Wᵀ + b" in self.text(browser, "noscript")
