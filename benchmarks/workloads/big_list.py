"""A list of 10,000 integers that changes a little on every turn."""


def run():
    data = list(range(10_000))
    total = 0
    for step in range(100):
        key = (step * 7919) % 10_000
        data[key] = step - key
        if step % 3 == 0:
            data.append(step)
        total += data[key]
    return total
