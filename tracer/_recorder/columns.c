/* Lines that the recorder wrote, as rows of a table have them: every field of a frame in its place.

   `rows.py` of the datasets does the same in Python, and says what stands for a field that is left out. */

#include "cursor.h"

static inline void
put_part(Bytes *out, Part part, const char *otherwise)
{
    put(out, part.data == NULL ? otherwise : part.data, part.data == NULL ? strlen(otherwise) : part.size);
}

#define PUT_COLUMN(out, name, part, otherwise) (PUT((out), name), put_part((out), (part), (otherwise)))

/* A value, as the four columns of a slot and the brace behind them. */
static int
take_columns(Cursor *cursor, Bytes *out)
{
    Value value;
    if (!take_value(cursor, &value)) {
        return 0;
    }
    PUT_COLUMN(out, "\"value\":", value.text, "");
    PUT_COLUMN(out, ",\"type\":", value.kind, "\"\"");
    PUT_COLUMN(out, ",\"size\":", value.size, "null");
    PUT_COLUMN(out, ",\"clipped\":", value.clipped, "0");
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
        PUT_COLUMN(out, "{\"name\":", name, "");
        PUT(out, ",");
        if (TAKE(cursor, "null")) { /* no longer bound */
            PUT(out, "\"value\":null,\"type\":null,\"size\":null,\"clipped\":null}");
        }
        else if (!take_columns(cursor, out)) {
            return 0;
        }
    } while (TAKE(cursor, ",") && (PUT(out, ","), 1));
    return TAKE(cursor, "}");
}

static int
take_frame(Cursor *cursor, Bytes *out)
{
    Place place;
    Part message = {0};
    if (!take_place(cursor, &place)) {
        return 0;
    }
    put_part(out, place.head, "");
    PUT_COLUMN(out, ",\"thread\":", place.thread, "0");
    PUT_COLUMN(out, ",\"file\":", place.file, "0");
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
        if (!take_columns(cursor, out)) {
            return 0;
        }
    }
    if (TAKE(cursor, ",\"message\":") && !take_string(cursor, &message)) {
        return 0;
    }
    PUT_COLUMN(out, ",\"message\":", message, "null");
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
