import random

from experiments.learn.checking import wrong

START_FAILS_WITH = "is run before"


class Node:
    def __init__(self, id, *parents):
        self.id, self.parents = id, parents

    def __repr__(self):
        return f"node {self.id}"


def reachable(y):
    return {y}.union(*map(reachable, y.parents))


def examine(found, y):
    if not isinstance(found, list):
        wrong(f"order(y) is no list, but {type(found).__name__}")
    if len(set(found)) < len(found):
        wrong(f"a node appears twice in {found}")
    if set(found) != reachable(y):
        wrong(f"{found} are not the nodes that y depends on: those are {sorted(reachable(y), key=lambda n: n.id)}")
    for i, node in enumerate(found):
        if users := [user for user in found[i + 1 :] if node in user.parents]:
            wrong(f"in {found}, {node} is run before {users[0]}, which uses it: its gradient is not complete")


def check(answer):
    a = Node(0)
    b = Node(1, a, a)
    c = Node(2, b, a)
    y = Node(3, c, b)
    examine(answer.order(y), y)
    chance = random.Random(0)
    for _ in range(20):
        nodes = [Node(0)]
        for i in range(1, 12):
            nodes.append(Node(i, *chance.choices(nodes, k=2)))
        examine(answer.order(nodes[-1]), nodes[-1])
