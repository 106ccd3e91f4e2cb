/* Lines that the recorder wrote, as rows of a table have them: every field of a frame in its place.

   `rows.py` of the datasets does the same in Python, and says what stands for a field that is left out. */

#include "recorder.h"

typedef struct {
    const char *at, *end;
} Cursor;

/* A part of a line; `data` is NULL where there is none. */
typedef struct {
    const char *data;
    size_t size;
} Part;

static inline int
take(Cursor *cursor, const char *text, size_t size)
{
    if ((size_t)(cursor->end - cursor->at) < size || memcmp(cursor->at, text, size) != 0) {
        return 0;
    }
    cursor->at += size;
    return 1;
}

#define TAKE(cursor, text) take((cursor), (text), sizeof(text) - 1)

static inline void
put_part(Bytes *out, Part part)
{
    put(out, part.data, part.size);
}

/* A string with its quotes. */
static int
take_string(Cursor *cursor, Part *part)
{
    const char *start = cursor->at, *at = start, *end = cursor->end;
    if (at == end || *at != '"') {
        return 0;
    }
    for (at++; at < end && *at != '"'; at++) {
        if ((unsigned char)*at < 0x20 || (*at == '\\' && (++at == end || (unsigned char)*at < 0x20))) {
            return 0;
        }
    }
    if (at == end) {
        return 0;
    }
    cursor->at = at + 1;
    *part = (Part){start, (size_t)(cursor->at - start)};
    return 1;
}

static int
take_number(Cursor *cursor, Part *part)
{
    const char *start = cursor->at;
    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9') {
        cursor->at++;
    }
    *part = (Part){start, (size_t)(cursor->at - start)};
    return part->size != 0;
}

/* A value, as the four columns of a slot and the brace behind them. */
static int
take_value(Cursor *cursor, Bytes *out)
{
    Part text, kind = {"\"\"", 2}, size = {"null", 4}, clipped = {"0", 1};
    if (!TAKE(cursor, "{\"text\":") || !take_string(cursor, &text) ||
        (TAKE(cursor, ",\"type\":") && !take_string(cursor, &kind)) ||
        (TAKE(cursor, ",\"size\":") && !take_number(cursor, &size)) ||
        (TAKE(cursor, ",\"clipped\":") && !take_number(cursor, &clipped)) || !TAKE(cursor, "}")) {
        return 0;
    }
    PUT(out, "\"value\":");
    put_part(out, text);
    PUT(out, ",\"type\":");
    put_part(out, kind);
    PUT(out, ",\"size\":");
    put_part(out, size);
    PUT(out, ",\"clipped\":");
    put_part(out, clipped);
    PUT(out, "}");
    return 1;
}

static int
take_changed(Cursor *cursor, Bytes *out)
{
    Part name;
    do {
        if (!take_string(cursor, &name) || !TAKE(cursor, ":")) {
            return 0;
        }
        PUT(out, "{\"name\":");
        put_part(out, name);
        PUT(out, ",");
        if (TAKE(cursor, "null")) { /* no longer bound */
            PUT(out, "\"value\":null,\"type\":null,\"size\":null,\"clipped\":null}");
        }
        else if (!take_value(cursor, out)) {
            return 0;
        }
    } while (TAKE(cursor, ",") && (PUT(out, ","), 1));
    return TAKE(cursor, "}");
}

static int
take_frame(Cursor *cursor, Bytes *out)
{
    const char *start = cursor->at;
    Part number, thread = {"0", 1}, file = {"0", 1}, message = {"null", 4};
    if (!TAKE(cursor, "{\"event\":\"")) {
        return 0;
    }
    const char *event = cursor->at;
    while (cursor->at < cursor->end && *cursor->at >= 'a' && *cursor->at <= 'z') {
        cursor->at++;
    }
    if (cursor->at == event || !TAKE(cursor, "\",\"line\":") || !take_number(cursor, &number) ||
        !TAKE(cursor, ",\"activation\":") || !take_number(cursor, &number) || !TAKE(cursor, ",\"depth\":") ||
        !take_number(cursor, &number)) {
        return 0;
    }
    put(out, start, (size_t)(cursor->at - start));
    if ((TAKE(cursor, ",\"thread\":") && !take_number(cursor, &thread)) ||
        (TAKE(cursor, ",\"file\":") && !take_number(cursor, &file))) {
        return 0;
    }
    PUT(out, ",\"thread\":");
    put_part(out, thread);
    PUT(out, ",\"file\":");
    put_part(out, file);
    PUT(out, ",\"changed\":[");
    if (TAKE(cursor, ",\"changed\":{") && !take_changed(cursor, out)) {
        return 0;
    }
    PUT(out, "],\"value\":");
    if (!TAKE(cursor, ",\"value\":")) {
        PUT(out, "null");
    }
    else {
        PUT(out, "{");
        if (!take_value(cursor, out)) {
            return 0;
        }
    }
    if (TAKE(cursor, ",\"message\":") && !take_string(cursor, &message)) {
        return 0;
    }
    PUT(out, ",\"message\":");
    put_part(out, message);
    PUT(out, "}");
    return TAKE(cursor, "}");
}

PyObject *
columns_of_lines(PyObject *Py_UNUSED(module), PyObject *data)
{
    char *lines;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(data, &lines, &size) < 0) {
        return NULL;
    }
    Cursor cursor = {lines, lines + size};
    Bytes out = {0};
    PyObject *columns = NULL;
    while (cursor.at < cursor.end) {
        const char *line = cursor.at;
        if (!take_frame(&cursor, &out) || !TAKE(&cursor, "\n")) {
            PyErr_Format(PyExc_ValueError, "no frame of a recording at byte %zd", (Py_ssize_t)(line - lines));
            goto done;
        }
        if (cursor.at < cursor.end) {
            PUT(&out, ",");
        }
    }
    if (out.failed) {
        PyErr_NoMemory();
    }
    else {
        columns = PyBytes_FromStringAndSize(out.data, (Py_ssize_t)out.size);
    }
done:
    free(out.data);
    return columns;
}
