"""Strings built up character by character."""


def tokenize(text):
    tokens = []
    current = ""
    for character in text:
        if character.isalnum():
            current += character
        else:
            if current:
                tokens.append(current)
                current = ""
            if character != " ":
                tokens.append(character)
    if current:
        tokens.append(current)
    return tokens


def join(tokens):
    out = ""
    for token in tokens:
        if token.isdigit():
            out += "<" + token + ">"
        else:
            out = out + token.upper()
    return out


def run():
    total = 0
    for _ in range(60):
        total += len(join(tokenize("let x1 = 42 + foo(bar, 7) * 3; print(x1);")))
    return total
