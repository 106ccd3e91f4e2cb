"""The loops of general programs: over what has a known size, or with a counter that nothing else changes."""

from __future__ import annotations

from typing import NamedTuple

from cwm_trace.datasets.generators.forms import LONGEST
from cwm_trace.datasets.generators.general_statements import EMPTY, SIMPLE, change, write_fallback, write_some
from cwm_trace.datasets.generators.general_writer import Writer
from cwm_trace.datasets.generators.notation import complete

MOST = 40  # the product of the iterations of the loops around a line
_TWO_ENDS = (("left", "right"), ("i", "j"), ("lo", "hi"), ("start", "end"))
_ITEMS = {"str": "char", "list": "int", "words": "str", "dict": "str", "set": "int", "tally": "int"}


class Bound(NamedTuple):
    """A variable that a loop binds."""

    name: str
    kind: str
    size: int


class Header(NamedTuple):
    """A `for` header: what it binds, its iterations at the most, what must not change meanwhile."""

    text: str
    bound: tuple[Bound, ...]
    times: int
    frozen: tuple[str, ...] = ()


def _draw_range(w: Writer, most: int) -> Header | None:
    draw, counts = w.draw, w.variables("count")
    bound = draw.pick(counts) if counts and draw.chance(0.7) else str(draw.between(2, 5))
    times = w.sizes[bound] if bound in w.sizes else int(bound)
    if times > most:
        return None
    name = w.new("index")
    return Header(
        f"for {name} in range({draw.pick(('', '', '1, '))}{bound}):", (Bound(name, "int", 0),), times
    )


