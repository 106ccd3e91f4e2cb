"""Containers that contain themselves on several ways: to follow each takes as long as there are numbers."""


def link(chain, value):
    node = {"value": value, "before": chain[-1], "after": None}
    chain[-1]["after"] = node
    chain.append(node)


def run():
    chain = [{"value": 0, "before": None, "after": None}]
    first = chain[0]
    for value in range(1, 5):
        link(chain, value)
    pair = [[], "a text that is long enough for a container to be looked at in another way" * 8]
    pair[0] += [pair, pair]
    pair.append(pair)
    first["value"] = 7
    return chain[1]["before"]["value"], pair[0][1] is pair, len(pair)


print(run())
