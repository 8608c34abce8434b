"""Check gradients numerically, to first and second order, and say in words what is wrong with a wrong one.

    gradcheck(ops.tanh, np.linspace(-2.0, 2.0, 5))     # silent if the gradients agree

`check.py` says what is compared, `comparisons.py` compares, `differences.py` differentiates numerically with an error
estimate, `diagnosis.py` finds the words, `repair.py` searches one edit that makes a wrong rule right.
"""

from autograd.gradcheck.check import gradcheck
from autograd.gradcheck.hints import GradcheckError

__all__ = ["GradcheckError", "gradcheck"]
