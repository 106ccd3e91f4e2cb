"""Which constants a split may use, so that no constant of a generated test item was seen in training.

Every int and every string belongs to one of five classes, three of which are `train`'s and one each `dev`'s
and `test`'s:

- an int by its absolute value; each aligned block of five has one of each class, in an order that differs
  from block to block, so that no last digit gives the split away;
- a float as the int of its hundredths;
- a string by the sum of the code points of its letters and digits.

Shared by all splits, because programs cannot do without them: ints below 10, 10, 100 and 1000, floats below
3 that are a multiple of a half, strings with less than two letters or digits, and `_SHARED_WORDS`, which name
operations rather than data or label what is printed. The rest of an f-string is no constant of a pool, nor is
a number that only states a knob of the item, such as the iterations of its loop.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

CLASSES = {"train": (0, 1, 2), "dev": (3,), "test": (4,)}
_SHARED_INTS = frozenset((*range(10), 10, 100, 1000))
_SHARED = (
    "push pop add dup swap peek drop put get move turn set del inc dec append popleft appendleft rotate"
    " north south east west left right up down open close idle run stop wait go start done none"
    " even odd big small low high pos neg zero yes no ok bad error empty fizz buzz x y n id name ab aeiou"
)
LABELS = (
    "total:",
    "sum:",
    "result:",
    "count:",
    "steps:",
    "max:",
    "Total:",
    "Result:",
    "Answer:",
    "answer =",
    "n =",
)
"""What printed lines begin with; no word of a pool ends so."""
_SHARED_WORDS = frozenset((*_SHARED.split(), *LABELS, "__main__"))

_WORDS = """
    able acid after again air alarm amber angle ant apple april apron arch arrow atlas autumn axis bacon badge
    baker bamboo banana barn basil basket beach beacon bean bear berry bike birch bird bishop blade blanket
    blue boat bonus book border bottle branch bread brick bridge bronze brook brush bubble bucket butter
    button cabin cable cactus cake camel camera candle canyon carbon card cargo carpet castle cedar chain
    chair chalk cherry chess chief chorus cider circle city clay cliff clock cloud clover coast cobra cocoa
    coffee comet copper coral corn cotton cousin crane crayon cricket crow crown crystal curve daisy dance
    deer delta desert desk dinner dolphin donkey dragon drum duck dune eagle earth echo elbow elm ember engine
    falcon feather fence fern field fig finch fire fish flag flame flute foam fog forest fossil fox frog frost
    fruit garden garlic gate ginger glass glove goat gold goose grain grape grass gravel green grove guitar
    hammer harbor hat hawk hazel hello heron hill honey horn horse house igloo indigo ink iris iron island
    ivory ivy jacket jade jaguar jelly jewel juice jungle kale kayak kettle key king kite kiwi koala label
    lace ladder lake lamp lark laurel lava leaf lemon lentil level lily lime linen lion lizard llama lobster
    locket lotus lunar magnet maple marble market marsh mask meadow melon mesa metal mint mirror mitten moon
    moss moth motor mouse mud museum nectar needle nest nickel night noodle north nut oak oasis oat ocean
    olive onion opal orange orbit orchid otter oven owl oyster paddle palm panda paper parrot pasta peach pear
    pearl pebble pencil pepper piano pigeon pillow pine pirate planet plum pocket poem pond poppy potato prism
    puzzle quail quartz queen quill rabbit radar radio rain raven reef ribbon rice ring river robin robot
    rocket roof root rose ruby saddle saffron sail salad salmon salt sand satin school seal seed shadow shark
    sheep shell ship silk silver sketch sky snail snow socket solar spark spice spider spoon spring squid star
    steam stone storm straw sugar summer sun swan table tango tea temple thorn tiger timber tin toast tomato
    torch tower train tree trumpet tulip tunnel turtle vanilla velvet violet violin wagon walnut water wave
    wheat whistle willow wind window winter wolf wood wool yarn yellow zebra zinc
"""
WORDS = tuple(_WORDS.split())


def class_of(value: int | float | str) -> int | None:
    """The class of a constant, 0 to 4; None: every split may use it.

    >>> class_of(9), class_of(-23) == class_of(23), class_of("push")
    (None, True, None)
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        characters = [ord(character) for character in value if character.isalnum()]
        return None if value in _SHARED_WORDS or len(characters) < 2 else sum(characters) % 5
    if isinstance(value, float):
        if abs(value) < 3 and value * 2 % 1 == 0:
            return None
        size = round(abs(value) * 100)
    else:
        size = abs(value)
        if size in _SHARED_INTS:
            return None
    return (size + size // 5 * 3) % 5


INTS = {
    split: tuple(n for n in range(-1999, 2000) if class_of(n) is None or class_of(n) in classes)
    for split, classes in CLASSES.items()
}
"""Ints that a split may use, ascending."""

SPLIT_WORDS = {
    split: tuple(word for word in WORDS if class_of(word) in classes) for split, classes in CLASSES.items()
}
"""Words that a split may use."""


def int_range(split: str, low: int, high: int) -> tuple[int, int]:
    """The part of `INTS[split]` from `low` to `high`, both included, as a slice."""
    return bisect_left(INTS[split], low), bisect_right(INTS[split], high)
