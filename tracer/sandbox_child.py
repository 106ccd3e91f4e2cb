"""The process of a sandboxed program: a supervisor, and its child that gives up its rights and runs it.

Started by `cwm_trace.tracer.sandbox`, which writes the job to standard input and keeps that open: its end
means that nobody waits any more. The supervisor alone writes to the status descriptor, the child alone to
the channel.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Limits, SourceFile
from cwm_trace.tracer import containment
from cwm_trace.tracer.channel import ChannelSink
from cwm_trace.tracer.program import Runnable
from cwm_trace.tracer.session import Options, Sink, record_program
from cwm_trace.tracer.steps import answer_steps
from cwm_trace.tracer.target import load_named

_leave = os._exit


def main(channel: int, status: int) -> NoReturn:
    """Read a job, run it in a child, and say how that ended.

    Args:
        channel: descriptor for what the program does.
        status: descriptor for how its process ended.
    """
    job = _read_job()
    namespaced = bool(job["wrapped"])
    if job["namespaces"] and not namespaced and containment.unshare_namespaces():
        inner = os.fork()
        if inner:  # the kernel ends everything in the namespace with its process 1, the inner one
            os.close(channel)
            os.close(status)
            os.close(0)
            os.waitpid(inner, 0)
            _leave(0)
        containment.die_with_parent()
        namespaced = True
    containment.adopt_orphans()
    wakeup, alarm = os.pipe()
    os.set_blocking(alarm, False)
    signal.set_wakeup_fd(alarm)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    program = os.fork()
    if program == 0:
        for descriptor in (status, wakeup, alarm):
            os.close(descriptor)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _run(job, channel)
    os.close(channel)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):  # the program's: the reader must see their end
        os.dup2(nowhere, descriptor)
    report = _await(program, wakeup, job["bounds"]["seconds"])
    containment.kill_descendants(job["user"], is_init=namespaced and os.getpid() == 1)
    report["namespaced"] = namespaced
    report["memory"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    with contextlib.suppress(BrokenPipeError):
        os.write(status, json.dumps(report).encode())
    _leave(0)


def _read_job() -> dict[str, Any]:
    line = bytearray()
    while not line.endswith(b"\n"):
        part = os.read(0, 2**20)
        if not part:
            _leave(1)
        line += part
    job: dict[str, Any] = json.loads(line)
    return job


def _await(program: int, wakeup: int, seconds: float) -> dict[str, Any]:
    """Wait for the program, for the wall clock, or until nobody waits for us."""
    end = time.monotonic() + seconds
    while True:
        left = end - time.monotonic()
        readable = select.select([0, wakeup], [], [], max(left, 0))[0]
        if wakeup in readable:
            os.read(wakeup, 512)
        ended, status = os.waitpid(program, os.WNOHANG)
        if ended:
            return {"status": status}
        if left <= 0 or 0 in readable:
            os.kill(program, signal.SIGKILL)
            os.waitpid(program, 0)
            return {"status": None}


def _run(job: dict[str, Any], channel: int) -> NoReturn:
    """In the child: give up every right, run, and leave as `os._exit` does."""
    try:
        nowhere = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nowhere, 0)
        os.closerange(3, channel)
        os.closerange(channel + 1, 1024)
        os.setsid()
        containment.die_with_parent()
        containment.give_up_rights(job["user"], reads_all=job["reads_all"])
        if not os.path.isdir(job["folder"]):  # somebody removed it: our parent makes another
            _leave(1)
        os.chdir(job["folder"])
        bounds = {name: value for name, value in job["bounds"].items() if name in _RESOURCES}
        _add_site_builtins()
        limits = Limits(**job["limits"])
        sink = ChannelSink(channel, limits, _leave)
        containment.limit_resources(**bounds)
    except BaseException as error:
        os.write(channel, json.dumps(["broken", f"{type(error).__name__}: {error}"]).encode() + b"\n")
        _leave(1)
    try:
        if job["kind"] == "steps":
            answer_steps(job, sink.say)
        else:
            _trace(job, sink)
    except CwmTraceError as refused:
        sink.say("refused", str(refused))
    except MemoryError:
        sink.say("error", "MemoryError")
    except BaseException as error:
        sink.say("broken", f"{type(error).__name__}: {error}")
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    _leave(0)


_RESOURCES = ("cpu_seconds", "memory", "file_bytes", "processes")


def _trace(job: dict[str, Any], sink: ChannelSink) -> None:
    program = _load(job)
    options = Options(
        limits=Limits(**{**job["limits"], "max_frames": None, "max_bytes": None}),  # kept by the sink
        include=job["include"],
        exclude=job["exclude"],
        keep_addresses=job["keep_addresses"],
        expand_objects=job["expand_objects"],
        whole_process=True,
    )
    ending = record_program(program, _writing(sink, job["writes"]), options, entry=job["entry"])
    if ending.error is not None:
        sink.say("error", type(ending.error).__name__)


def _writing(sink: ChannelSink, writes: Sequence[tuple[int, str, str]]) -> Sink:
    """The sink, or one before it that writes variables of the program."""
    if not writes:
        return sink
    from cwm_trace.tracer.writing import WritingSink

    return WritingSink(sink, writes, lambda why: sink.say("refused", why))


def _load(job: dict[str, Any]) -> Runnable:
    names = ("path", "source", "call", "arguments", "name")
    program = load_named(**{name: job[name] for name in names})
    if not job["path"] and not job["call"]:
        return program
    named = (SourceFile(job["name"], program.source.text),)
    return replace(program, program=replace(program.program, files=named))


def _add_site_builtins() -> None:
    """`exit`, `quit` and `help`, which Python without `site` lacks."""
    import site

    site.setquit()
    site.sethelper()
