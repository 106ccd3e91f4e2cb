"""Automata: a walk on a grid, and a machine of named states that a text drives; both branch at every step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.family import Axis, Draft, Family

_COMPASSES = ("NESW", "URDL", "^>v<", ("north", "east", "south", "west"), ("up", "right", "down", "left"))
_DELTAS = (("+", 1), ("+", 0), ("-", 1), ("-", 0))  # sign and axis (1: y) of each direction
STATES = ("idle", "run", "wait", "open", "close", "start", "go", "stop", "low", "high", "even", "odd")


def _draw_grid(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw a start, then the moves."""
    size, steps, edge = knobs["size"], knobs["steps"], knobs["edge"]
    compass = draw.pick(_COMPASSES)
    moves: Any
    if isinstance(compass, str):
        moves = draw.letters(steps, compass)
        steps = len(moves)
    else:
        moves = [draw.pick(compass) for _ in range(steps)]
    x, y = draw.pick((("x", "y"), ("col", "row"), ("px", "py"), ("a", "b")))
    way, one, blocked = (
        draw.pick(("moves", "path", "route", "walk")),
        draw.pick("mdc"),
        draw.pick(("hits", "bumps")),
    )
    order = draw.sample(range(4), 4)
    lines = [f"def f({way}):", f"    {x}, {y} = {draw.below(size)}, {draw.below(size)}"]
    if edge == "stop":
        lines.append(f"    {blocked} = 0")
    lines.append(f"    for {one} in {way}:")
    for place, direction in enumerate(order):
        sign, axis = _DELTAS[direction]
        name = (x, y)[axis]
        test = f"{one} == {compass[direction]!r}"
        if edge == "stop":
            test += f" and {name} < {size - 1}" if sign == "+" else f" and {name} > 0"
        lines.append(f"        {'elif' if place else 'if'} {test}:")
        moved = f"{name} = ({name} {sign} 1) % {size}" if edge == "wrap" else f"{name} {sign}= 1"
        lines.append(f"            {moved}")
    if edge == "stop":
        lines += ["        else:", f"            {blocked} += 1"]
    lines.append(f"    return {x}, {y}, {blocked}" if edge == "stop" else f"    return {x}, {y}")
    return Draft("\n".join(lines) + "\n", f"f({moves!r})", 7 + 6 * steps)


GRID = Family(
    "grid",
    "a walk on a grid, with its edges",
    {
        "size": Axis("cells along each side", 5, 2, 9),
        "steps": Axis("moves, at least", 8, 1, 200),
        "edge": Axis("what the edge does", "stop", choices=("stop", "wrap", "open")),
    },
    _draw_grid,
)


def _draw_automaton(draw: Draw, knobs: Mapping[str, Any]) -> Draft:
    """Draw the transitions, then the text."""
    count, symbols, steps, form = knobs["states"], knobs["symbols"], knobs["steps"], knobs["form"]
    states: list[Any] = draw.sample(STATES, count) if draw.chance(0.6) else list(range(count))
    alphabet = draw.pick(("abcd", "01AB", "xyzw", "+-*."))[:symbols]
    text = draw.letters(steps, alphabet)
    steps = len(text)
    name, one, state, total = draw.names("text", "char", "flow", "total")
    table = {(here, letter): draw.pick(states) for here in states for letter in alphabet}
    gains = {here: draw.number(1, 9) for here in states}
    if form == "table":
        rows = ",\n".join(
            f"    {here!r}: {{"
            + ", ".join(f"{letter!r}: {table[here, letter]!r}" for letter in alphabet)
            + "}"
            for here in states
        )
        source = (
            f"TABLE = {{\n{rows},\n}}\n\n\ndef f({name}):\n    {state} = {states[0]!r}\n    {total} = 0\n"
            f"    for {one} in {name}:\n        if TABLE[{state}][{one}] != {state}:\n"
            f"            {total} += {draw.number(1, 9)}\n        {state} = TABLE[{state}][{one}]\n"
            f"    return {state}, {total}\n"
        )
        return Draft(source, f"f({text!r})", 10 + 2 * count * (symbols + 1) + 4 * (steps + 1))
    lines = [
        f"def f({name}):",
        f"    {state} = {states[0]!r}",
        f"    {total} = 0",
        f"    for {one} in {name}:",
    ]
    nested = "        "
    if form == "match":
        lines.append(f"        match {state}:")
        nested += "    "
    for place, here in enumerate(states):
        test = f"case {here!r}" if form == "match" else f"{'elif' if place else 'if'} {state} == {here!r}"
        lines.append(f"{nested}{test}:")
        for rank, letter in enumerate(alphabet):
            last = rank and rank == symbols - 1
            test = "else" if last else f"{'elif' if rank else 'if'} {one} == {letter!r}"
            there = table[here, letter]
            act = f"{total} += {gains[here]}" if there == here else f"{state} = {there!r}"
            lines += [f"{nested}    {test}:", f"{nested}        {act}"]
    lines.append(f"    return {state}, {total}")
    return Draft("\n".join(lines) + "\n", f"f({text!r})", 6 + steps * (4 + count + symbols))


AUTOMATA = Family(
    "automata",
    "a machine of named states that a text drives",
    {
        "states": Axis("number of states", 3, 2, 8),
        "symbols": Axis("different letters of the text", 2, 2, 4),
        "steps": Axis("letters of the text, at least", 8, 1, 200),
        "form": Axis("how transitions are written", "if", choices=("if", "match", "table")),
    },
    _draw_automaton,
)
