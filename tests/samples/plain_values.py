"""Values of many built-in types."""
nothing = None
yes = True
ratio = 0.1 + 0.2
big = 2**70
nan = float("nan")
minus = -float("inf")
z = 1 + 2j
data = b"\x00a"
dots = ...
text = 'it\'s "x"\n'
pair = (1,)
empty = [], {}, (), set(), frozenset()
span = range(3)
part = slice(1, 2)
print(yes)
