"""`match` on sequences and mappings with a star."""
def parse(command):
    match command:
        case ["go", *rest]:
            return rest
        case {"do": action, **others}:
            return action, others
        case (first, (second, _)):
            return first + second


print(parse(["go", 1, 2]), parse({"do": "x", "n": 1}), parse((1, (2, 3))))
