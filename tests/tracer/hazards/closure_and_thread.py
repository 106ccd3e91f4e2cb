"""A variable of an enclosing function that one thread sets while another one's step is recorded."""
import threading


def run():
    number = 0
    asked, answered = threading.Event(), threading.Event()

    class Waits:
        def __repr__(self):
            asked.set()
            answered.wait(5)
            return "Waits()"

    def work():
        waits = Waits()
        return waits and number

    def read(results):
        results.append(work())

    results = []
    thread = threading.Thread(target=read, args=(results,))
    thread.start()
    asked.wait(0.2)
    number = 1
    answered.set()
    thread.join()
    return number


print(run())
