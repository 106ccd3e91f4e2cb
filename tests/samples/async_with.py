"""`async with` over a class with `__aenter__` and `__aexit__`."""
import asyncio


class Door:
    async def __aenter__(self):
        return "inside"

    async def __aexit__(self, kind, error, where):
        return kind is KeyError


async def main():
    async with Door() as place:
        seen = place
        raise KeyError(seen)
    return seen


print(asyncio.run(main()))
