"""A module in a notebook: a tree that ends, in HTML that a name cannot break."""

import numpy as np

import nn


def test_a_child_that_refers_to_its_parent_ends_the_tree():
    class Parent(nn.Module):
        def __init__(self):
            self.child = nn.Linear(1, 1)
            self.child.parent = self

    page = Parent()._repr_html_()
    assert page.count("<details") == page.count("</details>") == 2
    assert "parent: …</div>" in page


def test_names_are_escaped():
    model = nn.Module()
    model.heads = {"<b>": nn.Linear(1, 1), "<i>": nn.Parameter(np.ones(2))}
    page = model._repr_html_()
    assert "heads.&lt;b&gt;: " in page and "heads.&lt;i&gt;: " in page
    assert "heads.<" not in page
