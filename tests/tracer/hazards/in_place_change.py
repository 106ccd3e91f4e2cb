"""Containers changed by methods only."""
def run():
    a = [1]
    a.append(2)
    d = {"k": [1]}
    d["k"].append(3)
    z = 0
    return len(a)


print(run())
