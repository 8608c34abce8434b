"""The tape, played: a page that runs forward op by op, then backward rule by rule.

    with debug():                    # so that every value is kept to be shown
        y = ((x @ W).sum() - 1) ** 2
    play(y, names={"x": x, "W": W}).save("tape.html")

A notebook shows the player as the last line of a cell. The page needs no network. Keys: → and ←, Home and End, space to
run, + and − for the size of the type, f to fold the layers of a model and u to unfold them, d for dark or light.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autograd.explain import explain
from autograd.play.page import iframe, render
from autograd.play.story import Story, tell
from autograd.tensor import Tensor

__all__ = ["Player", "play"]


class Player:
    """What `play` returns. `story` has the steps with their arrays, `html` is the page."""

    def __init__(self, story: Story, html: str):
        self.story, self.html = story, html

    def save(self, path: str | Path) -> Path:
        """Write the page to a file, and return its path."""
        path = Path(path)
        path.write_text(self.html, encoding="utf-8")
        return path

    def _repr_html_(self) -> str:
        return iframe(self.html, 760)

    def __repr__(self) -> str:
        steps = len(self.story.events)
        return f"<the tape of {len(self.story.nodes)} nodes in {steps} steps: .save('tape.html') writes the page>"


def play(
    y: Tensor,
    g: Any = None,
    create_graph: bool = False,
    names: Mapping[str, Tensor] | None = None,
    title: str = "The tape",
) -> Player:
    """Run the gradient of Σ g y and record every step of it, as a page to walk through.

    g: as in `grad`; may be left out where y has one element. create_graph: the rules run on Tensors, and the second
    tape that they record grows beside the first. names={"W": W} labels leaves. Values that neither a rule nor debug
    mode keeps are shown as "not kept". Touches no `.grad`. Errors are those of `grad`.
    """
    story = tell(y, g, create_graph, names)
    return Player(story, render(story, title, explain(y, names=names), names))
