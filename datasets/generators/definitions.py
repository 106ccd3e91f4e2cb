"""What a general program may define before `f`: helper functions, recursive ones, generators, classes."""

from __future__ import annotations

from cwm_trace.datasets.generators.general_writer import SHORT, Statement, Writer
from cwm_trace.datasets.generators.notation import complete

_PARAMETERS = ("int", "int", "str", "str", "list", "list")
MOST = 24  # line events of a helper's call, at the most


def take_name(w: Writer, role: str) -> str:
    """Draw a name of the module that no variable takes from now on."""
    (name,) = w.draw.names(role)
    while name in w.taken:
        (name,) = w.draw.names(role)
    w.taken.add(name)
    return name


def finish(w: Writer) -> None:
    """End a definition."""
    w.lines += ["", ""]
    w.cost += 1


def _define_helper(w: Writer) -> None:
    """A function of one or two parameters."""
    draw = w.draw
    name = take_name(w, "function")
    start, budget, w.cost, w.budget = w.cost, w.budget, 0, MOST
    parameters = [w.declare(draw.pick(_PARAMETERS), SHORT) for _ in range(draw.between(1, 2))]
    kinds = tuple(w.types[parameter] for parameter in parameters)
    w.frozen, w.shared = set(parameters), set()
    w.lines.append(f"def {name}({', '.join(parameters)}):")
    w.indent = 1
    for _ in range(draw.between(0, 2)):
        draw.pick(w.inner)(w)
    kind = draw.pick(("int", "int", "str", "list", "bool", kinds[0]))
    text, size = w.expression(kind, 2)
    for _ in range(3):
        if not any(name in text for name in w.types):
            text, size = w.expression(kind, 2)
    w.put(f"return {text}")
    cost = w.cost
    w.indent, w.cost, w.budget = 0, start, budget
    w.types, w.sizes, w.frozen, w.shared = {}, {}, set(), set()
    w.add_callee(kind, f"{name}({', '.join(['{}'] * len(kinds))})", kinds, cost, size)
    finish(w)


_RECURSIONS = (
    "    if $n <= 0:\n        return $a\n    return $f($n - 1) + $n",
    "    if $n < 2:\n        return $n\n    return $f($n - 1) * $k - $a",
    "    if not $n:\n        return $a\n    return $n * $k - $f($n - 1)",
    "    return $a if $n <= 1 else $n + $f($n - 2)",
)


def _define_recursion(w: Writer) -> None:
    """A function that calls itself with a smaller number."""
    draw, name = w.draw, take_name(w, "function")
    n = draw.pick(("n", "k", "m", "depth"))
    body = complete(draw.pick(_RECURSIONS), f=name, n=n, a=draw.number(0, 9), k=draw.between(2, 3))
    w.lines += [f"def {name}({n}):", *body.split("\n")]
    w.add_callee("int", f"{name}({{}})", ("count",), 16)
    finish(w)


_GENERATORS = (
    "    for $x in $v:\n        yield $x * $k",
    "    for $x in $v:\n        if $x % $k == 0:\n            yield $x",
    "    $t = 0\n    for $x in $v:\n        $t += $x\n        yield $t",
    "    yield $n\n    for $x in $v:\n        yield $x - $n",
    "    for $t, $x in enumerate($v):\n        yield $x if $t % 2 else -$x",
)


def define_generator(w: Writer) -> None:
    """A generator function of a list."""
    draw, name = w.draw, take_name(w, "generator")
    v, t, x = draw.names("list", "total", "item")
    body = complete(draw.pick(_GENERATORS), v=v, t=t, x=x, k=draw.between(2, 3), n=draw.number(1, 30))
    w.lines += [f"def {name}({v}):", *body.split("\n")]
    w.add_callee("list", f"list({name}({{}}))", ("list",), 5 + 4 * SHORT, SHORT + 1)
    w.add_callee("int", f"sum({name}({{}}))", ("list",), 5 + 4 * SHORT)
    finish(w)


_METHODS = (
    ("        self.$a += $x\n        return self.$a", 3),
    ("        if $x > self.$a:\n            self.$a = $x % $m\n        return self.$a * $k", 4),
    ("        self.$b.append($x)\n        return len(self.$b)", 3),
    ("        self.$a = (self.$a + $x) % $m\n        return self.$a - $x", 3),
)


def _define_class(w: Writer) -> None:
    """A class whose object `f` makes and uses."""
    draw, name = w.draw, take_name(w, "class")
    a, b, x = draw.names("attribute", "words", "item")
    (method,) = draw.names("method")
    body, cost = draw.pick(_METHODS)
    listed = "$b" in body
    lines = [f"class {name}:", f"    def __init__(self, {a}):", f"        self.{a} = {a}"]
    lines += [f"        self.{b} = []"] * listed + ["", f"    def {method}(self, {x}):"]
    lines += complete(body, a=a, b=b, x=x, m=draw.number(10, 40), k=draw.between(2, 3)).split("\n")
    if draw.chance(0.7):
        lines += ["", "    def __repr__(self):", f"        return f'{name}({{self.{a}}})'"]
    w.lines += lines
    w.cost += 8
    finish(w)

    def write_object(w: Writer) -> None:
        """Make an object; its method can be called from then on."""
        if w.indent != 1 or w.in_loop or w.times > 1:
            return
        value = w.operand("int", 0, True)[0]
        held = w.new("object")
        w.put(f"{held} = {name}({value})")
        w.cost += 4
        w.declare("object", 0, held)
        w.frozen.add(held)
        w.add_callee("int", f"{held}.{method}({{}})", ("int",), cost + 1)
        w.add_callee("int", f"{held}.{a}", (), 0)

    w.starts.append(write_object)


DEFINITIONS: tuple[Statement, ...] = (
    _define_helper, _define_helper, _define_helper, _define_recursion, define_generator, _define_class,
)  # fmt: skip
