"""An exception that comes back through a generator and a with."""

from contextlib import contextmanager, suppress, ExitStack
@contextmanager
def manager(n):
    try:
        yield n
    except ValueError:
        n = 2
    finally:
        n = 3
with manager(1) as m:
    raise ValueError
with suppress(KeyError), manager(2):
    raise KeyError
with ExitStack() as stack:
    stack.enter_context(manager(3))
    stack.callback(lambda: 4)
try:
    with manager(4): raise OSError
except OSError: pass
