"""Every difference between the bytecodes of CPython 3.10, 3.11, 3.12 and 3.13, in one table.

Sets name instructions of all versions: those that the running one lacks do no harm.
"""

from __future__ import annotations

import dis
import opcode
import sys
from typing import Any

_VERSION = sys.version_info[:2]

VERSION = f"{_VERSION[0]}.{_VERSION[1]}"
"""The minor version whose bytecode this interpreter compiles."""

SUPPORTED = ((3, 10), (3, 11), (3, 12), (3, 13))

IS_SUPPORTED = _VERSION in SUPPORTED and sys.implementation.name == "cpython"

HAS_EXCEPTION_TABLE = _VERSION >= (3, 11)
"""Handlers stand in a table; before, SETUP_FINALLY pushes them onto a stack of blocks. bpo-40222."""

JUMPS_ARE_RELATIVE = _VERSION >= (3, 11)
"""No jump names its target any more; those called BACKWARD go back by their argument. bpo-46329."""

SHARED_SLOTS = _VERSION >= (3, 11)
"""STORE_DEREF counts arguments, locals, cells and free variables together; before, cells and free ones."""

MODULE_CALL_LINE = 0 if _VERSION >= (3, 11) else 1
"""A module's RESUME has no source line; 3.10 reports the first."""

THROW_HAS_NO_CALL = _VERSION == (3, 11)
"""`throw` and `close` go on in a generator without a call event. See `cwm_trace.tracer.interpreter`."""


COMPREHENSIONS_HIDE_NAMES = _VERSION >= (3, 13)
"""In an inlined comprehension of a module `f_locals` shows its targets only. PEP 667, PEP 709."""


def _caches() -> list[int]:
    """Units of inline cache behind each instruction (3.11 and later)."""
    entries: Any = getattr(opcode, "_inline_cache_entries", None)
    if entries is None:
        return [0] * 256
    if isinstance(entries, dict):  # 3.13: by name
        return [entries.get(name, 0) for name in opcode.opname[:256]]
    return list(entries) + [0] * (256 - len(entries))


CACHES = _caches()

JUMPS = frozenset((*dis.hasjrel, *dis.hasjabs))
ABSOLUTE_JUMPS = frozenset(dis.hasjabs)
BACKWARD_JUMPS = frozenset(
    number for number in dis.hasjrel if JUMPS_ARE_RELATIVE and "BACKWARD" in dis.opname[number]
)


def _numbers(*names: str) -> frozenset[int]:
    return frozenset(dis.opmap[name] for name in names if name in dis.opmap)


EXTENDED_ARG = dis.opmap["EXTENDED_ARG"]
CACHE = dis.opmap.get("CACHE", -1)
RESUME = dis.opmap.get("RESUME", -1)

NO_FALL = _numbers(
    "JUMP_FORWARD",
    "JUMP_BACKWARD",
    "JUMP_BACKWARD_NO_INTERRUPT",
    "JUMP_ABSOLUTE",
    "RETURN_VALUE",
    "RETURN_CONST",
    "RAISE_VARARGS",
    "RERAISE",
)
"""Control does not go on to the instruction behind these."""

SETS_HANDLER = _numbers("SETUP_FINALLY", "SETUP_WITH", "SETUP_ASYNC_WITH")
POP_BLOCK = dis.opmap.get("POP_BLOCK", -1)
"""3.10: their targets are handlers, which hold until POP_BLOCK. (Later these are the compiler's own.)"""

RETURNS = _numbers("RETURN_VALUE", "RETURN_CONST")
YIELDS = _numbers("YIELD_VALUE", "YIELD_FROM")

PROLOGUE = _numbers("GEN_START", "MAKE_CELL", "COPY_FREE_VARS", "RETURN_GENERATOR", "POP_TOP", "RESUME")
"""What stands before the first line of a function. Their line is the definition's, or none."""

RAISES_AGAIN = _numbers("RERAISE", "END_ASYNC_FOR", "CLEANUP_THROW", "PREP_RERAISE_STAR")
RAISE_VARARGS = dis.opmap["RAISE_VARARGS"]
"""These raise what was raised before, without an event; RAISE_VARARGS if it has no argument."""

