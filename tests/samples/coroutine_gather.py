"""Two coroutines that take turns."""
import asyncio


async def step(name, log):
    log.append(name)
    await asyncio.sleep(0)
    log.append(name.upper())
    return name


async def main():
    log = []
    names = await asyncio.gather(step("a", log), step("b", log))
    return names, log


result = asyncio.run(main())
print(result)
