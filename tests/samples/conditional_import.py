"""A sibling module that is imported only where it is needed."""
def pick(fast):
    if fast:
        from sibling_fast import run
    else:
        from sibling_names import double as run
    return run(21)


slow = pick(False)
quick = pick(True)
print(slow, quick)
