import numpy as np

from experiments.learn.checking import normal, same

START_FAILS_WITH = "has shape (3, 4), and should have shape (3, 1)"


def check(answer):
    for shape in ((4,), (3, 4), (3, 1), (1, 4), (1,), (), (2, 3, 4), (2, 1, 4), (1, 1, 1)):
        whole = np.broadcast_shapes(shape, (3, 4))
        g = normal(*whole)
        owner = np.broadcast_to(np.arange(np.prod(shape, dtype=int)).reshape(shape), whole)  # which element was copied
        right = np.bincount(owner.ravel(), g.ravel()).reshape(shape)
        same(f"sum_to of a g of shape {whole}, to the shape {shape},", answer.sum_to(g, shape), right)
