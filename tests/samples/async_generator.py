"""An asynchronous generator."""
import asyncio


async def ticks(n):
    for i in range(n):
        await asyncio.sleep(0)
        yield i * 10


async def main():
    total = 0
    async for tick in ticks(2):
        total += tick
    return total


print(asyncio.run(main()))
