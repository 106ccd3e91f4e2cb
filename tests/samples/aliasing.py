"""Two names for one list: a change through one shows in both."""
def run():
    a = [1]
    b = a
    b.append(2)
    c = a + []
    a[0] = 9
    d = {"k": a}
    d["k"].append(3)
    return a, b, c, d


print(run())