GOES_ON_AFTER_EXCEPTION = _numbers(
    "FOR_ITER", "SEND", "YIELD_FROM", "YIELD_VALUE", "END_ASYNC_FOR", "CLEANUP_THROW"
)
"""A StopIteration is reported as an exception of theirs, and then they go on."""

STORES_LOCAL = _numbers("STORE_FAST", "DELETE_FAST", "LOAD_FAST_AND_CLEAR", "STORE_FAST_MAYBE_NULL")
STORES_LOCALS = _numbers("STORE_FAST_STORE_FAST")
STORES_AND_LOADS = _numbers("STORE_FAST_LOAD_FAST")
STORES_NAME = _numbers("STORE_NAME", "DELETE_NAME")
STORES_GLOBAL = _numbers("STORE_GLOBAL", "DELETE_GLOBAL")
STORES_CELL = _numbers("STORE_DEREF", "DELETE_DEREF")
STORES_ATTRIBUTE = _numbers("STORE_ATTR", "DELETE_ATTR")
SETUP_ANNOTATIONS = dis.opmap["SETUP_ANNOTATIONS"]
IMPORT_STAR = dis.opmap.get("IMPORT_STAR", -1)
INTRINSIC = dis.opmap.get("CALL_INTRINSIC_1", -1)
INTRINSIC_IMPORT_STAR = 2
"""`from module import *`: an instruction, from 3.12 on an intrinsic function. gh-99005."""

INERT = _numbers(
    "NOP", "EXTENDED_ARG", "LOAD_CONST", "LOAD_FAST_LOAD_FAST", "LOAD_FAST_AND_CLEAR", "LOAD_CLOSURE",
    "COPY", "SWAP", "DUP_TOP", "DUP_TOP_TWO", "ROT_TWO", "ROT_THREE", "ROT_FOUR", "ROT_N", "PUSH_NULL",
    "JUMP_FORWARD", "MAKE_CELL", "COPY_FREE_VARS", "KW_NAMES", "POP_BLOCK", "SETUP_FINALLY",
    "LOAD_ASSERTION_ERROR", "PUSH_EXC_INFO", "RETURN_GENERATOR", "GEN_START", "RETURN_CONST",
    "STORE_FAST_MAYBE_NULL",
    *(("LOAD_FAST",) if _VERSION >= (3, 12) else ()),  # before, of an unbound variable too
)  # fmt: skip
"""Instructions that neither raise, nor drop an object, nor run any code."""

PLAIN = INERT - RETURNS - STORES_LOCAL
"""Of these, the instructions that do nothing that a frame could show."""

DROPS = _numbers(
    "STORE_FAST", "POP_TOP", "RETURN_VALUE", "POP_EXCEPT", "IS_OP", "POP_JUMP_IF_NONE",
    "POP_JUMP_IF_NOT_NONE", "POP_JUMP_FORWARD_IF_NONE", "POP_JUMP_FORWARD_IF_NOT_NONE",
    "POP_JUMP_BACKWARD_IF_NONE", "POP_JUMP_BACKWARD_IF_NOT_NONE", "END_FOR", "END_SEND",
    "STORE_FAST_STORE_FAST", "STORE_FAST_LOAD_FAST", "STORE_DEREF", "JUMP_IF_NOT_EXC_MATCH",
)  # fmt: skip
"""Instructions that do not raise but may drop the last reference to an object, whose finalizer runs."""

CALLS = frozenset(
    number
    for name, number in dis.opmap.items()
    if name.startswith(("CALL", "PRECALL", "BEFORE_", "IMPORT_", "GET_A", "GET_ITER", "GET_YIELD"))
) | _numbers(
    "FOR_ITER",
    "SEND",
    "YIELD_FROM",
    "YIELD_VALUE",
    "SETUP_WITH",
    "SETUP_ASYNC_WITH",
    "WITH_EXCEPT_START",
    "UNPACK_SEQUENCE",
    "UNPACK_EX",
    "LIST_EXTEND",
    "SET_UPDATE",
    "DICT_UPDATE",
    "DICT_MERGE",
    "CONTAINS_OP",
    "END_ASYNC_FOR",
    "CLEANUP_THROW",
    "PRINT_EXPR",
)
"""Instructions that call, iterate or import; all others run other code only through an object's operators."""
