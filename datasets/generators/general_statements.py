"""The statements of general programs: each function writes one, or nothing where none fits."""

from __future__ import annotations

from cwm_trace.datasets.generators.general_writer import SHORT, Statement, Writer
from cwm_trace.datasets.generators.notation import complete

KINDS = ("int", "int", "int", "str", "str", "list", "list", "words", "bool", "dict", "set", "float", "pair")
EMPTY = {"int": "0", "str": "''", "list": "[]", "words": "[]", "dict": "{}", "tally": "{}", "set": "set()"}
CHANGES = {  # of a container, and the items that it gains; $x: int, $w: word, $c: letter, $s: string
    "list": (
        ("@.append($x)", 1), ("@.append($x)", 1), ("@.insert(0, $x)", 1),
        ("@.extend([$x, $n])", 2), ("@ += [$x]", 1), ("@.reverse()", 0), ("@.sort()", 0),
        ("@[:1] = [$x]", 1),
        ("if @:\n    @.pop()", 0), ("if @:\n    @[0] = $x", 0), ("if @:\n    @[-1] += $n", 0),
        ("if $n in @:\n    @.remove($n)", 0), ("if len(@) > $k:\n    @.pop(0)", 0),
    ),
    "words": (
        ("@.append($w)", 1), ("@.insert(0, $s)", 1), ("@.reverse()", 0), ("@.sort()", 0),
        ("if @:\n    @.pop()", 0), ("if @:\n    @[0] = $w", 0), ("@.append($s)", 1),
    ),
    "dict": (
        ("@[$w] = $x", 1), ("@[$w] = @.get($w, 0) + $n", 1),
        ("@.update(a=$x)", 1), ("@.pop($w, None)", 0),
        ("@.setdefault($w, $x)", 1), ("@[$s] = $x", 1), ("@[$s] = @.get($s, 0) + 1", 1),
        ("if $w in @:\n    del @[$w]", 0),
    ),
    "tally": (("@[$x] = @.get($x, 0) + 1", 1), ("@[$x % 5] = $n", 1), ("@.pop($n, 0)", 0)),
    "set": (("@.add($x)", 1), ("@.discard($x)", 0), ("@ |= {$x, $n}", 2), ("@ ^= {$n}", 1)),
    "str": (("@ += $c", 1), ("@ = $c + @", 1), ("@ = @[1:]", 0), ("@ = @[::-1]", 0)),
}  # fmt: skip


def _write_assignment(w: Writer) -> None:
    """A new variable, or a new value for an old one."""
    kind = w.draw.pick(KINDS)
    old = w.own(kind)
    if old and w.draw.chance(0.35) and not (w.in_loop and kind in EMPTY and kind != "int"):
        name = w.recent(old)
        text, size = w.expression(kind)
        if w.in_loop and kind == "int" and "*" in text:
            text = f"({text}) % {w.draw.number(10, 99)}"
        if text == name:
            return
        w.put(f"{name} = {text}")
        w.assign(name, size)
        return
    text, size = w.expression(kind)
    another_name = text in w.types and kind in EMPTY and kind not in ("int", "str")
    if another_name and (w.in_loop or w.indent > 1):
        return
    name = w.declare(kind, size)
    w.put(f"{name} = {text}")
    if another_name:
        w.shared |= {name, text}


def _write_augmented(w: Writer) -> None:
    """`+=` and its like, on a number."""
    if names := w.own("int"):
        name = w.recent(names)
        share = w.draw.random()
        if share < 0.55:
            w.put(f"{name} {w.draw.pick(('+=', '+=', '-='))} {w.expression('int', 1)[0]}")
        elif share < 0.7 and not w.in_loop:
            w.put(f"{name} *= {w.draw.between(2, 4)}")
        elif share < 0.85:
            w.put(f"{name} {w.draw.pick(('//=', '%='))} {w.draw.number(2, 9)}")
        else:
            w.put(f"{name} ^= {w.draw.number(1, 9)}")
        w.types[name] = w.types.pop(name)
    elif names := w.own("float"):
        w.put(f"{w.recent(names)} {w.draw.pick(('+=', '-='))} {w.draw.pick(('0.5', '1.5', '2.0'))}")


