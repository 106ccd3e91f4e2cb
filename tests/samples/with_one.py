"""A context manager class."""
class Log:
    def __enter__(self):
        return ["in"]

    def __exit__(self, kind, error, where):
        print("out", kind)


with Log() as log:
    log.append("body")
print(log)
