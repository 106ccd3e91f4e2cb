"""`match` on literals and alternatives."""
def name(n):
    match n:
        case 0:
            return "zero"
        case 1 | 2:
            return "few"
        case str():
            return "text"
        case _:
            return "many"


print(name(0), name(2), name("x"), name(9))
