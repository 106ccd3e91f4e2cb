"""Coroutines that an event loop runs; one of them suspends."""
import asyncio


async def fetch(n):
    await asyncio.sleep(0)
    return n + 1


async def main():
    first = await fetch(1)
    second = await fetch(first)
    return first + second


total = asyncio.run(main())
print(total)
