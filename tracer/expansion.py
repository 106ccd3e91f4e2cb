"""Objects as the state that they hold: `Cart(total=3, items=[…])`, read without running any code of theirs.

An object's state is its instance dictionary and its slots, both read through the descriptors that CPython
itself puts into a class. A `__repr__` is called only where it is C code or the standard library's, and only
if nothing that it can reach has one of its own.
"""

from __future__ import annotations

import collections
import functools
import gc
import os
import sys
import sysconfig
from collections.abc import Callable, Iterator
from enum import Enum
from types import (
    AsyncGeneratorType,
    BuiltinFunctionType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any
from weakref import ReferenceType

_MOST_PARTS = 10_000  # of one value: behind them `…`
_MOST_REACHED = 2_000  # objects that are looked at before a `__repr__` is called
_ATOMS = frozenset([int, str, float, bool, type(None), bytes, complex, type(...), bytearray, range])

# Attributes of types, modules and exceptions, whatever a metaclass or a subclass makes of them.
_mro, _class_dict, _name, _flags = (
    type.__dict__[name].__get__ for name in ("__mro__", "__dict__", "__name__", "__flags__")
)
_module_dict = vars(ModuleType)["__dict__"].__get__
_factory = collections.defaultdict.__dict__["default_factory"].__get__
_maxlen = collections.deque.__dict__["maxlen"].__get__
_arguments = BaseException.__dict__["args"].__get__


def expand(value: Any, depth: int, safe_repr: Callable[[Any], str]) -> str:
    """The text of a value.

    Args:
        value: anything.
        depth: how many objects deep; what lies deeper is `<Cart object>`.
        safe_repr: `repr`, guarded.
    """
    try:
        text = _Expander(safe_repr).text(value, depth)
    except RecursionError:
        return f"<unrepresentable {_name(type(value))}: RecursionError>"
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


class _Expander:
    """Turns one value into text."""

    def __init__(self, safe_repr: Callable[[Any], str]) -> None:
        self._repr = safe_repr
        self._parts = _MOST_PARTS
        self._open: set[int] = set()

    def text(self, value: Any, depth: int) -> str:
        kind = type(value)
        if kind in _ATOMS:
            return self._repr(value)
        self._parts -= 1
        if self._parts < 0:
            return "…"
        if id(value) in self._open:
            return _cycle(value)
        self._open.add(id(value))
        try:
            return self._container(value, kind, depth) or self._object(value, kind, depth)
        finally:
            self._open.discard(id(value))

    def _container(self, value: Any, kind: type, depth: int) -> str:
        """A container's items, or a number's or string's text, and what a subclass adds; else empty."""
        mro = _mro(kind)
        if list in mro:
            shown = f"[{self._items(list.__iter__(value), depth)}]"
        elif tuple in mro:
            fields = _class_dict(kind).get("_fields")
            if (
                type(fields) is tuple
                and len(fields) == tuple.__len__(value)
                and set(map(type, fields)) == {str}
            ):
                pairs = zip(fields, tuple.__iter__(value), strict=True)
                return f"{_name(kind)}({self._pairs(pairs, depth)})"
            shown = self._items(tuple.__iter__(value), depth)
            shown = f"({shown},)" if tuple.__len__(value) == 1 else f"({shown})"
        elif dict in mro:
            shown = f"{{{self._entries(value, depth)}}}"
            if kind is collections.defaultdict:
                return f"defaultdict({self.text(_factory(value), depth)}, {shown})"
        elif set in mro or frozenset in mro:
            base: Any = set if set in mro else frozenset
            items = self._items(base.__iter__(value), depth)
            shown = f"{{{items}}}" if items else ""
            return shown if kind is set and shown else f"{_name(kind)}({shown})"
        elif kind is collections.deque:
            size = _maxlen(value)
            items = self._items(collections.deque.__iter__(value), depth)
            return f"deque([{items}])" if size is None else f"deque([{items}], maxlen={size})"
        elif Enum not in mro and (base := next((base for base in _SCALARS if base in mro), None)):
            try:
                shown = base.__repr__(value)
            except ValueError:  # too many digits
                shown = hex(int.__index__(value))
        else:
            return ""
        if kind in (list, tuple, dict):
            return shown
        state = dict(_state(value, kind))
        more = f", {self._pairs(iter(state.items()), depth - 1)}" if state and depth > 0 else ""
        return f"{_name(kind)}({shown}{more})"

    def _object(self, value: Any, kind: type, depth: int) -> str:
        mro, name = _mro(kind), _name(kind)
        if type in mro:
            return f"<class '{_name(value)}'>"
        if ModuleType in mro:
            known = dict.get(_module_dict(value), "__name__")
            return f"<module '{known if type(known) is str else '?'}'>"
        if kind is MethodType:
            return f"<bound method {_function_name(value)}>"
        if kind is ReferenceType:
            return "<weakref>"  # its own asks the object for a name
        if kind in _OPAQUE:
            return self._repr(value)
        state = dict(_state(value, kind))
        if Enum in mro:
            member = state.get("_name_")
            shown = f"{name}.{member}" if type(member) is str else name
            return f"<{shown}: {self.text(state.get('_value_'), depth - 1)}>"
        if BaseException in mro:
            parts = [self.text(item, depth) for item in tuple.__iter__(_arguments(value))]
            own = state.items() if depth > 0 else ()
            return f"{name}({', '.join([*parts, *(f'{key}={self.text(i, depth - 1)}' for key, i in own)])})"
        if not _is_users(kind) and _is_harmless(value):
            return self._repr(value)
        if depth <= 0 or not (state or _is_users(kind)):
            return f"<{name} object>"
        return f"{name}({self._pairs(iter(state.items()), depth - 1)})"

    def _items(self, items: Iterator[Any], depth: int) -> str:
        return ", ".join(self._until_full(self.text(item, depth) for item in items))

    def _entries(self, value: Any, depth: int) -> str:
        pairs = ((self.text(k, depth), self.text(v, depth)) for k, v in list(dict.items(value)))
        return ", ".join(self._until_full(f"{key}: {item}" for key, item in pairs))

    def _pairs(self, pairs: Iterator[tuple[str, Any]], depth: int) -> str:
        return ", ".join(self._until_full(f"{name}={self.text(item, depth)}" for name, item in pairs))

    def _until_full(self, parts: Iterator[str]) -> Iterator[str]:
        for part in parts:
            yield part
            if self._parts < 0:
                return


def _state(value: Any, kind: type) -> Iterator[tuple[str, Any]]:
    """Names and values in an object's slots and its instance dictionary."""
    dictionary: Any = None
    is_hidden = False
    for base in reversed(_mro(kind)):
        members = _class_dict(base)
        for name, member in members.items():
            if (
                type(member) is MemberDescriptorType
                and name != "__dict__"
                and member.__objclass__ is base
                and _is_users(base)
            ):
                try:
                    yield _unmangled(name), member.__get__(value)
                except AttributeError:
                    continue  # not bound
        entry = members.get("__dict__")
        if type(entry) in _DESCRIPTORS and entry.__objclass__ is base and base is not type:
            dictionary = entry.__get__(value)
        is_hidden |= entry is not None
    if dictionary is None and is_hidden:  # behind a `__dict__` that the class defines for itself
        dictionary = _bare_dict(value)
    if dictionary is not None and dict in _mro(type(dictionary)):
        for key, item in list(dict.items(dictionary)):
            if type(key) is str:
                yield _unmangled(key), item


def _bare_dict(value: Any) -> Any:
    """An object's dictionary, whatever its class calls `__dict__`; None if it has none."""
    try:
        from ctypes import py_object, pythonapi

        get = pythonapi._FuncPtr(("PyObject_GenericGetDict", pythonapi))
        get.restype = py_object
        return get(py_object(value), None)
    except (ImportError, AttributeError):
        return None


def _unmangled(name: str) -> str:
    """`__total` for `_Cart__total`."""
    if name.startswith("_") and "__" in name[1:]:
        prefix, _, rest = name[1:].partition("__")
        if prefix and rest and not prefix.startswith("_") and not name.endswith("__"):
            return f"__{rest}"
    return name


def _is_users(kind: type) -> bool:
    """Whether a class was made by a `class` statement outside of the standard library."""
    return bool(_flags(kind) & _HEAP_TYPE) and not _is_library(_class_dict(kind).get("__module__"))


def _is_library(module: object) -> bool:
    return type(module) is str and module.partition(".")[0] in sys.stdlib_module_names - {"__main__"}


def _is_harmless(value: Any) -> bool:
    """Whether `repr` of a value, and of all that it can reach, runs no code of the user's."""
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        one = waiting.pop()
        kind = type(one)
        if kind in _ATOMS or kind in _OPAQUE or id(one) in seen or {type, ModuleType} & {*_mro(kind)}:
            continue
        repr_of = _repr_of(kind)
        if repr_of is object.__repr__ and not _is_users(kind):
            continue
        if _is_users(kind) or kind is ReferenceType or type(repr_of) not in _BUILT_IN_REPRS:
            return False
        if type(repr_of) is FunctionType and not repr_of.__code__.co_filename.startswith(_library()):
            return False
        if _name(kind) == "ndarray" and one.dtype.hasobject:
            return False  # numpy does not tell the garbage collector what such an array holds
        seen.add(id(one))
        if len(seen) > _MOST_REACHED:
            return False
        waiting += gc.get_referents(one)
    return True


def _repr_of(kind: type) -> Any:
    return next(found for base in _mro(kind) if (found := _class_dict(base).get("__repr__")) is not None)


@functools.cache
def _library() -> tuple[str, ...]:
    return (os.path.join(sysconfig.get_path("stdlib"), ""), "<frozen ")


def _cycle(value: Any) -> str:
    mro = _mro(type(value))
    return "[...]" if list in mro else "{...}" if dict in mro else "(...)" if tuple in mro else "..."


def _function_name(method: Any) -> str:
    function = method.__func__
    return function.__qualname__ if type(function) is FunctionType else "?"


_SCALARS: tuple[Any, ...] = (int, str, float, bytes, complex, bytearray)
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE
_OPAQUE = frozenset(
    [FunctionType, BuiltinFunctionType, GeneratorType, CoroutineType, AsyncGeneratorType, FrameType, CodeType]
)
"""Types whose `repr` shows nothing of what they hold."""
_DESCRIPTORS: tuple[Any, ...] = (GetSetDescriptorType, MemberDescriptorType)
_BUILT_IN_REPRS = (FunctionType, WrapperDescriptorType, MethodDescriptorType)