def write_change(w: Writer) -> None:
    """A container is changed in place, or a string extended."""
    names = [name for name, kind in w.types.items() if kind in CHANGES and name not in w.frozen]
    if names:
        change(w, w.recent(names))


def change(w: Writer, name: str) -> None:
    """Change this container, if there is a way that its size allows."""
    draw = w.draw
    for _ in range(4):
        form, items = draw.pick(CHANGES[w.types[name]])
        if items and not w.may_grow(name, items):
            continue
        text = complete(
            form,
            changed=name,
            x=w.operand("int", 1, True)[0] if "$x" in form else "",
            n=draw.number(1, 9),
            k=draw.between(2, 3),
            w=repr(draw.word()),
            c=w.recent(w.variables("char")) if "char" in w.types.values() else repr(draw.pick("abcxyz-_")),
            s=w.atom("str")[0] if "$s" in form else "",
        )
        for line in text.split("\n"):
            w.put(line)
        return


def write_if(w: Writer) -> None:
    """`if`, perhaps with `elif` and `else`."""
    if w.indent > w.nesting or not w.affords(6):
        return
    w.put(f"if {w.condition()}:")
    w.write_block(lambda: write_some(w))
    share = w.draw.random()
    if share < 0.2 and w.affords(6):
        w.put(f"elif {w.condition()}:")
        w.write_block(lambda: write_some(w))
    if share < 0.5 and w.affords(4):
        w.lines.append("    " * w.indent + "else:")
        w.write_block(lambda: write_some(w))


def write_some(w: Writer) -> None:
    """One or two statements of a block."""
    before = len(w.lines)
    for _ in range(w.draw.between(1, 2)):
        w.draw.pick(w.inner if w.indent <= w.nesting else SIMPLE)(w)
    if len(w.lines) == before:
        write_fallback(w)


def write_fallback(w: Writer) -> None:
    """What can always be written."""
    names = w.own("int")
    if names:
        w.put(f"{w.recent(names)} += {w.draw.number(1, 9)}")
    else:
        text, size = w.expression("int", 1)
        w.put(f"{w.declare('int', size)} = {text}")


def write_try(w: Writer) -> None:
    """Something that may fail, and what is done then."""
    if w.indent > w.nesting:
        return
    draw = w.draw
    form, error, fallback, kind = draw.pick(_FAULTS)
    names = w.variables(form[0])
    if not names:
        return
    text = complete(
        form[1],
        v=w.recent(names),
        x=w.whole_number(),
        n=draw.number(1, 9),
        w=repr(draw.word()),
        c=repr(draw.pick("aeioxyz")),
    )
    name = w.new(kind)
    share = draw.random()
    caught = draw.pick((error, error, error, "Exception"))
    w.put("try:")
    w.put(f"    {name} = {text}")
    w.put(f"except {caught}:")
    w.put(f"    {name} = {fallback}")
    w.declare(kind, 1, name)
    if share < 0.15:
        w.lines.append("    " * w.indent + "else:")
        w.write_block(lambda: write_fallback(w))
    elif share < 0.3:
        w.lines.append("    " * w.indent + "finally:")
        w.write_block(lambda: write_fallback(w))


_FAULTS = (  # (type of {v}, expression), what it raises, the value then, its type
    (("str", "int($v)"), "ValueError", "0", "int"),
    (("list", "$v[$n]"), "IndexError", "-1", "int"),
    (("dict", "$v[$w]"), "KeyError", "0", "int"),
    (("list", "$v.index($x)"), "ValueError", "-1", "int"),
    (("int", "$n // $v"), "ZeroDivisionError", "0", "int"),
    (("str", "$v[$n]"), "IndexError", "''", "str"),
    (("str", "$v.index($c)"), "ValueError", "-1", "int"),
)


