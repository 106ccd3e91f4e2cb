/* Where lines go.

   A log of a file is written into memory that is mapped from it: a line is in the page cache, and so survives the end
   of the process, however that comes, without a system call. The blocks of the window are reserved first, so that a
   full disk is an error of `posix_fallocate` and never a SIGBUS. Behind the last line the file is zeros until it is
   closed, which cuts it to size.

   The program may close our descriptor and give its number to a file of its own, and C code may fork without a word
   to Python: neither that file nor, from the child, ours is written to.

   A log without a file keeps lines in memory; one with a function hands them on in bounded time and bytes. */

#include "recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <structmember.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FIRST_WINDOW ((size_t)1 << 16)
#define LARGEST_WINDOW ((size_t)1 << 22)
#define POPULATED ((size_t)1 << 18) /* at once */

struct Log {
    PyObject_HEAD
    int descriptor; /* of the file; -1: none */
    dev_t device;   /* which file that is */
    ino_t inode;
    long forks; /* of this process when the log was made */
    char *window;
    size_t window_size, window_at, window_end; /* in bytes of the file; up to the end blocks are reserved */
    size_t populated;                          /* up to here pages are there */
    size_t next_window;
    size_t size; /* of all lines so far */
    Bytes held;
    PyObject *write;
    size_t most_bytes;
    double most_seconds, handed_on;
    int is_writing;
    int is_abandoned; /* in a forked child */
    int has_ended;    /* what a thread still has to say is left out */
    Py_ssize_t frames;
};

static long forks; /* that led to this process */

static void
count_fork(void)
{
    forks++;
}

int
prepare_log(void)
{
    return pthread_atfork(NULL, NULL, count_fork) ? (PyErr_NoMemory(), -1) : 0;
}

/* Whether the log is that of the process that has forked this one; what is kept in memory is each one's own. */
static int
is_of_parent(const Log *log)
{
    return log->forks != forks && (log->descriptor >= 0 || log->write != NULL);
}

static double
now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int
fail(int error)
{
    errno = error;
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
}

static void
unmap(Log *log)
{
    if (log->window != NULL) {
        munmap(log->window, log->window_size);
        log->window = NULL;
    }
}

static int
is_ours(const Log *log)
{
    struct stat is;
    return fstat(log->descriptor, &is) == 0 && is.st_dev == log->device && is.st_ino == log->inode;
}

static int
reserve(Log *log, size_t start, size_t size)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && start + size > limit.rlim_cur) {
        return EFBIG; /* to try it would send SIGXFSZ, for which the program may have a handler */
    }
    int error;
    do {
        error = posix_fallocate(log->descriptor, (off_t)start, (off_t)size);
    } while (error == EINTR);
    return error;
}

/* Map a window that the next `size` bytes fit in. */
static int
map(Log *log, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (!is_ours(log)) {
        return fail(EBADF);
    }
    unmap(log);
    size_t start = log->size / page * page;
    size_t needed = (log->size - start + size + page - 1) / page * page;
    size_t wanted = needed > log->next_window ? needed : log->next_window;
    size_t end = start + wanted;
    int error = reserve(log, start, wanted);
    if (error == ENOSPC || error == EFBIG || error == EDQUOT) { /* nearly full: no more than is needed */
        wanted = needed;
        end = log->size + size;
        error = reserve(log, log->size, size);
    }
    if (error) {
        return fail(error);
    }
    void *window = mmap(NULL, wanted, PROT_READ | PROT_WRITE, MAP_SHARED, log->descriptor, (off_t)start);
    if (window == MAP_FAILED && errno == ENOMEM) {
        wanted = needed;
        end = start + needed < end ? start + needed : end;
        window = mmap(NULL, wanted, PROT_READ | PROT_WRITE, MAP_SHARED, log->descriptor, (off_t)start);
    }
    if (window == MAP_FAILED) {
        if (errno == ENOMEM) { /* the program may have more of it later */
            PyErr_NoMemory();
            return -1;
        }
        return fail(errno);
    }
    log->window = window;
    log->window_size = wanted;
    log->window_at = start;
    log->window_end = end;
    log->populated = wanted > FIRST_WINDOW ? start : end; /* most recordings are short */
    if (log->next_window < LARGEST_WINDOW) {
        log->next_window *= 2;
    }
    return 0;
}

