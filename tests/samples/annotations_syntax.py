"""Annotated assignments, with and without a value."""
from typing import Optional

limit: int = 3
name: str


def clip(x: int, top: Optional[int] = None) -> int:
    bound: int = limit if top is None else top
    unset: str
    return min(x, bound)


print(clip(9), clip(9, top=5))