def write_match(w: Writer) -> None:
    """`match` on a number, a list, a pair or a string."""
    if w.indent > w.nesting or not w.affords(12):
        return
    draw = w.draw
    share = draw.random()
    lists, pairs = w.variables("list"), w.variables("pair")
    cases: list[tuple[str, tuple[tuple[str, str, int], ...]]]
    if share < 0.35 and lists:
        first, rest = w.new_pair("int", "list")
        cases = [
            ("[]", ()),
            (f"[{first}]", ((first, "int", 0),)),
            (f"[{first}, *{rest}]", ((first, "int", 0), (rest, "list", 8))),
        ]
        over = w.recent(lists)
        if w.sizes[over] > 8:
            return
        cases = cases if draw.chance(0.5) else [cases[0], cases[2]]
    elif share < 0.55 and pairs:
        one, two = w.new_pair("int", "str")
        over = w.recent(pairs)
        cases = [
            (f"(0, {two})", ((two, "str", 16),)),
            (f"({one}, {two}) if {one} > {draw.number(1, 20)}", ((one, "int", 0),)),
            ("_", ()),
        ]
    else:
        base = draw.between(2, 4)
        over = f"{w.whole_number()} % {base}"
        cases = [*((str(place), ()) for place in range(base - 1)), ("_", ())]
        if base == 4:
            cases[1:3] = [("1 | 2", ())]
    w.put(f"match {over}:")
    w.indent += 1
    for pattern, bound in cases:
        w.put(f"case {pattern}:")

        def body(bound: tuple[tuple[str, str, int], ...] = bound) -> None:
            for name, kind, size in bound:
                w.declare(kind, size, name)
            draw.pick(SIMPLE)(w)

        w.write_block(body)
    w.indent -= 1


def _write_unpacking(w: Writer) -> None:
    """Two variables at once."""
    draw, share = w.draw, w.draw.random()
    ints, pairs = w.own("int"), w.variables("pair")
    if share < 0.3 and len(ints) > 1:
        one, two = draw.sample(ints, 2)
        w.put(f"{one}, {two} = {two}, {draw.pick((one, one, f'{one} + {two}'))}")
    elif share < 0.55 and pairs:
        pair = w.recent(pairs)
        one, two = w.declare("int"), w.declare("str", 16)
        w.put(f"{one}, {two} = {pair}")
    elif share < 0.8:
        text = w.whole_number()
        one, two = w.declare("int"), w.declare("int")
        w.put(f"{one}, {two} = divmod({text}, {draw.number(2, 9)})")
    else:
        text, size = w.atom("list")
        first = w.operand("int", 0, True)[0]
        if size < 12:
            one, two = w.declare("int"), w.declare("list", size)
            w.put(f"{one}, *{two} = [{first}, *{text}]")


def write_exit(w: Writer) -> None:
    """Leave the function early."""
    if w.cost > 10 and w.affords(3) and w.indent <= w.nesting:
        w.put(f"if {w.condition()}:")
        w.write_block(w.write_return)


def write_inner(w: Writer) -> None:
    """A function inside the function: a closure, or a lambda."""
    if w.indent > 1 or w.in_loop:
        return
    draw = w.draw
    (name,) = draw.names("function")
    if name in w.taken or name in w.types:
        return
    w.taken.add(name)
    x, ints = w.x, w.own("int")
    share = draw.random()
    if share < 0.3 and ints:
        total = w.recent(ints)
        w.put(f"def {name}({x}):")
        w.lines += [
            f"        nonlocal {total}",
            f"        {total} += {x} % {draw.number(2, 9)}",
            f"        return {total}",
        ]
        cost = 3
    elif share < 0.65:
        form = draw.pick(("$x * $k + $v", "max($x, $v)", "$x - $v if $x > $v else $v", "($x + $v) % $n"))
        value = w.recent(w.variables("int")) if w.variables("int") else "3"
        body = complete(form, x=x, v=value, k=draw.between(2, 3), n=draw.number(5, 30))
        if draw.chance(0.5):
            w.put(f"{name} = lambda {x}: {body}")
        else:
            w.put(f"def {name}({x}):")
            w.lines.append(f"        return {body}")
        cost = 2
    else:
        body = complete(
            draw.pick(("$x.upper()", "$x[::-1]", "$x[1:]", "$x.replace($c, '')", "$x[:3]")),
            x=x,
            c=repr(draw.pick("abex")),
        )
        w.put(f"def {name}({x}):")
        w.lines.append(f"        return {body}")
        w.add_callee("str", f"{name}({{}})", ("str",), 2, SHORT)
        return
    w.add_callee("int", f"{name}({{}})", ("int",), cost)


SIMPLE: tuple[Statement, ...] = (
    _write_assignment, _write_assignment, _write_assignment, _write_augmented, _write_augmented, write_change,
    write_change, _write_unpacking,
)  # fmt: skip
