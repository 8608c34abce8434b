import numpy as np

from autograd import Tensor, grad


def jacobian_vector(f, x, v):
    """J v at the array x."""
    x = Tensor(x, requires_grad=True)
    y = f(x)
    u = Tensor(np.ones(y.shape), requires_grad=True)  # any u will do
    (pulled,) = grad(y, [x], g=u, create_graph=True)  # Jᵀ u
    (product,) = grad((pulled * v).sum(), [x])
    return product
