"""An expression over several lines."""
def run(a, b):
    total = (
        a
        + b
        * 2
    )
    both = (a and
            b)
    data = [
        total,
        both,
    ]
    return data


print(run(1, 2))
