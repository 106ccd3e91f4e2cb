"""What a conversion has finished, so that an interrupted one goes on where it stopped."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from cwm_trace.errors import CwmTraceError
from cwm_trace.files import is_part, sync_folder
from cwm_trace.model.json_files import read_json, write_json

NAME = ".conversion.json"
Places = dict[str, tuple[int, int]]
"""Offset and length in bytes of each tensor of a file."""


class Journal:
    """The journal of one target folder, there from the first file of a conversion to its last.

    As a context manager it also keeps other processes out of the folder, until this one ends in whatever way.

    Args:
        folder: The target; made if it is not there.
        key: Names the source and the options. Only a conversion with the same key goes on.

    Raises:
        CwmTraceError: The folder holds something else, or another process is writing to it.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.key = key
        self._files: dict[str, Places] = {}
        self._sizes: dict[str, int] = {}
        self._lock = -1

    def __enter__(self) -> Journal:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.folder, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise CwmTraceError(f"another conversion is writing to {self.folder}: wait for it") from error
        except OSError as error:
            raise CwmTraceError(f"cannot write to {self.folder}: {error.strerror}") from error
        try:
            if (self.folder / NAME).is_file():
                self._resume()
            else:
                self._start()
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    def places(self, name: str) -> Places | None:
        """Where the tensors of a finished file lie; None for a file that is still to be written."""
        path = self.folder / name
        if name not in self._files or not path.is_file() or path.stat().st_size != self._sizes[name]:
            return None
        return self._files[name]

    def add(self, name: str, places: Mapping[str, tuple[int, int]]) -> None:
        """Note a file that has its final name."""
        self._files[name] = dict(places)
        self._sizes[name] = (self.folder / name).stat().st_size
        self._write()

    def close(self) -> None:
        """Take the journal away: the conversion is complete."""
        (self.folder / NAME).unlink()
        sync_folder(self.folder)

    def _start(self) -> None:
        held = sorted(path.name for path in self.folder.iterdir() if not is_part(path))
        if held:
            raise CwmTraceError(f"{self.folder} is not empty (it holds {held[0]}): choose a folder that is")
        self._write()

    def _resume(self) -> None:
        content = read_json(self.folder / NAME)
        if content.get("key") != self.key:
            raise CwmTraceError(
                f"{self.folder} holds an unfinished conversion of another source or with other options: "
                "repeat that one, or remove the folder"
            )
        for name, entry in content["files"].items():
            self._sizes[name] = entry["bytes"]
            self._files[name] = {
                tensor: (start, length) for tensor, (start, length) in entry["places"].items()
            }

    def _write(self) -> None:
        files = {name: {"bytes": self._sizes[name], "places": places} for name, places in self._files.items()}
        write_json(self.folder / NAME, {"key": self.key, "files": files})


def fingerprint(source: Path, options: Iterable[object]) -> str:
    """Name a source folder and options: names, sizes and times of the files, not their contents."""
    files = sorted(path for path in source.iterdir() if path.is_file())
    facts = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    return hashlib.sha256(json.dumps([facts, list(options)]).encode()).hexdigest()
