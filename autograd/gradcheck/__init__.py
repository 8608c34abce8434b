"""Check gradients numerically, to first and second order, and say in words what is wrong with a wrong one.

    gradcheck(ops.tanh, np.linspace(-2.0, 2.0, 5))     # silent if the gradients agree

`check.py` compares, `differences.py` differentiates numerically with an error estimate, `diagnosis.py` finds the words.
"""

from autograd.gradcheck.check import gradcheck
from autograd.gradcheck.hints import GradcheckError

__all__ = ["GradcheckError", "gradcheck"]
