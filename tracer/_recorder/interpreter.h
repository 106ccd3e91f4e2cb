/* Every difference between CPython 3.10, 3.11, 3.12 and 3.13 that the recorder depends on, in one place. */

#ifndef INTERPRETER_H
#define INTERPRETER_H

#define PY_SSIZE_T_CLEAN
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* `memmem`, `posix_fallocate` */
#endif
#define Py_BUILD_CORE_MODULE 1 /* the layout of frames is internal since 3.11 (bpo-44032) */
#include <Python.h>
#include <frameobject.h>
#include <opcode.h>

#if PY_VERSION_HEX < 0x030A0000 || PY_VERSION_HEX >= 0x030E0000
#error "the recorder knows the frames of CPython 3.10 to 3.13"
#endif
#ifdef Py_GIL_DISABLED
#error "the recorder needs the GIL (PEP 703)"
#endif

#if PY_VERSION_HEX < 0x030B0000
#include <longintrepr.h>
#else
#include <internal/pycore_code.h>
#include <internal/pycore_frame.h>
#endif
#if PY_VERSION_HEX >= 0x030D0000
#include <internal/pycore_pyhash.h>  /* private since 3.13: gh-106320 */
#include <internal/pycore_setobject.h>
#endif

/* The order in which `frame.f_locals` shows a function's variables. Up to 3.12 it is a dict, which keeps the order
   in which they were bound; from 3.13 on a view in the order of their slots (PEP 667). */
#define LOCALS_IN_SLOT_ORDER (PY_VERSION_HEX >= 0x030D0000)

/* Where a function has variables that nested functions capture, 3.10 has cells behind the other slots, and the
   tracer in Python shows arguments first (bpo-43693). */
#define CELLS_ARE_APART (PY_VERSION_HEX < 0x030B0000)

/* Between these, code of ours is neither traced nor profiled. */
static inline void
enter_tracing(PyThreadState *thread)
{
#if PY_VERSION_HEX >= 0x030B0000
    PyThreadState_EnterTracing(thread);
#else
    thread->tracing++;
    thread->cframe->use_tracing = 0;
#endif
}

static inline void
leave_tracing(PyThreadState *thread)
{
#if PY_VERSION_HEX >= 0x030B0000
    PyThreadState_LeaveTracing(thread);
#else
    thread->tracing--;
    thread->cframe->use_tracing = thread->c_tracefunc != NULL || thread->c_profilefunc != NULL ? 255 : 0;
#endif
}

static inline PyCodeObject *
frame_code(PyFrameObject *frame)
{
#if PY_VERSION_HEX >= 0x030D0000
    return (PyCodeObject *)frame->f_frame->f_executable; /* gh-109094 */
#elif PY_VERSION_HEX >= 0x030B0000
    return frame->f_frame->f_code;
#else
    return frame->f_code;
#endif
}

/* Fast locals, cells and free variables. */
static inline PyObject **
frame_slots(PyFrameObject *frame)
{
#if PY_VERSION_HEX >= 0x030B0000
    return frame->f_frame->localsplus;
#else
    return frame->f_localsplus;
#endif
}

/* The namespace of a module, a class body or `exec`; of a function up to 3.12 the dict that `locals()` has given
   out, if it was called. Borrowed; may be NULL. */
static inline PyObject *
frame_namespace(PyFrameObject *frame)
{
#if PY_VERSION_HEX >= 0x030B0000
    return frame->f_frame->f_locals;
#else
    return frame->f_locals;
#endif
}

/* Whether a namespace is what `frame.f_locals` of a function gives, which `exec` may have been given: PEP 667. */
static inline int
is_locals_proxy(PyObject *namespace)
{
#if PY_VERSION_HEX >= 0x030D0000
    return PyFrameLocalsProxy_Check(namespace);
#else
    (void)namespace;
    return 0;
#endif
}

/* Variables of a function that have no slot: what the program has put into `locals()` up to 3.12, and into
   `frame.f_locals` from 3.13 on (PEP 667). Borrowed; may be NULL. */
