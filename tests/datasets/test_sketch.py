"""Sketched programs: every form can run, every method of the types occurs, trying out judges rightly."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from cwm_trace.datasets.drawing import Draw
from cwm_trace.datasets.families import make_items
from cwm_trace.datasets.generators.method_forms import EXPRESSIONS
from cwm_trace.datasets.generators.method_patterns import PATTERNS
from cwm_trace.datasets.generators.method_steps import CHANGES, LOOPS, STEPS
from cwm_trace.datasets.generators.methods import with_double_quotes
from cwm_trace.datasets.generators.notation import is_spaced, parse
from cwm_trace.datasets.generators.script_classes import CLASSES
from cwm_trace.datasets.generators.script_loops import LOOPS as NUMBERS
from cwm_trace.datasets.generators.script_texts import TEXTS
from cwm_trace.datasets.generators.sketch import ARGUMENTS, Sketch, UnfitError, try_out

PARTS = ("px", "py", "pw", "fx", "fy")  # of comprehensions: they have no meaning outside


def full_sketch(number: int) -> Sketch:
    """A sketch with a variable of every type."""
    sketch = Sketch(Draw(f"test|{number}", "train"))
    for kind in ARGUMENTS:
        value = sketch.literal(kind)
        sketch.put(f"{sketch.declare(kind, ARGUMENTS)} = {value}")
    return sketch


def write_expression(form: str) -> Callable[[Sketch], None]:
    return lambda sketch: sketch.put(f"made = {sketch.fill(form)}")


def write_change(kind: str, form: str) -> Callable[[Sketch], None]:
    return lambda sketch: sketch.put(sketch.fill(form.replace("@", sketch.variables(kind)[0]), depth=0))


def write_header(form: str) -> Callable[[Sketch], None]:
    return lambda sketch: sketch.put(sketch.fill(re.sub("%([iab])", r"\1_", form), depth=0) + "\n    break")


def write_pattern(form: str) -> Callable[[Sketch], None]:
    return lambda sketch: sketch.write_pattern(form)


def all_forms() -> Iterator[tuple[str, Callable[[Sketch], None]]]:
    for kind, forms in EXPRESSIONS.items():
        yield from ((form, write_expression(form)) for form in forms if kind not in PARTS)
    for table in (CHANGES, STEPS):
        for kind, forms in table.items():
            yield from ((form, write_change(kind, form)) for form in forms)
    yield from ((header, write_header(header)) for header, _ in LOOPS)
    yield from ((form, write_pattern(form)) for form in (*PATTERNS, *NUMBERS, *TEXTS))


def runs(write: Callable[[Sketch], None]) -> bool:
    """Whether one of some programs with a form runs."""
    for number in range(60):
        sketch = full_sketch(number)
        try:
            write(sketch)
        except UnfitError:
            continue
        if try_out(sketch.text(), "", 200) is not None:
            return True
    return False


def test_every_form_runs_in_some_program() -> None:
    assert [form for form, write in all_forms() if not runs(write)] == []


def test_there_are_many_forms() -> None:
    assert len(list(all_forms())) > 900


@pytest.mark.parametrize("kind", [str, list, dict, set, tuple])
def test_every_method_of_a_type_occurs(kind: type) -> None:
    said = "\n".join(form for form, _ in all_forms())
    methods = {name for name in dir(kind) if not name.startswith("_")}
    assert {name for name in methods if not re.search(rf"\.{name}\b", said)} == set()


def test_every_method_of_str_is_called_in_the_first_programs() -> None:
    """Not only could they occur: they do."""
    said = "\n".join(item.source for item in make_items("methods", 4000))
    methods = {name for name in dir(str) if not name.startswith("_")}
    assert {name for name in methods if f".{name}(" not in said} == set()


def test_programs_differ_in_shape() -> None:
    """Names and constants erased, hardly two of them are the same."""
    shapes = {re.sub(r"'[^']*'|\"[^\"]*\"|\d+|\b\w+\b(?= =)", "_", item.source)
              for item in make_items("methods", 500)}  # fmt: skip
    assert len(shapes) > 490


def test_a_pattern_is_split_into_its_holes() -> None:
    holes, tail = parse("@ = %a + $str:t + <str:a> if $t else (<:a>, <=int>)")
    assert tail == ")"
    assert [(hole.before, hole.role, hole.kind, hole.name, hole.bare) for hole in holes] == [
        ("", "", "", "@", False),
        (" = ", "", "", "%a", False),
        (" + ", "$", "str", "$t", False),
        (" + ", "", "str", "a", False),
        (" if ", "", "", "$t", False),
        (" else (", "", "", "a", True),
        (", ", "=", "int", "", True),
    ]
    assert parse("@dataclass").holes == ()
    assert [is_spaced(text) for text in ("-<x>", "f(<x>, 'a b')", "<x> + 1")] == [True, False, True]


def test_text_of_an_fstring_holds_no_constants() -> None:
    """Python 3.12 takes quotes inside of quotes, and older ones do not: a program must not depend on that."""
    holes = [form for form, _ in all_forms() if re.search(r"f'[^']*<(?!=|[nkNmiy]>|int>)", form)]
    assert holes == []


def test_what_is_tried_out_is_counted() -> None:
    source = "def f(n):\n    for i in range(n):\n        while n > 3:\n            n -= 1\n    return n\n"
    assert try_out(source, "f(5)", 20) == (5 + 2, 3)
    assert try_out(source, "f(5)", 6) is None
    assert try_out(source, "f('x')", 20) is None


def test_quotes_change_only_where_none_is_inside() -> None:
    assert with_double_quotes("print('a', f'{x}')") == 'print("a", f"{x}")'
    assert with_double_quotes("""print('say "a"', 'b')""") == """print('say "a"', 'b')"""
    assert with_double_quotes("""print("it's", 'b')""") == """print("it's", 'b')"""


def test_classes_have_a_definition_and_a_use() -> None:
    assert all(len(parts) == 2 and "$class" in parts[0] for parts in CLASSES)


def test_a_script_prints_and_a_methods_program_returns() -> None:
    scripts = list(make_items("scripts-v1", 200))
    assert all("print(" in item.source and not item.call for item in scripts)
    assert sum("__name__" in item.source for item in scripts) > 10
    assert sum("class " in item.source for item in scripts) > 10
    assert all(
        item.source.startswith("def f(") and item.call.startswith("f(") for item in make_items("methods", 200)
    )
