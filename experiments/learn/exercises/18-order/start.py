def order(y) -> list:
    found, waiting = [], [y]
    while waiting:
        node = waiting.pop(0)
        if node not in found:
            found.append(node)
            waiting.extend(node.parents)
    return found
