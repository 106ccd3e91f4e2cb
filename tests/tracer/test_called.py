from __future__ import annotations

import pytest

from cwm_trace.errors import CwmTraceError
from cwm_trace.tracer.called import check_call

PROGRAM = """\
import os.path as p, sys
from math import sqrt as root
LIMIT = 3
class A:
    def go(self): ...
def f(n):
    global late
    late = n
if LIMIT:
    def g(x): ...
for item in ():
    pass
"""


@pytest.mark.parametrize(
    "call",
    [
        *(
            "f(2)",
            "g(LIMIT)",
            "A().go()",
            "p.join('a')",
            "root(4)",
            "len([1])",
            "late()",
            "f([i for i in range(3)])",
        ),
        *(
            "f(lambda x: x + LIMIT)",
            "sorted([2, 1], key=lambda x: -x)",
            "f(__name__)",
            "await f(1)",
            "item(1)",
        ),
        "f(",  # for those who compile it
    ],
)
def test_calls_of_what_there_is(call: str) -> None:
    check_call(PROGRAM, call)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("h(2)", r"a\.py has no 'h' for 'h\(2\)': it has A, f"),
        ("f(y)", "has no 'y'"),
        ("h.f(2)", "has no 'h'"),
        ("f", r"'f' is not a call: give the arguments, such as f\(3\)"),
        ("A.go", r"such as A\.go\(3\)"),
        ("3", "is not a call"),
        ("f(1) + 1", "is not a call"),
        ("lambda: f(1)", "is a lambda"),
        ("(lambda x: x)(3)", "is a lambda"),
    ],
)
def test_others_are_refused(call: str, words: str) -> None:
    with pytest.raises(CwmTraceError, match=words):
        check_call(PROGRAM, call, "a.py")


@pytest.mark.parametrize("text", ["from os import *\n", "exec('h = 1')\n", "globals()['h'] = print\n"])
def test_names_may_come_from_where_no_text_shows_them(text: str) -> None:
    check_call(text, "h(2)")
