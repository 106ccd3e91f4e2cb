/* What the parts of the recorder share. */

#ifndef RECORDER_H
#define RECORDER_H

#include "interpreter.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Bytes that grow. Where memory ends they are `failed`, which whoever uses them asks in the end. */
typedef struct {
    char *data;
    size_t size, room;
    int failed;
} Bytes;

int bytes_grow(Bytes *bytes, size_t more);

static inline void
put(Bytes *bytes, const char *data, size_t size)
{
    if (size == 0 || (bytes->size + size > bytes->room && bytes_grow(bytes, size) < 0)) {
        return; /* `data` may be NULL while there is none */
    }
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

#define PUT(bytes, text) put((bytes), (text), sizeof(text) - 1)

static inline int
has_room(Bytes *bytes, size_t more)
{
    return bytes->size + more <= bytes->room || bytes_grow(bytes, more) == 0;
}

/* The digits of a number and its sign, written in front of `end`. Returns where they begin. */
#define MOST_DIGITS 24
extern const char digit_pairs[200];

static inline char *
digits_before(char *end, long long number)
{
    unsigned long long rest = number < 0 ? 0ULL - (unsigned long long)number : (unsigned long long)number;
    char *at = end;
    while (rest >= 100) {
        at -= 2;
        memcpy(at, digit_pairs + rest % 100 * 2, 2);
        rest /= 100;
    }
    if (rest >= 10) {
        at -= 2;
        memcpy(at, digit_pairs + rest * 2, 2);
    }
    else {
        *--at = (char)('0' + rest);
    }
    if (number < 0) {
        *--at = '-';
    }
    return at;
}

static inline void
put_number(Bytes *bytes, long long number)
{
    char digits[2 * MOST_DIGITS], *end = digits + MOST_DIGITS, *start = digits_before(end, number);
    if (has_room(bytes, MOST_DIGITS)) {
        memcpy(bytes->data + bytes->size, start, MOST_DIGITS); /* a fixed size is one or two instructions */
        bytes->size += (size_t)(end - start);
    }
}

void put_json(Bytes *bytes, const char *text, size_t size);
int put_json_name(Bytes *bytes, PyObject *text, int *is_odd);
size_t count_characters(const char *text, size_t size);

/* As `int.bit_length` counts them. */
static inline int
bits_of(long long number)
{
    unsigned long long rest = number < 0 ? 0ULL - (unsigned long long)number : (unsigned long long)number;
    return rest ? 64 - __builtin_clzll(rest) : 0;
}

/* Characters of ASCII that `repr` of a text does not show as they are between simple quotes. */
extern const char is_escaped[128];

/* What a container of plain values held when it was last turned into text: types and lengths of containers (marked by
   their lowest bit) and, by strong references, the atoms in them. As long as each is the same object, the text is. */
typedef struct {
    uintptr_t *words;
    size_t size, room;
    int failed;
} Snapshot;

void snapshot_drop(Snapshot *snapshot);

static inline void
snapshot_clear(Snapshot *snapshot)
{
    if (snapshot->size) {
        snapshot_drop(snapshot);
    }
    snapshot->failed = 0;
}

int snapshot_matches(const Snapshot *snapshot, PyObject *value);

static inline int
is_atom(PyObject *value)
{
    PyTypeObject *kind = Py_TYPE(value);
    return kind == &PyLong_Type || kind == &PyUnicode_Type || kind == &PyFloat_Type || kind == &PyBool_Type ||
           value == Py_None || kind == &PyBytes_Type || kind == &PyComplex_Type || value == Py_Ellipsis;
}

static inline int
is_container(PyObject *value)
{
    PyTypeObject *kind = Py_TYPE(value);
    return kind == &PyList_Type || kind == &PyTuple_Type || kind == &PyDict_Type || kind == &PySet_Type ||
           kind == &PyFrozenSet_Type;
}

/* Append the text of a value that runs no code of the program. 1: done; 0: it is not plain, and nothing was
   appended; -1: an error is set. `snapshot` is filled for a container, and `depth` is how deep it is. */
int put_plain(Bytes *out, Snapshot *snapshot, PyObject *value, int *depth);

/* Take ` at 0x…` out of a text from `start` on. */
void strip_addresses(Bytes *out, size_t start);

/* Type, size and, if the text is longer than `max_characters` (-1: any), what was cut off; the rest of a slot.
   Returns the number of characters kept, or -1 with an error. */
Py_ssize_t put_slot(Bytes *out, const char *text, size_t size, PyObject *value, Py_ssize_t max_characters,
                    int *is_odd);

int prepare_values(void);

/* Where lines go: memory, a mapped file, or a function that is given many at once. */
typedef struct Log Log;
extern PyTypeObject Log_Type;
int prepare_log(void);
int log_add_frame(Log *log, const char *line, size_t size);

PyObject *frames_of_lines(PyObject *module, PyObject *args);
PyObject *columns_of_lines(PyObject *module, PyObject *data);

extern PyTypeObject Stack_Type;
extern PyTypeObject Activation_Type;
extern PyTypeObject Engine_Type;

/* Functions that are seen neither by tracing nor by profiling: `unseen.c`. */
PyObject *stand_in(PyObject *module, PyObject *args);

#endif
