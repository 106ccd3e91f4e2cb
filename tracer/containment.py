"""What the operating system is asked to keep a sandboxed program from, in the process that will run it.

Linux only, for the most part: `prctl(2)` and `unshare(2)` are called through ctypes, and where they are
missing or refused the function says so and the rest still holds.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import struct
import sys
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000
_CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION = 0x20080522
_DESCRIPTORS = 256

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def unshare_namespaces() -> bool:
    """Give children of this process no network, and process numbers of their own.

    The next child is process 1 of its namespace: when it ends, the kernel ends everything in it. False
    where the kernel refuses.
    """
    if _libc is None:
        return False
    user, group = os.geteuid(), os.getegid()
    flags = _CLONE_NEWPID | _CLONE_NEWNET | _CLONE_NEWIPC
    if _libc.unshare(flags | (_CLONE_NEWUSER if user else 0)):
        return False
    if user:  # the same user inside; group mapping needs setgroups to be given up first (user_namespaces(7))
        for name, text in (
            ("uid_map", f"{user} {user} 1"),
            ("setgroups", "deny"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with contextlib.suppress(OSError), open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    return True


def adopt_orphans() -> None:
    """Processes that lose their parent below this one become its children, for `kill_descendants`."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """SIGKILL for this process when its parent ends, however that ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def give_up_rights(user: int | None, *, reads_all: bool) -> None:
    """Become an ordinary user with a number of its own, if this is root; never gain rights again.

    Args:
        user: that number; None: stay who this is.
        reads_all: keep the one right to read every file, where Python itself lies in a folder of root's.
    """
    if user is not None and os.geteuid() == 0:
        if reads_all:
            _prctl(_PR_SET_KEEPCAPS, 1)
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        if reads_all:
            _keep_only(_CAP_DAC_READ_SEARCH)
        die_with_parent()  # a change of user clears it
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _keep_only(capability: int) -> None:
    """capset(2) on this thread."""
    if _libc is not None:
        header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
        _libc.capset(header, struct.pack("=6I", 1 << capability, 1 << capability, 0, 0, 0, 0))


def limit_resources(*, cpu_seconds: int, memory: int, file_bytes: int, processes: int) -> None:
    """Bound this process and those it starts, each by itself; `processes` counts all of its user's."""
    bounds = [
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NPROC, processes + _others_running()),
        (resource.RLIMIT_NOFILE, _DESCRIPTORS),
        (resource.RLIMIT_CORE, 0),
    ]
    for kind, bound in bounds:
        hard = resource.getrlimit(kind)[1]
        most = sys.maxsize if hard == resource.RLIM_INFINITY else hard
        spare = 1 if kind == resource.RLIMIT_CPU else 0  # the soft bound gives SIGXCPU, the hard one SIGKILL
        with contextlib.suppress(ValueError, OSError):  # macOS refuses some
            resource.setrlimit(kind, (min(bound, most), min(bound + spare, most)))


def kill_descendants(user: int | None, *, is_init: bool) -> None:
    """End every child of this process, and what they leave behind, until there is none.

    Args:
        user: the number of a user that is the sandboxed program's alone, if this is root.
        is_init: this is process 1 of a namespace of its own, so that everything it sees belongs to it.
    """
    patience = 1000
    while patience:
        if is_init:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
        elif user is not None and os.geteuid() == 0:
            _kill_all_of(user)
        for child in _children():  # those that went to a session of their own come here as orphans
            with contextlib.suppress(OSError):
                os.kill(child, signal.SIGKILL)
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                patience -= 1
                time.sleep(0.002)
        except ChildProcessError:
            return


def _kill_all_of(user: int) -> None:
    """SIGKILL for all processes of a user that nobody else has, at once: a fork bomb cannot keep up."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresuid(user, user, user)
            os.kill(-1, signal.SIGKILL)
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def _children() -> list[int]:
    try:
        with open("/proc/thread-self/children") as file:
            return [int(word) for word in file.read().split()]
    except (OSError, ValueError):
        return []


def _others_running() -> int:
    """Processes and threads of this user besides this one, which count against the limit of processes."""
    user, count = os.geteuid(), -1
    try:
        for name in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if name.isdigit() and os.stat(f"/proc/{name}").st_uid == user:
                    count += len(os.listdir(f"/proc/{name}/task"))
    except OSError:
        return 0
    return max(count, 0)


def _prctl(option: int, value: int) -> None:
    if _libc is not None:
        _libc.prctl(option, value, 0, 0, 0)
