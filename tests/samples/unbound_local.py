"""A local variable that is read before it is bound."""
def run(flag):
    if flag:
        value = 1
    return value


try:
    run(False)
except UnboundLocalError as error:
    kind = type(error).__name__
print(kind, run(True))
