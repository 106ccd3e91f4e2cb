"""`match` with a guard that fails after it bound a name."""
def sign(n):
    match n:
        case x if x > 0:
            return "+"
        case x if x < 0:
            return "-"
    return "0"


print(sign(1), sign(-1), sign(0))
