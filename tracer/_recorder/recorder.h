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
    if (bytes->size + size > bytes->room && bytes_grow(bytes, size) < 0) {
        return;
    }
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

#define PUT(bytes, text) put((bytes), (text), sizeof(text) - 1)

void put_number(Bytes *bytes, long long number);
void put_json(Bytes *bytes, const char *text, size_t size);
int put_json_name(Bytes *bytes, PyObject *text, int *is_odd);
size_t count_characters(const char *text, size_t size);

/* What a container of plain values held when it was last turned into text: types and lengths of containers (marked by
   their lowest bit) and, by strong references, the atoms in them. As long as each is the same object, the text is. */
typedef struct {
    uintptr_t *words;
    size_t size, room;
    int failed;
} Snapshot;

void snapshot_clear(Snapshot *snapshot);
int snapshot_matches(const Snapshot *snapshot, PyObject *value);

int is_atom(PyObject *value);
int is_container(PyObject *value);

/* Append the text of a value that runs no code of the program. 1: done; 0: it is not plain, and nothing was
   appended; -1: an error is set. `snapshot`, if given, is filled for a container. */
int put_plain(Bytes *out, Snapshot *snapshot, PyObject *value);

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
int log_add_frame(Log *log, const char *line, size_t size);

PyObject *frames_of_lines(PyObject *module, PyObject *args);

extern PyTypeObject Stack_Type;
extern PyTypeObject Activation_Type;
extern PyTypeObject Engine_Type;

#endif
