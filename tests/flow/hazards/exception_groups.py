"""Except* and groups."""

import sys
if sys.version_info >= (3, 11):
    exec('''
def f():
    try:
        raise ExceptionGroup("g", [ValueError(1), KeyError(2)])
    except* ValueError as e:
        x = 1
    except* KeyError:
        x = 2
    return x
f()
''')
