# Code that goes by this file's name and is not its text.

names = {}
exec(compile("def q():\n    n = 1\n    return n\n", __file__, "exec"), names)
first = names["q"]()
print(first)
