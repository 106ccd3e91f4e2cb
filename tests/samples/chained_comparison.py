"""A chained comparison evaluates its middle once and may stop early."""
def middle(log, x):
    log.append(x)
    return x


log = []
a = 0 < middle(log, 5) < 10
b = 9 < middle(log, 5) < middle(log, 10)
print(a, b, log)
