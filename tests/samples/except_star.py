"""`except*` splits an exception group (PEP 654, 3.11)."""
def run():
    log = []
    try:
        raise ExceptionGroup("both", [ValueError(1), TypeError(2)])
    except* ValueError as group:
        log.append(group.exceptions)
    except* TypeError:
        log.append("type")
    return log


print(run())
