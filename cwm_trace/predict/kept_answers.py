"""Answers that were paid for, kept in a file as they come: nothing is asked for twice."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from pathlib import Path
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.files import LineFile

_START = re.compile(rb'\{"key": ?"([0-9a-f]+)", ?"answer":')


class Answers:
    """A JSON Lines file of answers by what was asked: `{"key": …, "answer": …}`.

    The key is a hash of everything that the answer depends on. A line is handed to the operating system as
    soon as it is known; one that was cut off by a crash is passed over. Several processes may add to the same
    file; each knows what was there when it began, and what it added itself. Answers stay in the file, only
    their places are held in memory.

    Args:
        path: the file, made if it does not exist; None: keep nothing.

    Raises:
        CwmTraceError: it can neither be read nor made, or is something else.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self._file: LineFile | None = None
        self._places: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()
        if path is not None:
            self._file = LineFile(Path(path), alone=False)
            self._places = _find_places(Path(path))

    def __len__(self) -> int:
        return len(self._places)

    def find(self, question: Any) -> Any:
        """The answer to a question, which JSON can hold; None if it was not asked yet.

        Raises:
            CwmTraceError: the file cannot be read any more.
        """
        place = self._places.get(_key(question))
        if self._file is None or place is None:
            return None
        try:
            return json.loads(self._file.read(*place))["answer"]
        except OSError as error:
            raise CwmTraceError(f"cannot read {self._file.path}: {error.strerror}") from error
        except ValueError:  # it was cut where it could have ended
            return None

    def keep(self, question: Any, answer: Any) -> None:
        """Write an answer down.

        Raises:
            CwmTraceError: the disk does not take it.
        """
        if self._file is None:
            return
        key = _key(question)
        line = json.dumps({"key": key, "answer": answer}, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            try:
                self._places[key] = self._file.write(line), len(line)
            except OSError as error:
                raise CwmTraceError(f"cannot write {self._file.path}: {error.strerror}") from error

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _find_places(path: Path) -> dict[str, tuple[int, int]]:
    """Where each answer begins, and how long its line is, in bytes.

    Raises:
        CwmTraceError: the file has lines, and none is an answer.
    """
    places = {}
    end = 0
    try:
        with open(path, "rb") as lines:
            for line in lines:
                start, end = end, end + len(line)
                found = _START.match(line)
                if found and line.endswith(b"}\n"):
                    places[found[1].decode()] = start, len(line)
    except OSError as error:
        raise CwmTraceError(f"cannot read {path}: {error.strerror}") from error
    if end and not places and b"\n" in line:
        raise CwmTraceError(f"{path} is no file of kept answers: name a new one")
    return places


def _key(question: Any) -> str:
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:32]
