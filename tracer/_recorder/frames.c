/* Lines that the recorder wrote, as the records that a trace holds, without a look at what cannot be in them. */

#include "recorder.h"

#include <structmember.h>

enum { EVENT, LINE, SOURCE, ACTIVATION, DEPTH, THREAD, FILE_NUMBER, CHANGED, VALUE, MESSAGE, RAW, LOGPROBS, FRAME_FIELDS };
static const char *const frame_names[] = {"event",   "line",    "source", "activation", "depth", "thread", "file",
                                          "changed", "value",   "message", "raw",       "logprobs"};
enum { TEXT, TYPE, SIZE, CLIPPED, SLOT_FIELDS };
static const char *const slot_names[] = {"text", "type", "size", "clipped"};

typedef struct {
    const char *at, *end;
    PyTypeObject *frame, *slot;
    Py_ssize_t frame_offsets[FRAME_FIELDS], slot_offsets[SLOT_FIELDS];
    PyObject *events; /* by name */
    PyObject *lines;  /* of each source file */
    PyObject *empty;  /* the text of no line */
    Bytes scratch;
} Reader;

static int
find_offsets(PyTypeObject *type, const char *const *names, int count, Py_ssize_t *offsets)
{
    for (int i = 0; i < count; i++) {
        PyObject *member = PyObject_GetAttrString((PyObject *)type, names[i]);
        if (member == NULL) {
            return -1;
        }
        if (!Py_IS_TYPE(member, &PyMemberDescr_Type)) {
            Py_DECREF(member);
            PyErr_Format(PyExc_TypeError, "%s has no slot %s", type->tp_name, names[i]);
            return -1;
        }
        offsets[i] = ((PyMemberDescrObject *)member)->d_member->offset;
        Py_DECREF(member);
    }
    return 0;
}

static inline PyObject **
field(PyObject *record, Py_ssize_t offset)
{
    return (PyObject **)((char *)record + offset);
}

static int
damaged(void)
{
    PyErr_SetString(PyExc_ValueError, "not a line of the recorder's");
    return -1;
}

static inline int
take(Reader *reader, char expected)
{
    if (reader->at < reader->end && *reader->at == expected) {
        reader->at++;
        return 1;
    }
    return 0;
}

/* A JSON string, the quote before it taken. */
static PyObject *
read_text(Reader *reader)
{
    const char *start = reader->at, *at = start, *end = reader->end;
    while (at < end && *at != '"' && *at != '\\') {
        at++;
    }
    if (at < end && *at == '"') {
        reader->at = at + 1;
        return PyUnicode_DecodeUTF8(start, at - start, "surrogatepass");
    }
    Bytes *out = &reader->scratch;
    out->size = 0;
    put(out, start, (size_t)(at - start));
    while (at < end && *at != '"') {
        if (*at != '\\') {
            start = at;
            while (at < end && *at != '"' && *at != '\\') {
                at++;
            }
            put(out, start, (size_t)(at - start));
            continue;
        }
        static const char codes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
        if (++at >= end) {
            break;
        }
        const char *code = strchr(codes, *at);
        if (*at == 'u' && end - at > 4) { /* only controls are written so */
            char digits[5] = {at[1], at[2], at[3], at[4], 0};
            char c = (char)strtol(digits, NULL, 16);
            put(out, &c, 1);
            at += 5;
        }
        else if (code != NULL) {
            put(out, &meanings[code - codes], 1);
            at++;
        }
        else {
            break;
        }
    }
    if (at >= end || *at != '"' || out->failed) {
        damaged();
        return NULL;
    }
    reader->at = at + 1;
    return PyUnicode_DecodeUTF8(out->data, (Py_ssize_t)out->size, "surrogatepass");
}

static PyObject *
read_name(Reader *reader)
{
    PyObject *text = read_text(reader);
    if (text != NULL) {
        PyUnicode_InternInPlace(&text);
    }
    return text;
}

static long
read_number(Reader *reader)
{
    long number = 0;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9') {
        number = number * 10 + (*reader->at++ - '0');
    }
    return number;
}

/* The index of the name that follows, which is one of `names`; its colon is taken. -1: none. */
static int
read_key(Reader *reader, const char *const *names, int count)
{
    if (!take(reader, '"')) {
        return -1;
    }
    for (int i = 0; i < count; i++) {
        size_t size = strlen(names[i]);
        if ((size_t)(reader->end - reader->at) > size + 1 && memcmp(reader->at, names[i], size) == 0 &&
            reader->at[size] == '"' && reader->at[size + 1] == ':') {
            reader->at += size + 2;
            return i;
        }
    }
    return -1;
}

static PyObject *
read_slot(Reader *reader)
{
    PyObject *slot = reader->slot->tp_alloc(reader->slot, 0);
    if (slot == NULL) {
        return NULL;
    }
    *field(slot, reader->slot_offsets[TYPE]) = Py_NewRef(reader->empty);
    *field(slot, reader->slot_offsets[SIZE]) = Py_NewRef(Py_None);
    *field(slot, reader->slot_offsets[CLIPPED]) = PyLong_FromLong(0);
    int is_good = take(reader, '{');
    while (is_good) {
        int key = read_key(reader, slot_names, SLOT_FIELDS);
        PyObject *value = NULL;
        if (key == TEXT || key == TYPE) {
            value = !take(reader, '"') ? NULL : key == TEXT ? read_text(reader) : read_name(reader);
        }
        else if (key >= 0) {
            value = PyLong_FromLong(read_number(reader));
        }
        is_good = value != NULL;
        if (is_good) {
            Py_XSETREF(*field(slot, reader->slot_offsets[key]), value);
            if (!take(reader, ',')) {
                is_good = take(reader, '}');
                break;
            }
        }
    }
    if (!is_good || *field(slot, reader->slot_offsets[TEXT]) == NULL) {
        Py_DECREF(slot);
        if (!PyErr_Occurred()) {
            damaged();
        }
        return NULL;
    }
    return slot;
}

