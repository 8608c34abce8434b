"""ViTGAN and its baselines, their losses, data, metrics and training, on the hand-written engine below."""

from importlib.util import find_spec
from pathlib import Path

__version__ = "0.1.0"


def _require_engine() -> None:
    """ImportError, with the cure, if `import autograd` finds another package than the engine.

    HIPS distributes another `autograd` on PyPI. Where both are installed, its `__init__.py` hides or replaces ours.
    The file is read, not run: importing the engine loads NumPy, and a command must set its number of threads before.
    """
    spec = find_spec("autograd")
    init = Path(spec.origin) if spec and spec.origin else None
    if init and "autograd.tensor" in init.read_text(encoding="utf-8"):
        return
    found = f"another package ({init.parent})" if init else "no package"
    raise ImportError(
        f"`import autograd` finds {found} where minigan's own engine should be: run `pip uninstall autograd`, then "
        "`pip install -e .` in the checkout of minigan, and keep HIPS autograd in another environment"
    )


_require_engine()
