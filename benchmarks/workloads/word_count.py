"""Word counts: dicts that grow, lists inside dicts."""

TEXT = "the quick brown fox jumps over the lazy dog and the cat sat on the mat while a red fox ran past " * 3


def count(words):
    frequency = {}
    index = {}
    for position, word in enumerate(words):
        if word in frequency:
            frequency[word] += 1
        else:
            frequency[word] = 1
        index.setdefault(word[0], []).append(position)
    return frequency, index


def run():
    total = 0
    for _ in range(12):
        words = TEXT.split()
        frequency, index = count(words)
        best = sorted(frequency.items(), key=lambda item: (-item[1], item[0]))
        total += best[0][1] + len(index)
    return total
