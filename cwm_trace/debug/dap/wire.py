"""Messages of the Debug Adapter Protocol as bytes: a header with their length, and JSON."""

from __future__ import annotations

import json
from typing import Any, BinaryIO

_MAX_BYTES = 16 * 2**20
"""Of one message; a longer one is not an editor's."""
_MAX_HEADER = 4096

Message = dict[str, Any]


class BrokenStreamError(Exception):
    """What came is no message, and where the next one begins is not known."""


def read_message(stream: BinaryIO) -> Message | None:
    """The next message; None at the end of the stream.

    JSON that is no message gives an empty one.

    Raises:
        BrokenStreamError: there is no header, or a length that cannot be.
    """
    length = None
    while True:
        line = stream.readline(_MAX_HEADER)
        if not line:
            return None
        if not line.endswith(b"\n"):
            raise BrokenStreamError("the header of a message does not end")
        name, _, value = line.strip().partition(b":")
        if not name and length is not None:
            break
        if name.lower() == b"content-length":
            if not value.strip().isdigit() or int(value) > _MAX_BYTES:
                raise BrokenStreamError(f"a message has the length {value.strip()[:20]!r}")
            length = int(value)
    data = b""
    while len(data) < length:
        part = stream.read(length - len(data))
        if not part:
            return None
        data += part
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def write_message(stream: BinaryIO, message: Message) -> None:
    """Write a message.

    Raises:
        OSError: nobody reads any more.
    """
    data = json.dumps(message, separators=(",", ":")).encode("utf-8", "backslashreplace")
    stream.write(b"Content-Length: %d\r\n\r\n" % len(data) + data)
    stream.flush()
