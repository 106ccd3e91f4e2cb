"""`try` with all four parts."""
def run(text):
    try:
        number = int(text)
    except ValueError:
        number = -1
    else:
        number += 1
    finally:
        done = True
    return number, done


print(run("4"), run("x"))
