"""Twins differ in text and agree in what the call gives."""

from __future__ import annotations

import ast
import contextlib
import io
import re
from pathlib import Path

import pytest

from cwm_trace.datasets.families import FAMILIES, PRESETS, make_items
from cwm_trace.datasets.item import Item
from cwm_trace.datasets.renaming import replace_names
from cwm_trace.datasets.twins import TWINS, make_twin
from cwm_trace.errors import CwmTraceError
from tests.datasets.programs import run


def item(source: str, call: str = "f()") -> Item:
    return Item("a", source, call, "", max_lines=100)


@pytest.mark.parametrize("name", [*FAMILIES, *PRESETS])
def test_a_twin_gives_an_equal_value_within_its_bound(name: str) -> None:
    made = dict.fromkeys(TWINS, 0)
    for original in make_items(name, 30):
        done = run(original)
        for kind in TWINS:
            twin = make_twin(original, kind)
            if twin is None:
                continue
            made[kind] += 1
            assert twin.source != original.source
            assert (twin.twin_of, twin.call, twin.split) == (original.id, original.call, original.split)
            assert run(twin)[:2] == done[:2], f"{twin.id}\n{twin.source}"
            assert twin == make_twin(original, kind)
    if name in ("scripts", "scripts-v1", "short-v1"):  # names of a module may be read anywhere: they stay
        assert made["comment"] > 10
        return
    assert made["comment"] == 30
    assert made["rename"] > 25 or name == "stores"  # it has few variables
    assert made["split"] + made["flatten"] > 0 or name in ("grid", "automata")  # they call nothing


SAMPLE_FOLDER = Path(__file__).parents[1] / "samples"

REWRITES = [
    (
        "flatten",
        "def f(x):\n    return g(g(x) + 1)[0]\n",
        "def f(x):\n    tmp = g(g(x) + 1)\n    return tmp[0]\n",
        "def f(x):\n    tmp = g(x) + 1\n    return g(tmp)[0]\n",
        "def f(x):\n    tmp = g(x)\n    return g(tmp + 1)[0]\n",
    ),
    (
        "unroll",
        "def f():\n    s = 0\n    for i in range(1, 3):\n        s += i\n    return s\n",
        "def f():\n    s = 0\n    i = 1\n    s += i\n    i = 2\n    s += i\n    return s\n",
    ),
    (
        "split",
        "def f(x):\n    return max(x, g(1, 2))\n",
        "def f(x):\n    return max(\n        x,\n        g(1, 2),\n    )\n",
        "def f(x):\n    return max(x, g(\n        1,\n        2,\n    ))\n",
    ),
]


@pytest.mark.parametrize("rewrite", REWRITES, ids=lambda rewrite: rewrite[0])
def test_rewrites(rewrite: tuple[str, ...]) -> None:
    kind, source, *expected = rewrite
    found = {twin.source for seed in range(60) if (twin := make_twin(item(source), kind, seed=seed))}
    assert found == set(expected)


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("unroll", "def f():\n    for i in range(3):\n        break\n    return i\n"),
        ("unroll", "def f(n):\n    for i in range(n):\n        n += i\n    return n\n"),
        ("unroll", "def f():\n    for i in range(3):\n        s = '''a\n        b'''\n    return s\n"),
        ("flatten", "def f(n):\n    return n + g(n)\n"),  # g may change n
        ("flatten", "def f(n):\n    return g(n) and h(n)\n"),
        ("rename", "def f(n):\n    return locals()\n"),
        ("rename", "class A:\n    n = 0\n"),
        ("split", "def f(n):\n    return f'{g(n, 1)}'\n"),
    ],
)
def test_what_must_not_be_rewritten_is_left_alone(kind: str, source: str) -> None:
    assert [make_twin(item(source), kind, seed=seed) for seed in range(20)] == [None] * 20


def test_renaming_spares_what_is_no_variable() -> None:
    source = (
        "class A:\n    size: int = 1\n\n\ndef f(n, key=2):\n    '''n'''\n    a = A()\n    a.n = n  # n\n"
        "    try:\n        m = f'{n!r:>{n}} {{n}} n'\n    except ValueError as n2:\n        m = n2\n"
        "    match a:\n        case A(n=0):\n            pass\n        case [n, *rest]:\n            pass\n"
        "    return sorted([n, a.n], key=abs), m, f'{m=}', f(n, key=3) if key == 2 else 0\n"
    )
    twin = make_twin(item(source), "rename")
    if twin is None:  # a nested field of a format: not renamed rather than renamed wrongly
        source = source.replace(":>{n}", "")
        twin = make_twin(item(source), "rename")
    assert twin is not None
    kept = {node.id for node in ast.walk(ast.parse(twin.source)) if isinstance(node, ast.Name)}
    assert {"A", "sorted", "abs", "key", "m"} <= kept
    assert "'''n'''" in twin.source
    assert "# n\n" in twin.source
    assert "a.n" not in twin.source
    assert ".n = " in twin.source


def test_names_in_text() -> None:
    assert replace_names("x = 'x' + f'{x}' + x.x + b'x'.x", {"x": "y"}) == "y = 'x' + f'{y}' + y.x + b'x'.x"


def test_an_unknown_kind_is_one_sentence() -> None:
    with pytest.raises(CwmTraceError, match="no kind of twin 'obfuscate': choose one of rename, flatten"):
        make_twin(item("def f():\n    return 1\n"), "obfuscate")


def test_source_that_cannot_be_parsed_is_one_sentence() -> None:
    with pytest.raises(CwmTraceError, match="item a cannot be parsed"):
        make_twin(item("def f(:\n"), "rename")


SAMPLES = sorted(SAMPLE_FOLDER.glob("*.py"))


@pytest.mark.parametrize("kind", TWINS)
def test_twins_of_code_that_people_wrote_print_the_same(kind: str) -> None:
    made = 0
    for path in SAMPLES:
        text = path.read_text(encoding="utf-8")
        twin = make_twin(Item(path.name, text, "", ""), kind)
        if twin is not None and (printed := output(text)) is not None:
            assert output(twin.source) == printed, f"{path.name}\n{twin.source}"
            made += 1
    assert made > (0 if kind == "unroll" else 10)


def output(source: str) -> str | None:
    """What a script prints; None if it does not run here, or shows its own text, lines or addresses."""
    if re.search(r"inspect|lineno|locals|argv|__file__|stdin|open\(|async|thread", source):
        return None
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        try:
            exec(compile(source, "sample", "exec", dont_inherit=True), {"__name__": "sample"})
        except SyntaxError:
            return None
        except BaseException as error:
            print(type(error).__name__)
    return re.sub(r"0x[0-9a-f]+|, line \d+", "", out.getvalue())
