"""A coroutine that is driven with `send`, without an event loop."""
class Signal:
    def __await__(self):
        answer = yield "question"
        return answer


async def ask():
    answer = await Signal()
    return answer + 1


c = ask()
question = c.send(None)
try:
    c.send(41)
except StopIteration as stop:
    answer = stop.value
print(question, answer)
