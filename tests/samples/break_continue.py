"""`break` and `continue` in nested loops."""
def run():
    seen = []
    for a in range(3):
        if a == 1:
            continue
        for b in range(3):
            if b == 1:
                break
            seen.append((a, b))
    return seen


print(run())