def _draw_header(w: Writer) -> Header | None:
    most = max(MOST // w.times, 2)
    sized = [name for name, kind in w.types.items() if kind in _ITEMS and w.sizes[name] > 1]
    share = w.draw.random()
    if share < 0.2 or not sized:
        return _draw_range(w, most)
    over = text = w.recent(sized)
    kind, size = w.types[over], w.sizes[over]
    if size > min(most, 8):
        if kind not in ("str", "list", "words"):
            return None
        size = min(most, 6)
        text = f"{over}[:{size}]"
    item = _ITEMS[kind]
    name = w.new({"char": "char", "int": "item"}.get(item, "key"))
    other = w.new("index")
    while other == name:
        other = w.new("index")
    bound = Bound(name, item, LONGEST if item == "str" else 1)
    if kind in ("dict", "tally") and share < 0.8:
        while other == name or other in "ijt":
            other = w.new("item")
        return Header(
            f"for {name}, {other} in {text}.items():", (bound, Bound(other, "int", 0)), size, (over,)
        )
    if kind == "set":
        return Header(f"for {name} in sorted({text}):", (bound,), size)
    if share > 0.85 and kind in ("str", "list", "words"):
        index = Bound(other, "int", 0)
        return Header(f"for {other}, {name} in enumerate({text}):", (index, bound), size, (over,))
    if share > 0.78 and kind in ("list", "words"):
        text = f"reversed({text})"
    return Header(f"for {name} in {text}:", (bound,), size, (over,))


def write_for(w: Writer) -> None:
    """A `for` loop, mostly with something that it adds to."""
    if w.indent > w.nesting or not w.affords(20):
        return
    header = _draw_header(w)
    if header is None or not w.affords(4 * header.times + 8):
        return
    kind = w.draw.pick(("int", "int", "str", "list", "words", "dict", "list", "set", ""))
    if kind == "dict" and header.bound[-1].kind == "int":
        kind = "tally"
    name = ""
    if kind and header.times < LONGEST:
        names = [bound.name for bound in header.bound]
        role = {"int": "total", "tally": "dict"}.get(kind, kind)
        name = w.new(role)
        while name in names:
            name = w.new(role)
        w.put(f"{name} = {EMPTY[kind]}")
        w.declare(kind, 0 if kind == "int" else header.times + 1, name)
    w.put(header.text, w.times * (header.times + 1))

    def body() -> None:
        for bound in header.bound:
            w.declare(bound.kind, bound.size, bound.name)
        w.frozen |= {bound.name for bound in header.bound}
        before = len(w.lines)
        for _ in range(w.draw.between(0, 2)):
            w.draw.pick(w.inner)(w)
        if name and w.draw.chance(0.35) and w.indent <= w.nesting:
            w.put(f"if {_draw_test(w, header.bound[-1])}:")
            w.write_block(lambda: accumulate(w, name, header.bound[-1]))
        elif name:
            accumulate(w, name, header.bound[-1])
        elif len(w.lines) == before:
            write_some(w)
        if w.draw.chance(0.12):
            w.put(f"if {w.condition()}:")
            w.write_block(lambda: w.put(w.draw.pick(("break", "break", "continue"))))

    grown, w.grown = w.grown, {name: 1} if name and kind != "int" else {}
    w.write_block(body, header.times, header.frozen)
    w.grown = grown


_GAINS = {  # what an accumulator gains from an item, by the types of both
    ("int", "int"): (
        "@ += $x",
        "@ += $x",
        "@ += $x * $k",
        "@ -= $x % $n",
        "@ = max(@, $x)",
    ),
    ("int", "char"): ("@ += 1", "@ += ord($x) % $n", "@ += $n"),
    ("int", "str"): ("@ += len($x)", "@ += 1", "@ = max(@, len($x))"),
    ("str", "char"): (
        "@ += $x",
        "@ = $x + @",
        "@ += $x.upper()",
        "@ += $x if $x != $c else '-'",
    ),
    ("str", "int"): ("@ += 'ab'[$x % 2]", "@ += $c"),
    ("str", "str"): ("@ += $x[:1]", "@ = $x[-1:] + @"),
    ("list", "int"): (
        "@.append($x)",
        "@.append($x * $k)",
        "@.insert(0, $x)",
        "@.append($x + $n)",
    ),
    ("list", "char"): ("@.append(ord($x))",),
    ("list", "str"): ("@.append(len($x))",),
    ("words", "char"): ("@.append($x)", "@.append($x * $k)"),
    ("words", "str"): (
        "@.append($x)",
        "@.append($x.upper())",
        "@.append($x[::-1])",
        "@.insert(0, $x)",
    ),
    ("words", "int"): ("@.append(str($x))",),
    ("dict", "char"): ("@[$x] = @.get($x, 0) + 1", "@[$x] = len(@)"),
    ("dict", "str"): ("@[$x] = len($x)", "@[$x] = @.get($x, 0) + $n"),
    ("dict", "int"): ("@[str($x)] = $x % $n",),
    ("tally", "int"): ("@[$x] = @.get($x, 0) + 1", "@[$x % $n] = $x"),
    ("set", "int"): ("@.add($x)", "@.add($x % $n)"),
    ("set", "char"): ("@.add(ord($x) % $n)",),
    ("set", "str"): ("@.add(len($x))",),
}


def accumulate(w: Writer, name: str, item: Bound) -> None:
    """Add to an accumulator what the loop is at."""
    draw, kind = w.draw, w.types[name]
    if kind != "int" and not w.may_grow(name):
        change(w, name)
        return
    form = draw.pick(_GAINS[kind, item.kind])
    letter = repr(draw.pick("aeioux"))
    w.put(complete(form, changed=name, x=item.name, k=draw.between(2, 3), n=draw.number(2, 9), c=letter))


def _draw_test(w: Writer, item: Bound) -> str:
    if item.kind == "int":
        forms: tuple[str, ...] = ("$x % 2 == 0", "$x > $n", "$x % 3 != 1", "$x < $n")
    else:
        forms = (
            "$x in 'aeiou'",
            "$x.isalpha()",
            "$x != $c",
            "$x > $c",
            "$x.isdigit()",
            "$x.islower()",
        )
    return complete(w.draw.pick(forms), x=item.name, n=w.draw.number(1, 20), c=repr(w.draw.pick("abehmnrst")))


class Plan(NamedTuple):
    """A `while` loop: lines before it, its header, its first and last lines, the iterations at the most."""

    before: tuple[str, ...]
    header: str
    first: tuple[str, ...]
    last: tuple[str, ...]
    times: int
    ints: tuple[str, ...]  # that it makes
    frozen: tuple[str, ...] = ()
    always: bool = True  # it makes them even if it does not run
    emptied: str = ""  # what the loop empties: no new variable may have its name meanwhile


def _plan_digits(w: Writer) -> Plan | None:
    draw = w.draw
    base, times, limit = draw.pick(((10, 2, 100), (10, 3, 1000), (2, 7, 100), (3, 5, 100)))
    value = f"{w.whole_number()} * {draw.number(2, 60)}" if draw.chance(0.5) else w.whole_number()
    n, total = w.new("int"), w.new("total")
    gain = draw.pick(("$t += $n % $b", "$t = $t * $b + $n % $b", "$t += 1", "$t = max($t, $n % $b)"))
    return Plan(
        (f"{n} = abs({value}) % {draw.pick((limit, 100)) if base == 10 else limit}", f"{total} = 0"),
        f"while {n} > 0:",
        (complete(gain, t=total, n=n, b=base),),
        (f"{n} //= {base}",),
        times,
        (n, total),
    )


def _plan_ends(w: Writer) -> Plan | None:
    draw = w.draw
    names = [name for name in w.variables("str") + w.variables("list") if 1 < w.sizes[name] <= 10]
    left, right = draw.pick(_TWO_ENDS)
    if not names or left in w.types or right in w.types:
        return None
    over, total = w.recent(names), w.new("total")
    test = complete(draw.pick(("$v[$a] == $v[$b]", "$v[$a] > $v[$b]")), v=over, a=left, b=right)
    return Plan(
        (f"{left}, {right} = 0, len({over}) - 1", f"{total} = 0"),
        f"while {left} < {right}:",
        (f"if {test}:", f"    {total} += {draw.pick((left, '1', right))}"),
        (f"{left} += 1", f"{right} -= 1"),
        w.sizes[over] // 2,
        (left, right, total),
        (over,),
    )


def _plan_stack(w: Writer) -> Plan | None:
    draw = w.draw
    names = [name for name in w.variables("list") if 1 < w.sizes[name] <= 8]
    stack = draw.pick(("stack", "queue", "rest", "todo"))
    if not names or stack in w.types:
        return None
    over, item = w.recent(names), w.new("item")
    start = complete(draw.pick(("list($v)", "$v[:]", "sorted($v)")), v=over)
    pop = f"{item} = {stack}.pop({draw.pick(('', '', '0'))})"
    return Plan(
        (f"{stack} = {start}",), f"while {stack}:", (pop,), (), w.sizes[over], (item,), (), False, stack
    )


def _plan_counter(w: Writer) -> Plan | None:
    draw, counts = w.draw, w.variables("count")
    bound = draw.pick(counts) if counts else str(draw.between(2, 5))
    times = w.sizes[bound] if counts else int(bound)
    i = w.new("index")
    return Plan((f"{i} = 0",), f"while {i} < {bound}:", (), (f"{i} += 1",), times, (i,))


_PLANS = (_plan_digits, _plan_ends, _plan_stack, _plan_counter)


def write_while(w: Writer) -> None:
    """A `while` loop whose counter nothing else assigns to."""
    if w.indent > w.nesting or w.times > 6 or not w.affords(40):
        return
    plan = w.draw.pick(_PLANS)(w)
    if plan is None:
        return
    for line in plan.before:
        w.put(line)
    w.put(plan.header, w.times * (plan.times + 1))

    def body() -> None:
        for line in plan.first:
            w.put(line)
        for name in plan.ints:
            w.declare("int", 0, name)
        for _ in range(w.draw.between(0 if plan.first else 1, 1)):
            w.draw.pick(SIMPLE)(w)
        if not plan.first and not plan.last:
            write_fallback(w)
        for line in plan.last:
            w.put(line)

    grown, w.grown = w.grown, {}
    is_free = plan.emptied not in w.taken
    w.taken.add(plan.emptied)
    w.write_block(body, max(plan.times, 2), (*plan.frozen, *plan.ints))
    if is_free:
        w.taken.discard(plan.emptied)
    w.grown = grown
    for name in plan.ints if plan.always else ():
        w.declare("int", 0, name)
