"""The program that `cwm-trace demo` records: Kadane's maximum subarray, small enough to read on a screen."""


def best_run(values: list[int]) -> int:
    best = current = values[0]
    for value in values[1:]:
        current = max(value, current + value)
        best = max(best, current)
    return best


if __name__ == "__main__":
    print(best_run([3, -5, 4, -1, 2]))
