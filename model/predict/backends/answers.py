"""Answers of a server, kept in a file as they come: a run that was cut short goes on where it ended."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

from cwm_trace.errors import CwmTraceError


class Answers:
    """A JSON Lines file of answers by what was asked: `{"key": …, "answer": …}`.

    The key is a hash of everything that the answer depends on. A line is handed to the operating system as
    soon as it is known; one that was cut off by a crash is passed over, and the next one starts afresh.

    Args:
        path: the file, made if it does not exist; None: keep nothing.

    Raises:
        CwmTraceError: it can neither be read nor made, or is something else.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self._path = None if path is None else Path(path)
        self._known: dict[str, Any] = {}
        self._lock = threading.Lock()
        if self._path is not None:
            self._load(self._path)

    def __len__(self) -> int:
        return len(self._known)

    def find(self, question: Any) -> Any:
        """The answer to a question, which JSON can hold; None if it was not asked yet."""
        return self._known.get(_key(question)) if self._path is not None else None

    def keep(self, question: Any, answer: Any) -> None:
        """Write an answer down.

        Raises:
            CwmTraceError: the disk does not take it.
        """
        if self._path is None:
            return
        key = _key(question)
        line = json.dumps({"key": key, "answer": answer}, separators=(",", ":")) + "\n"
        with self._lock:
            self._known[key] = answer
            try:
                with self._path.open("ab", buffering=0) as file:
                    file.write(line.encode())
            except OSError as error:
                raise CwmTraceError(f"cannot write {self._path}: {error.strerror}") from error

    def _load(self, path: Path) -> None:
        try:
            with path.open("a+b") as file:
                file.seek(0)
                data = file.read()
                if data and not data.endswith(b"\n"):
                    file.write(b"\n")
        except OSError as error:
            raise CwmTraceError(f"cannot keep answers in {path}: {error.strerror}") from error
        entries = [*map(_entry, data.splitlines())]
        self._known = dict(entry for entry in entries if entry is not None)
        if not self._known and data.count(b"\n"):
            raise CwmTraceError(f"{path} is no file of kept answers: name a new one")


def _entry(line: bytes) -> tuple[str, Any] | None:
    """What a line holds; None if it was cut off."""
    try:
        entry = json.loads(line)
        return str(entry["key"]), entry["answer"]
    except (ValueError, KeyError, TypeError):
        return None


def _key(question: Any) -> str:
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:32]
