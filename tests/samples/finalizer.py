"""`__del__` runs where the last reference goes."""
log = []


class Handle:
    def __init__(self, name):
        self.name = name

    def __del__(self):
        log.append(self.name)


def run():
    h = Handle("first")
    h = None
    log.append("between")
    g = Handle("second")
    del g


run()
print(log)