static PyObject *
read_changed(Reader *reader)
{
    PyObject *changed = PyDict_New();
    int is_good = changed != NULL && take(reader, '{');
    while (is_good) {
        PyObject *name = take(reader, '"') ? read_name(reader) : NULL, *slot = NULL;
        if (name != NULL && take(reader, ':')) {
            if (reader->end - reader->at >= 4 && memcmp(reader->at, "null", 4) == 0) {
                reader->at += 4;
                slot = Py_NewRef(Py_None);
            }
            else {
                slot = read_slot(reader);
            }
        }
        is_good = slot != NULL && PyDict_SetItem(changed, name, slot) == 0;
        Py_XDECREF(name);
        Py_XDECREF(slot);
        if (is_good && !take(reader, ',')) {
            is_good = take(reader, '}');
            break;
        }
    }
    if (!is_good) {
        Py_XDECREF(changed);
        if (!PyErr_Occurred()) {
            damaged();
        }
        return NULL;
    }
    return changed;
}

static PyObject *
source_of(Reader *reader, long file, long line)
{
    if (file < PyList_GET_SIZE(reader->lines)) {
        PyObject *lines = PyList_GET_ITEM(reader->lines, file);
        if (PyList_Check(lines) && line > 0 && line <= PyList_GET_SIZE(lines)) {
            return Py_NewRef(PyList_GET_ITEM(lines, line - 1));
        }
    }
    return Py_NewRef(reader->empty);
}

static PyObject *
read_frame(Reader *reader)
{
    PyObject *frame = reader->frame->tp_alloc(reader->frame, 0);
    if (frame == NULL) {
        return NULL;
    }
    long numbers[FRAME_FIELDS] = {0};
    int is_good = take(reader, '{');
    while (is_good) {
        int key = read_key(reader, frame_names, FRAME_FIELDS);
        PyObject *value = NULL;
        switch (key) {
        case EVENT: {
            PyObject *name = take(reader, '"') ? read_name(reader) : NULL;
            value = name == NULL ? NULL : Py_XNewRef(PyDict_GetItemWithError(reader->events, name));
            Py_XDECREF(name);
            break;
        }
        case LINE:
        case ACTIVATION:
        case DEPTH:
        case THREAD:
        case FILE_NUMBER:
            numbers[key] = read_number(reader);
            value = PyLong_FromLong(numbers[key]);
            break;
        case CHANGED:
            value = read_changed(reader);
            break;
        case VALUE:
            value = read_slot(reader);
            break;
        case MESSAGE:
            value = take(reader, '"') ? read_text(reader) : NULL;
            break;
        default:
            break;
        }
        is_good = value != NULL;
        if (is_good) {
            Py_XSETREF(*field(frame, reader->frame_offsets[key]), value);
            if (!take(reader, ',')) {
                is_good = take(reader, '}');
                break;
            }
        }
    }
    if (is_good) {
        *field(frame, reader->frame_offsets[SOURCE]) = source_of(reader, numbers[FILE_NUMBER], numbers[LINE]);
        for (int i = 0; i < FRAME_FIELDS && is_good; i++) {
            PyObject **place = field(frame, reader->frame_offsets[i]);
            if (*place == NULL) {
                *place = i == CHANGED                      ? PyDict_New()
                         : i == THREAD || i == FILE_NUMBER ? PyLong_FromLong(0)
                                                           : Py_NewRef(Py_None);
                is_good = *place != NULL;
            }
        }
    }
    if (!is_good) {
        Py_DECREF(frame);
        if (!PyErr_Occurred()) {
            damaged();
        }
        return NULL;
    }
    return frame;
}

PyObject *
frames_of_lines(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *data, *frame, *slot;
    Reader reader = {0};
    if (!PyArg_ParseTuple(args, "SO!O!O!O!:frames_of_lines", &data, &PyType_Type, &frame, &PyType_Type, &slot,
                          &PyDict_Type, &reader.events, &PyList_Type, &reader.lines)) {
        return NULL;
    }
    reader.frame = (PyTypeObject *)frame;
    reader.slot = (PyTypeObject *)slot;
    if (find_offsets(reader.frame, frame_names, FRAME_FIELDS, reader.frame_offsets) < 0 ||
        find_offsets(reader.slot, slot_names, SLOT_FIELDS, reader.slot_offsets) < 0) {
        return NULL;
    }
    reader.at = PyBytes_AS_STRING(data);
    reader.end = reader.at + PyBytes_GET_SIZE(data);
    reader.empty = PyUnicode_FromStringAndSize("", 0);
    PyObject *frames = PyList_New(0);
    while (frames != NULL && reader.at < reader.end) {
        PyObject *made = read_frame(&reader);
        if (made != NULL && !take(&reader, '\n')) {
            damaged();
            Py_CLEAR(made);
        }
        if (made == NULL || PyList_Append(frames, made) < 0) {
            Py_CLEAR(frames);
        }
        Py_XDECREF(made);
    }
    Py_XDECREF(reader.empty);
    free(reader.scratch.data);
    return frames;
}
