"""Two context managers in one `with`."""
class Named:
    def __init__(self, name):
        self.name = name

    def __enter__(self):
        return self.name

    def __exit__(self, *error):
        print("leave", self.name)


def run():
    with Named("a") as a, Named("b") as b:
        return a + b


print(run())
