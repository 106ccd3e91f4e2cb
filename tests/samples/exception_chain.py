"""An exception raised while another one is handled keeps it as `__context__`."""
def run():
    try:
        try:
            {}["a"]
        except KeyError:
            int("b")
    except ValueError as error:
        return type(error.__context__).__name__


print(run())
