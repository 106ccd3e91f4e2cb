"""A function that runs in another thread."""
import threading

result = []


def work():
    local = 1
    result.append(local)


def run():
    t = threading.Thread(target=work)
    t.start()
    t.join()
    return result


seen = run()
print(seen)