static inline PyObject *
frame_extras(PyFrameObject *frame)
{
#if PY_VERSION_HEX >= 0x030D0000
    return frame->f_extra_locals;
#else
    return frame_namespace(frame);
#endif
}

static inline int
frame_line(PyFrameObject *frame)
{
    int line = PyFrame_GetLineNumber(frame);
    return line < 0 ? 0 : line; /* `RESUME` of a module has none: PEP 626 */
}

static inline Py_ssize_t
code_slots(PyCodeObject *code)
{
#if PY_VERSION_HEX >= 0x030B0000
    return code->co_nlocalsplus; /* bpo-43693 */
#else
    return code->co_nlocals + PyTuple_GET_SIZE(code->co_cellvars) + PyTuple_GET_SIZE(code->co_freevars);
#endif
}

/* Where a variable of a function is.

   name: borrowed.
   is_cell: the slot may hold a cell around the value.
   rank: its place among all variables if that is fixed, else -1. */
typedef struct {
    PyObject *name;
    int is_cell;
    Py_ssize_t rank;
} SlotPlace;

/* What is in a slot; 0 if it is no variable of its own. */
static inline int
code_slot(PyCodeObject *code, Py_ssize_t slot, SlotPlace *place)
{
    place->rank = -1;
#if PY_VERSION_HEX >= 0x030B0000
    unsigned char kind = (unsigned char)PyBytes_AS_STRING(code->co_localspluskinds)[slot];
    place->name = PyTuple_GET_ITEM(code->co_localsplusnames, slot);
    place->is_cell = (kind & (CO_FAST_CELL | CO_FAST_FREE)) != 0;
    return 1;
#else
    Py_ssize_t locals = code->co_nlocals, cells = PyTuple_GET_SIZE(code->co_cellvars);
    if (slot >= locals + cells) {
        place->name = PyTuple_GET_ITEM(code->co_freevars, slot - locals - cells);
        place->is_cell = 1;
        return 1;
    }
    PyObject *name = slot < locals ? PyTuple_GET_ITEM(code->co_varnames, slot)
                                   : PyTuple_GET_ITEM(code->co_cellvars, slot - locals);
    place->name = name;
    place->is_cell = slot >= locals;
    if (cells == 0) {
        return 1;
    }
    if (slot < locals) { /* an argument that is captured lives in its cell alone */
        place->rank = slot;
        for (Py_ssize_t i = 0; i < cells; i++) {
            if (PyUnicode_Compare(name, PyTuple_GET_ITEM(code->co_cellvars, i)) == 0) {
                return 0;
            }
        }
    }
    else {
        for (Py_ssize_t i = 0; i < locals; i++) {
            if (PyUnicode_Compare(name, PyTuple_GET_ITEM(code->co_varnames, i)) == 0) {
                place->rank = i;
            }
        }
    }
    return 1;
#endif
}

/* The value of a slot, borrowed; NULL: it has none. A slot for cells may hold a plain value: before its cell is made, and
   while a comprehension that is part of the code (PEP 709) has its own variable there. `frame.f_locals` takes that for
   the cell, and the interpreter crashes (seen in 3.13.0). */
static inline PyObject *
slot_content(PyObject *held, int is_cell)
{
    return is_cell && held != NULL && PyCell_Check(held) ? PyCell_GET(held) : held;
}

/* Pairs of names and values that `frame.f_locals` shows in the place of the namespace while a module or class body runs
   a comprehension that is part of it (PEP 709, gh-105256). A new list; NULL without an error: it runs none. */
