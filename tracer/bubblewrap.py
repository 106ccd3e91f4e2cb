"""The command line of bubblewrap: a system of its own for a program, with nothing of the user's in it."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin")
_FILES = ("/etc/ld.so.cache", "/etc/localtime", "/etc/alternatives")


@functools.cache
def find_bubblewrap() -> str | None:
    """The path of a bubblewrap that works here; None if there is none (a container may refuse namespaces)."""
    path = shutil.which("bwrap")
    if path is None:
        return None
    command = [path, *_arguments(), *_bindings(["/usr"], []), "true"]
    try:
        tried = subprocess.run(command, capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return path if tried.returncode == 0 else None


def wrap(path: str, command: Sequence[str], readable: Sequence[str], folder: str) -> list[str]:
    """`command` in bubblewrap.

    It sees the system and `readable`, read-only, its own `/proc` and `/dev`, and can write to `folder`
    alone. It has no network, and process numbers of its own, of which it is number 1.
    """
    return [path, *_arguments(), *_bindings(readable, [folder]), "--chdir", "/", "--", *command]


def _arguments() -> list[str]:
    spaces = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if os.geteuid() != 0:
        spaces.append("--unshare-user")
    else:  # the child gives up root itself, and must be able to
        spaces += ["--cap-drop", "ALL"]
        for right in ("CAP_SETUID", "CAP_SETGID", "CAP_KILL", "CAP_DAC_READ_SEARCH"):
            spaces += ["--cap-add", right]
    return [*spaces, "--die-with-parent", "--as-pid-1", "--new-session"]


def _bindings(readable: Sequence[str], writable: Sequence[str]) -> list[str]:
    arguments: list[str] = []
    for path in _SYSTEM:
        if os.path.islink(path):
            arguments += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            arguments += ["--ro-bind", path, path]
    for path in _FILES:
        arguments += ["--ro-bind-try", path, path]
    arguments += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    shown = [path for path in readable if not f"{path}/".startswith("/usr/")]
    for folder in dict.fromkeys(parent for path in [*shown, *writable] for parent in _parents(path)):
        arguments += ["--perms", "0755", "--dir", folder]  # without this nobody but root could pass them
    for path in shown:
        arguments += ["--ro-bind-try", path, path]
    for path in writable:
        arguments += ["--bind", path, path]
    return [*arguments, "--remount-ro", "/tmp", "--remount-ro", "/dev"]


def _parents(path: str) -> list[str]:
    """The folders above `path`, the highest first."""
    parents = [str(parent) for parent in Path(path).parents]
    return [parent for parent in reversed(parents) if parent not in ("/", "/tmp", *_SYSTEM)]
