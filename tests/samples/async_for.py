"""`async for` over a class with `__aiter__` and `__anext__`."""
import asyncio


class Down:
    def __init__(self, n):
        self.n = n

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.n:
            raise StopAsyncIteration
        self.n -= 1
        return self.n


async def main():
    return [n async for n in Down(2)]


print(asyncio.run(main()))
