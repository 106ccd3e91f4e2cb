"""Bubble sort of 120 integers: a list that changes in place."""


def bubble_sort(items):
    size = len(items)
    for done in range(size):
        swapped = False
        for index in range(size - done - 1):
            if items[index] > items[index + 1]:
                items[index], items[index + 1] = items[index + 1], items[index]
                swapped = True
        if not swapped:
            break
    return items


def run():
    state = 12345
    items = []
    for _ in range(120):
        state = (state * 1103515245 + 12345) % 2147483648
        items.append(state % 1000)
    return sum(index * item for index, item in enumerate(bubble_sort(items)))
