"""A list nested 100,000 deep; code of C makes it, so that the trace stays short."""
import pickle


def run():
    x = pickle.loads(b"]" * 100_001 + b"a" * 100_000 + b".")
    y = 1
    x = x[0]
    return y


print(run())