/* Have the next pages there: many at once are cheaper than a fault for each (Linux 5.14), and none that is not needed. */
static void
populate(Log *log, size_t size)
{
#ifdef MADV_POPULATE_WRITE
    size_t left = log->window_at + log->window_size - log->populated, wanted = POPULATED;
    while (wanted < log->size + size - log->populated) {
        wanted += POPULATED;
    }
    wanted = wanted < left ? wanted : left;
    madvise(log->window + (log->populated - log->window_at), wanted, MADV_POPULATE_WRITE);
    log->populated += wanted;
#else
    (void)size;
    log->populated = log->window_end;
#endif
}

static int
hand_on(Log *log)
{
    log->handed_on = now();
    if (log->held.size == 0 || log->is_writing) {
        return 0;
    }
    PyObject *data = PyBytes_FromStringAndSize(log->held.data, (Py_ssize_t)log->held.size);
    if (data == NULL) {
        return -1;
    }
    log->held.size = 0;
    log->is_writing = 1; /* what comes meanwhile, from another thread, waits */
    PyObject *done = PyObject_CallOneArg(log->write, data);
    log->is_writing = 0;
    Py_DECREF(data);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Add whole lines. Sets OSError where they cannot be kept. Runs Python code only if the log has a function. */
static int
log_append(Log *log, const char *data, size_t size)
{
    if (log->is_abandoned || is_of_parent(log)) {
        return 0;
    }
    if (log->descriptor >= 0) {
        if (size == 0) {
            return 0;
        }
        if (log->window == NULL || log->size + size > log->window_end) {
            if (map(log, size) < 0) {
                return -1;
            }
        }
        if (log->size + size > log->populated) {
            populate(log, size);
        }
        char *place = log->window + (log->size - log->window_at);
        memcpy(place + 1, data + 1, size - 1);
        __asm__ volatile("" ::: "memory"); /* a line that was cut by SIGKILL must not begin */
        *(volatile char *)place = *data;
        log->size += size;
        return 0;
    }
    put(&log->held, data, size);
    if (log->held.failed) {
        log->held.failed = 0;
        PyErr_NoMemory();
        return -1;
    }
    log->size += size;
    if (log->write != NULL && (log->held.size >= log->most_bytes || now() - log->handed_on >= log->most_seconds)) {
        return hand_on(log);
    }
    return 0;
}

/* Add the line of a frame. */
int
log_add_frame(Log *log, const char *line, size_t size)
{
    if (log->has_ended) {
        return 0;
    }
    if (log_append(log, line, size) < 0) {
        return -1;
    }
    log->frames++;
    return 0;
}

static PyObject *
log_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"descriptor", "write", "most_bytes", "most_seconds", NULL};
    int descriptor = -1;
    PyObject *write = Py_None;
    Py_ssize_t most_bytes = 1 << 16;
    double most_seconds = 0.25;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "|iOnd:Log", names, &descriptor, &write, &most_bytes,
                                     &most_seconds)) {
        return NULL;
    }
    Log *log = (Log *)type->tp_alloc(type, 0);
    if (log == NULL) {
        return NULL;
    }
    log->descriptor = descriptor;
    log->forks = forks;
    struct stat is;
    if (descriptor >= 0 && fstat(descriptor, &is) == 0) {
        log->device = is.st_dev;
        log->inode = is.st_ino;
    }
    log->next_window = FIRST_WINDOW;
    log->most_bytes = (size_t)most_bytes;
    log->most_seconds = most_seconds;
    log->handed_on = now();
    log->write = write == Py_None ? NULL : Py_NewRef(write);
    if (descriptor >= 0 && map(log, 1) < 0) {
        log->descriptor = -1;
        Py_DECREF(log);
        return NULL;
    }
    return (PyObject *)log;
}

