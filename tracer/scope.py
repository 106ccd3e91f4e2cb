"""Which code is the user's: decided once for each file."""

from __future__ import annotations

import functools
import os
import sysconfig
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from cwm_trace import records

_INSTALLED = ("site-packages", "dist-packages")
_OWN = tuple(
    os.path.join(os.path.realpath(file.parent), "") for file in (Path(records.__file__), Path(__file__))
)


class Scope:
    """The files whose functions are recorded.

    By default those under `root`, without the standard library and installed packages. The program's own
    file always belongs, wherever it lies.

    Args:
        main: the program's file, as its code objects name it.
        root: the folder of the user's code; None: no folder.
        include: globs on absolute paths; a file that matches belongs.
        exclude: globs on absolute paths; a file that matches does not, whatever else holds.
    """

    def __init__(
        self, main: str, root: str | None, *, include: Sequence[str] = (), exclude: Sequence[str] = ()
    ) -> None:
        self._directory = os.getcwd()
        self._main = main
        self._root = root and os.path.join(os.path.realpath(root), "")
        self._include = [self._absolute(glob) for glob in include]
        self._exclude = [self._absolute(glob) for glob in exclude]

    def covers(self, filename: str) -> bool:
        """Whether functions of this file are recorded."""
        path = self._absolute(filename)
        if self.excludes(filename):
            return False
        if filename == self._main or any(fnmatch(path, glob) for glob in self._include):
            return True
        if filename.startswith("<") or self._root is None:
            return False
        real = os.path.realpath(path)
        if real.startswith(_library()) or any(part in real.split(os.sep) for part in _INSTALLED):
            return False
        return real.startswith(self._root) and not real.startswith(_OWN)

    def excludes(self, filename: str) -> bool:
        """Whether the user does not want functions of this file recorded."""
        return bool(self._exclude) and any(fnmatch(self._absolute(filename), glob) for glob in self._exclude)

    def is_own(self, filename: str) -> bool:
        """Whether a file is one of the tracer's."""
        return os.path.realpath(filename).startswith(_OWN)

    def reason(self, filename: str) -> str:
        """Why a file is not covered."""
        real = os.path.realpath(self._absolute(filename))
        if real.startswith(_library()):
            return "of the standard library"
        if any(part in real.split(os.sep) for part in _INSTALLED):
            return "of an installed package"
        if self._root is None:
            return "not of the user's"
        return f"not in {self._root}"

    def _absolute(self, path: str) -> str:
        return path if path.startswith(("<", "*")) else os.path.join(self._directory, path)


@functools.cache
def _library() -> tuple[str, ...]:
    """The folders of the standard library; looking them up takes longer than a short program."""
    folders = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib"))
    return tuple(os.path.join(os.path.realpath(folder), "") for folder in folders)
