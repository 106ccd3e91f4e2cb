"""A comprehension over a string shows its iterator's type (str_ascii_iterator from 3.11)."""
def letters(word):
    return [c.upper() for c in word]


def vowels(word):
    return sum(c in "aeiou" for c in word)


print(letters("ab"), vowels("ab"))
