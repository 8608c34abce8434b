from typing import NamedTuple


class Node(NamedTuple):
    parents: list  # numbers of nodes, all older than this one
    slopes: list  # ∂value/∂parent for each parent


def sweep(nodes: list) -> list:
    grads = [0.0] * len(nodes)
    grads[-1] = 1.0
    for i in reversed(range(len(nodes))):
        for parent, slope in zip(nodes[i].parents, nodes[i].slopes, strict=True):
            grads[parent] += grads[i] * slope
    return grads
