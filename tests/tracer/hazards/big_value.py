"""A text of three million characters beside a loop: it must not be written again for each line."""
def run():
    text = "x" * 3_000_000
    total = 0
    for i in range(200):
        total += i
    return total, len(text)


print(run())
