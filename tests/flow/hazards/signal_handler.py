"""A signal handler."""

import signal

seen = 0


def handler(number, frame):
    global seen
    seen += 1
    if seen > 1:
        raise OSError


before = signal.signal(signal.SIGUSR1, handler)


def spin():
    i = 0
    signal.raise_signal(signal.SIGUSR1)
    i = i
    return i


spin()
try:
    spin()
except OSError:
    pass
signal.signal(signal.SIGUSR1, before)
