"""A signal handler."""

import signal
seen = 0
def handler(number, frame):
    global seen
    seen += 1
    if seen > 1:
        raise OSError
signal.signal(signal.SIGALRM, handler)
def spin():
    i = 0
    while seen < 1:
        i = i
    return i
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
spin()
try:
    while True:
        pass
except OSError:
    pass
signal.setitimer(signal.ITIMER_REAL, 0)
