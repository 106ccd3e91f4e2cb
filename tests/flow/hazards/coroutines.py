"""Coroutines."""

import asyncio
class Wait:
    def __await__(self):
        yield
        return 3
class Context:
    async def __aenter__(self):
        await asyncio.sleep(0)
        return self
    async def __aexit__(self, *a):
        await asyncio.sleep(0)
        return True
async def numbers(n):
    try:
        for i in range(n):
            yield i
            await asyncio.sleep(0)
    finally:
        n = 0
async def work(n):
    total = 0
    async for i in numbers(n):
        total += i
    async with Context() as c:
        raise ValueError
    total += sum([j async for j in numbers(2)])
    try:
        await asyncio.wait_for(asyncio.sleep(10), 0.001)
    except asyncio.TimeoutError:
        total += 1
    async for i in numbers(5):
        if i == 1: break
    return total
async def main():
    a = await asyncio.gather(work(2), work(3))
    t = asyncio.create_task(asyncio.sleep(10))
    await asyncio.sleep(0)
    t.cancel()
    try:
        await t
    except asyncio.CancelledError:
        a = None
    return a
x = asyncio.run(main())
