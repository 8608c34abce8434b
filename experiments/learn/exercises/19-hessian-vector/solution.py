from autograd import Tensor, grad


def hessian_vector(f, x, v):
    """H v at the array x."""
    x = Tensor(x, requires_grad=True)
    (slope,) = grad(f(x), [x], create_graph=True)
    number = (slope * v).sum()
    (product,) = grad(number, [x])
    return product