static int
log_traverse(Log *log, visitproc visit, void *arg)
{
    Py_VISIT(log->write);
    return 0;
}

static int
log_clear(Log *log)
{
    Py_CLEAR(log->write);
    return 0;
}

static void
log_dealloc(Log *log)
{
    PyObject_GC_UnTrack(log);
    unmap(log);
    free(log->held.data);
    Py_XDECREF(log->write);
    Py_TYPE(log)->tp_free(log);
}

static PyObject *
log_write(Log *log, PyObject *data)
{
    char *bytes;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(data, &bytes, &size) < 0 || log_append(log, bytes, (size_t)size) < 0) {
        return NULL;
    }
    if (log->write != NULL && !is_of_parent(log) && hand_on(log) < 0) {
        return NULL; /* who reads a pipe learns at once what begins, and what ends */
    }
    Py_RETURN_NONE;
}

static PyObject *
log_flush(Log *log, PyObject *Py_UNUSED(none))
{
    if (is_of_parent(log)) {
        Py_RETURN_NONE;
    }
    if (log->write != NULL && hand_on(log) < 0) {
        return NULL;
    }
    if (log->descriptor >= 0) {
        unmap(log);
        errno = EBADF;
        if (!is_ours(log) || ftruncate(log->descriptor, (off_t)log->size) < 0) {
            fail(errno);
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

static PyObject *
log_abandon(Log *log, PyObject *Py_UNUSED(none))
{
    unmap(log);
    log->is_abandoned = 1;
    log->descriptor = -1;
    Py_CLEAR(log->write);
    log->held.size = 0;
    Py_RETURN_NONE;
}

static PyObject *
log_end(Log *log, PyObject *Py_UNUSED(none))
{
    log->has_ended = 1;
    Py_RETURN_NONE;
}

static PyObject *
log_take(Log *log, PyObject *Py_UNUSED(none))
{
    PyObject *data = PyBytes_FromStringAndSize(log->held.data, (Py_ssize_t)log->held.size);
    if (data != NULL) {
        log->held.size = 0;
    }
    return data;
}

static PyObject *
log_get_size(Log *log, void *Py_UNUSED(closure))
{
    return PyLong_FromSize_t(log->size);
}

static PyMethodDef methods[] = {
    {"write", (PyCFunction)log_write, METH_O, "Add whole lines."},
    {"flush", (PyCFunction)log_flush, METH_NOARGS, "Hand on what waits; cut the file to what it holds."},
    {"abandon", (PyCFunction)log_abandon, METH_NOARGS, "In a forked child: let go of the file, and write nothing."},
    {"end", (PyCFunction)log_end, METH_NOARGS, "Take no more frames."},
    {"take", (PyCFunction)log_take, METH_NOARGS, "Give what is kept in memory, and keep it no longer."},
    {NULL},
};

static PyMemberDef members[] = {
    {"frames", T_PYSSIZET, offsetof(Log, frames), READONLY, "Lines of frames so far."},
    {NULL},
};

static PyGetSetDef attributes[] = {
    {"size", (getter)log_get_size, NULL, "Bytes of all lines so far.", NULL},
    {NULL},
};

PyTypeObject Log_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "cwm_trace.tracer._recorder.Log",
    .tp_doc = "Where lines go: memory, a mapped file, or a function that is given many at once.",
    .tp_basicsize = sizeof(Log),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = log_new,
    .tp_dealloc = (destructor)log_dealloc,
    .tp_traverse = (traverseproc)log_traverse,
    .tp_clear = (inquiry)log_clear,
    .tp_methods = methods,
    .tp_members = members,
    .tp_getset = attributes,
};
