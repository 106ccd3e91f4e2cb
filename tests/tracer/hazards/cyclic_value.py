"""Containers that contain themselves."""
def run():
    a = [1]
    a.append(a)
    d = {}
    d["d"] = d
    both = [a, d]
    return len(both)


print(run())
