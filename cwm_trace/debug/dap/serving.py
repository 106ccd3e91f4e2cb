"""Serves the protocol: over the standard streams, or over a socket of this machine with a token."""

from __future__ import annotations

import os
import queue
import secrets
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO

from cwm_trace.debug.dap.adapter import Adapter
from cwm_trace.debug.dap.requests import HANDLERS
from cwm_trace.debug.dap.wire import BrokenStreamError, Message, read_message, write_message
from cwm_trace.errors import CwmTraceError

TOKEN = "CWM_TRACE_DAP_TOKEN"
"""Environment variable: the token of `--port`, in the place of a new one."""
_LOOPBACK = "127.0.0.1"
_INTERRUPTS = ("pause", "cancel", "disconnect", "terminate", "restart")
"""Requests that end a prediction that is going on, before they are answered in their turn."""


def serve(reader: BinaryIO, writer: BinaryIO, *, token: str = "") -> None:
    """Answer one client until it goes.

    Requests are answered in their order by this thread. Another one reads them, so that `pause` and `cancel`
    are heard while a model is slow.
    """

    def send(message: Message) -> None:
        with suppress(OSError, ValueError):  # the client went away: the reader will see
            write_message(writer, message)

    adapter = Adapter(send, HANDLERS, token=token)
    waiting: queue.Queue[Message | None] = queue.Queue()

    def read() -> None:
        with suppress(OSError, ValueError, BrokenStreamError):
            while (message := read_message(reader)) is not None:
                if message.get("command") in _INTERRUPTS and adapter.is_trusted:
                    adapter.interrupt()
                waiting.put(message)
        adapter.interrupt()
        waiting.put(None)

    threading.Thread(target=read, daemon=True, name="cwm-trace dap reader").start()
    while not adapter.is_over and (message := waiting.get()) is not None:
        adapter.handle(message)


def serve_standard_streams() -> None:
    """Answer the client that started this process; whatever else is printed goes to standard error."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    # without a buffer: its lock is held by the thread that reads, and Python could not end
    source: Any = os.fdopen(os.dup(0), "rb", buffering=0)
    serve(source, output)


def serve_port(port: int, announce: Callable[[int, str], object], *, clients: int | None = None) -> None:
    """Answer clients of this machine, one after the other.

    Args:
        port: to listen on; 0: any that is free.
        announce: is told the port and the token, once clients can come.
        clients: after so many it ends; None: never.

    Raises:
        CwmTraceError: the port cannot be had.
    """
    token = os.environ.get(TOKEN) or secrets.token_urlsafe(16)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_LOOPBACK, port))
        except (OSError, OverflowError) as error:
            raise CwmTraceError(
                f"port {port} cannot be had: {getattr(error, 'strerror', None) or error}"
            ) from error
        listener.listen(1)
        announce(listener.getsockname()[1], token)
        served = 0
        while clients is None or served < clients:
            connection, _ = listener.accept()
            served += 1
            with connection, connection.makefile("rb") as reader, connection.makefile("wb") as writer:
                serve(reader, writer, token=token)
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
