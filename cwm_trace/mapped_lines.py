"""Lines that are written into memory which is mapped from their file: no system call for each of them.

What the compiled recorder's `Log` does with a file (`tracer/_recorder/log.c`), for the recorder in Python.
`mmap` cannot be used: up to 3.12 it keeps a descriptor of its own, which a program that closes all of them
would take away.
"""

from __future__ import annotations

import errno
import functools
import mmap
import os
import resource
from types import SimpleNamespace
from typing import Any

from cwm_trace.streams import identity
from cwm_trace.tracer.interrupts import came_at_a_start

_FIRST_WINDOW = 1 << 16
_LARGEST_WINDOW = 1 << 22
_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
_WIPE_ON_FORK = 18  # of `madvise`: Linux 4.14
_READ_AND_WRITE = mmap.PROT_READ | mmap.PROT_WRITE


class MappedLines:
    """Lines of a plain file: what was written is in it even if the process is killed then.

    Blocks are reserved first, so that a full disk is an error. Until `flush`, zeros follow the last line.

    Args:
        descriptor: of the file, which is empty and open for reading and writing.

    Raises:
        OSError: the file system maps no files, or reserves no blocks.
        MemoryError: there is none left.
    """

    frames = 0
    """Whoever writes lines here counts them."""

    def __init__(self, *, descriptor: int) -> None:
        self._calls = _functions_of_c()
        self._here, self._process = self._calls.here, _mark_process(self._calls)
        self._descriptor = descriptor
        self._file = identity(descriptor)
        self.size = 0
        self._view: Any = None
        self._address = self._length = 0
        self._start = self._end = 0  # bytes of the file that the window has
        self._next = _FIRST_WINDOW
        self._map(0, 1)

    def write(self, data: bytes) -> None:
        """Add whole lines.

        Raises:
            OSError: there is no more room.
            MemoryError: nothing was written, and the next line may be.
        """
        if self._descriptor < 0 or self._here[0] != self._process:  # in a child, whoever has forked it
            return
        try:
            rest = data[1:]
            self._make_room(len(data))
        except (OSError, MemoryError):
            raise
        except BaseException as error:  # sent by another thread, which a system call has let run
            if not came_at_a_start(error):  # else whoever writes this line does so again: `is_cut_short`
                self._make_room(len(data))
                self._add(data[0], data[1:], len(data))
            raise
        self._add(data[0], rest, len(data))

    def flush(self) -> None:
        """Cut the file to what it holds."""
        self._unmap()
        if self._descriptor >= 0:
            self._check()
            os.ftruncate(self._descriptor, self.size)

    def abandon(self) -> None:
        """In a forked child: let go of the file, and write nothing."""
        self._unmap()
        self._descriptor = -1

    def end(self) -> None:
        """Whoever writes lines here knows when that is."""

    def _make_room(self, count: int) -> None:
        while self.size + count > self._end:  # again: a signal handler may have written as well
            self._map(self.size, count)

    def _add(self, first: int, rest: bytes, count: int) -> None:
        """Nothing is called here, where something from outside could come between the size and the line.

        Nor is much memory needed, of which the program may have left none.
        """
        start, view = self.size, self._view
        place = start - self._start
        try:
            self.size = start + count
            view[place + 1 : place + count] = rest
            view[place] = first  # last: a line that was cut by SIGKILL must not begin
        except BaseException:  # on 3.10, where it may come at any instruction
            self.size = start + count
            view[place + 1 : place + count] = rest
            view[place] = first
            raise

    def _check(self) -> None:
        """The program may have closed the descriptor, and given its number to a file of its own."""
        if identity(self._descriptor) != self._file:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def _reserve(self, start: int, length: int) -> None:
        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        if limit not in (resource.RLIM_INFINITY, -1) and start + length > limit:
            # to try it would send SIGXFSZ, for which the program may have a handler
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        os.posix_fallocate(self._descriptor, start, length)

    def _map(self, at: int, count: int) -> None:
        self._check()
        self._unmap()
        page = mmap.PAGESIZE
        start = at // page * page
        needed = -(-(at + count - start) // page) * page
        length = max(needed, self._next)
        end = start + length
        try:
            self._reserve(start, length)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            length, end = needed, at + count  # nearly full: no more than is needed
            self._reserve(at, count)
        c = self._calls
        address = c.mmap(None, length, _READ_AND_WRITE, mmap.MAP_SHARED, self._descriptor, start)
        if address == c.failed and c.errno() == errno.ENOMEM:
            length, end = needed, min(end, start + needed)
            address = c.mmap(None, length, _READ_AND_WRITE, mmap.MAP_SHARED, self._descriptor, start)
        if address == c.failed:
            number = c.errno()
            if number == errno.ENOMEM:
                raise MemoryError  # the program may have more of it later
            raise OSError(number, os.strerror(number))
        self._address, self._length = address, length
        self._view = c.view(address, length, 0x200)  # PyBUF_WRITE
        self._start, self._end = start, end
        self._next = min(self._next * 2, _LARGEST_WINDOW)

    def _unmap(self) -> None:
        if self._view is None:
            return
        self._end = 0
        self._view.release()
        self._view = None
        self._calls.munmap(self._address, self._length)


def _mark_process(calls: SimpleNamespace) -> int:
    """What is in the byte that a child finds empty; a number of this process among those that forked it."""
    if not calls.here[0]:
        calls.processes = calls.processes % 255 + 1
        calls.here[0] = calls.processes
    number: int = calls.here[0]
    return number


@functools.cache
def _functions_of_c() -> SimpleNamespace:
    """What maps memory, of libraries that the program does not share.

    Raises:
        OSError: this interpreter was built without `ctypes`, or there is no memory.
    """
    try:
        import ctypes
    except ImportError as error:
        raise OSError(errno.ENOSYS, "no ctypes") from error
    system, python = ctypes.CDLL(None, use_errno=True), ctypes.PyDLL(None)
    system.mmap.restype = ctypes.c_void_p
    system.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
    system.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    view = python.PyMemoryView_FromMemory
    view.restype = ctypes.py_object
    view.argtypes = (ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)
    page = system.mmap(None, mmap.PAGESIZE, _READ_AND_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    if page == ctypes.c_void_p(-1).value:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    system.madvise(ctypes.c_void_p(page), ctypes.c_size_t(mmap.PAGESIZE), _WIPE_ON_FORK)
    return SimpleNamespace(
        here=view(page, 1, 0x200),
        processes=0,
        mmap=system.mmap,
        munmap=system.munmap,
        failed=ctypes.c_void_p(-1).value,
        errno=ctypes.get_errno,
        view=view,
    )
