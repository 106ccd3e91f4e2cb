"""`__del__` that tells when it ran."""
log = []


class Handle:
    def __init__(self, name):
        self.name = name

    def __del__(self):
        log.append(self.name)


def run():
    h = Handle("first")
    h = None
    log.append("after first")
    g = Handle("second")
    del g
    log.append("end")
    return list(log)


seen = run()
print(seen)