static inline PyObject *
hidden_locals(PyFrameObject *frame, PyCodeObject *code)
{
#if PY_VERSION_HEX >= 0x030D0000
    int runs = 0;
    SlotPlace place;
    PyObject **slots = frame_slots(frame);
    for (int i = 0; i < code->co_nlocalsplus && !runs; i++) {
        runs = (PyBytes_AS_STRING(code->co_localspluskinds)[i] & CO_FAST_HIDDEN) && code_slot(code, i, &place) &&
               slot_content(slots[i], place.is_cell) != NULL;
    }
    PyObject *extras = runs ? frame_extras(frame) : NULL;
    PyObject *items = !runs ? NULL : extras == NULL ? PyList_New(0) : PyDict_Items(extras);
    for (int i = code->co_nlocalsplus - 1; i >= 0 && items != NULL; i--) {
        code_slot(code, i, &place);
        PyObject *value = slot_content(slots[i], place.is_cell);
        if (value == NULL) {
            continue;
        }
        PyObject *pair = PyTuple_Pack(2, place.name, value);
        if (pair == NULL || PyList_Insert(items, 0, pair) < 0) {
            Py_CLEAR(items);
        }
        Py_XDECREF(pair);
    }
    return items;
#else
    (void)frame;
    (void)code;
    return NULL;
#endif
}

/* Where a frame stands, as an offset in its code; negative before it has begun. */
static inline int
frame_at(PyFrameObject *frame)
{
#if PY_VERSION_HEX >= 0x030B0000
    return PyFrame_GetLasti(frame);
#else
    return frame->f_lasti;
#endif
}

/* Whether the return event that gives `value` is an exception leaving the frame. All versions but 3.12 say so by giving
   no value at all; 3.12 gives None (its legacy tracing was rewritten on PEP 669), and the instruction has to tell.

   raised_at: where the frame stood at its last event, if that was an exception, else -1: what is thrown into a generator
   leaves from the very `yield` that it was suspended at. */
static inline int
frame_unwinds(PyFrameObject *frame, PyObject *value, int raised_at)
{
#if PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030D0000
    if (value != NULL && value != Py_None) {
        return 0;
    }
    int at = frame_at(frame), unwinds = 1;
    PyObject *code = at < 0 || value == NULL ? NULL : PyCode_GetCode(frame_code(frame)); /* made once */
    if (code != NULL) {
        unsigned char instruction = (unsigned char)PyBytes_AS_STRING(code)[at];
        if (instruction == RETURN_VALUE || instruction == RETURN_CONST) {
            unwinds = 0;
        }
        else if (instruction == YIELD_VALUE) {
            unwinds = at == raised_at;
        }
        Py_DECREF(code);
    }
    return unwinds;
#else
    (void)frame;
    (void)raised_at;
    return value == NULL;
#endif
}

/* The number that an int of one digit is, as most are; 0: it has more. Ints were laid out anew in 3.12 (gh-101291). */
static inline int
small_int(PyObject *value, long *number)
{
#if PY_VERSION_HEX >= 0x030C0000
    if (!PyUnstable_Long_IsCompact((PyLongObject *)value)) {
        return 0;
    }
    *number = (long)PyUnstable_Long_CompactValue((PyLongObject *)value);
#else
    Py_ssize_t size = Py_SIZE(value);
    if (size < -1 || size > 1) {
        return 0;
    }
    *number = size == 0 ? 0 : (long)size * (long)((PyLongObject *)value)->ob_digit[0];
#endif
    return 1;
}

/* Give the current thread more levels of recursion, by the interpreter's own count: 3.10 counts up, 3.11 and 3.12
   down, each under another name (bpo-46142, gh-91079). */
static inline void
add_recursion_levels(long levels)
{
    PyThreadState *state = PyThreadState_Get();
#if PY_VERSION_HEX >= 0x030C0000
    state->py_recursion_remaining += (int)levels;
#elif PY_VERSION_HEX >= 0x030B0000
    state->recursion_remaining += (int)levels;
#else
    state->recursion_depth -= (int)levels;
#endif
}

/* The exception that is set, as an instance with its traceback; a new reference. PEP 490's triple ended in 3.12. */
static inline PyObject *
take_error(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *kind, *error, *trace;
    PyErr_Fetch(&kind, &error, &trace);
    PyErr_NormalizeException(&kind, &error, &trace);
    if (trace != NULL && error != NULL) {
        PyException_SetTraceback(error, trace);
    }
    Py_XDECREF(kind);
    Py_XDECREF(trace);
    return error;
#endif
}

/* The inverse; steals the reference. */
static inline void
give_error(PyObject *error)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(error);
#else
    PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(error)), error, PyException_GetTraceback(error));
#endif
}

#endif
