"""`sorted` and `max` call back."""
def by_length(word):
    return len(word)


words = ["ccc", "a", "bb"]
print(sorted(words, key=by_length), max(words, key=lambda w: w[0]))
