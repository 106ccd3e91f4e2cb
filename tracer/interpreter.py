"""Every difference between CPython 3.10, 3.11, 3.12 and 3.13 that shows in a trace, in one table.

A constant is true where the difference holds in the running interpreter. Those that no code reads are there
for whoever reads a golden of another version.
"""

from __future__ import annotations

import sys

_VERSION = sys.version_info[:2]

COMPREHENSIONS_ARE_FRAMES = _VERSION < (3, 12)
"""List, dict and set comprehensions are activations of their own; later they are inlined. PEP 709."""

LOCALS_ARE_A_PROXY = _VERSION >= (3, 13)
"""`frame.f_locals` is a view in slot order; before, a dict that the program's `locals()` shares. PEP 667."""

READING_LOCALS_UNBINDS = _VERSION == (3, 12)
"""Reading `f_locals` in an inlined comprehension of a module or class unbinds its targets. gh-108732."""

CELL_ARGUMENTS_COME_LAST = _VERSION == (3, 10)
"""Arguments that a nested function captures come after all other locals in `f_locals`. bpo-43693."""

SUSPENDED_BEFORE_YIELD_FROM = _VERSION == (3, 10)
"""A frame suspended in `await` or `yield from` stands before that instruction. bpo-11682."""

SUSPENDED_AFTER_YIELD = _VERSION >= (3, 13)
"""A suspended frame stands behind its `yield`, on RESUME; before, on the `yield` itself. gh-109329."""

THROW_HAS_NO_CALL = _VERSION == (3, 11)
"""`throw` and `close` continue a generator without a call event. RESUME is not run (3.11's new opcode)."""

MODULE_CALL_HAS_NO_LINE = _VERSION >= (3, 11)
"""The call event of a module is on line 0; before, on line 1. RESUME of a module has no source line."""

DECORATORS_ARE_REVISITED = _VERSION >= (3, 11)
"""A decorated definition comes back to its decorators' lines when it is bound. PEP 626, PEP 657."""

HAS_EXCEPT_STAR = _VERSION >= (3, 11)
"""`except*` and exception groups. PEP 654."""

STR_ITERATOR_OF_ASCII = _VERSION >= (3, 11)
"""The iterator over an ASCII string is a `str_ascii_iterator`; before, a `str_iterator`."""

CLASS_BODIES_SHOW_FIRST_LINE = _VERSION >= (3, 13)
"""A class body binds `__firstlineno__`. gh-118465."""

INT_TEXT_IS_LIMITED = hasattr(sys, "set_int_max_str_digits")
"""`repr` of an int of more than 4,300 digits raises ValueError. gh-95778; in 3.10 from 3.10.7 on."""

TEXT_OF_C_IS_KNOWN = _VERSION >= (3, 13)
"""Tracebacks show the lines of `-c`, which `linecache` has under the name `<string>`. gh-67224."""

READING_BORROWED_CELLS_CRASHES = _VERSION == (3, 13)
"""A comprehension inlined into a function (PEP 709) keeps its own variable where the function has a cell of
that name, and `f_locals` takes that for the cell: the interpreter crashes. Seen in 3.13.0."""

RAISING_AT_A_JUMP_SKIPS_HANDLERS = _VERSION >= (3, 12)
"""What a trace function raises in the line event of a jump within one line (`while True: n += 1`) leaves the
frame past its `except`, `finally` and `with`. PEP 669; seen in 3.12.1 and 3.13.0."""

SENT_EXCEPTIONS_COME_LATE = _VERSION >= (3, 13)
"""A thread that stops to let another one run, and is sent an exception by that, meets it where it next looks
whether it is to stop; before, at once."""
