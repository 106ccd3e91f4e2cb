"""`exec` and `eval` of text (a file of its own) and of code that names this file."""
source = "def triple(x):\n    return 3 * x\n"
exec(source)
value = triple(2)
total = eval("value + 1", {"value": value})


def local_names():
    exec("hidden = 1")
    return sorted(locals())


print(value, total, local_names())
