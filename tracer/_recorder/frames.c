/* Lines that the recorder wrote, as the records that a trace holds, without a look at what cannot be in them.

   Nothing of what is made here can be part of a cycle: records hold texts, numbers, and dicts of records. So the garbage
   collector is not told of them, which would look at each of them again and again. */

#include "cursor.h"

#include <structmember.h>

enum { EVENT, LINE, SOURCE, ACTIVATION, DEPTH, THREAD, FILE_NUMBER, CHANGED, VALUE, MESSAGE, RAW, LOGPROBS, FRAME_FIELDS };
static const char *const frame_names[] = {"event",   "line",    "source", "activation", "depth", "thread", "file",
                                          "changed", "value",   "message", "raw",       "logprobs"};
enum { TEXT, TYPE, SIZE, CLIPPED, SLOT_FIELDS };
static const char *const slot_names[] = {"text", "type", "size", "clipped"};
static const char *const event_names[] = {"call", "line", "return", "exception"};
#define EVENTS 4

#define NAMES 256 /* powers of two */
#define SLOTS 1024
#define LONGEST_KEPT 48 /* bytes; what is longer is seldom met again */

typedef struct {
    PyTypeObject *frame, *slot;
    Py_ssize_t frame_offsets[FRAME_FIELDS], slot_offsets[SLOT_FIELDS];
    PyObject *events[EVENTS]; /* borrowed */
    PyObject *lines;          /* of each source file */
    PyObject *empty;          /* the text of no line */
    PyObject *zero;
    struct {
        Part part;
        PyObject *made;
    } names[NAMES], slots[SLOTS]; /* what was made of such a part, the last of each hash */
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

static inline size_t
hash_of(Part part)
{
    uint64_t hash = part.size, word;
    const char *at = part.data, *end = at + part.size;
    for (; end - at >= 8; at += 8) {
        memcpy(&word, at, 8);
        hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
    }
    word = 0;
    memcpy(&word, at, (size_t)(end - at));
    hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
    return (size_t)(hash >> 40);
}

static inline int
is_same(Part one, Part other)
{
    return one.size == other.size && memcmp(one.data, other.data, one.size) == 0;
}

/* What a JSON string stands for. */
static PyObject *
text_of(Reader *reader, Part quoted)
{
    const char *at = quoted.data + 1, *end = quoted.data + quoted.size - 1;
    if (memchr(at, '\\', (size_t)(end - at)) == NULL) {
        return PyUnicode_DecodeUTF8(at, end - at, "surrogatepass");
    }
    Bytes *out = &reader->scratch;
    out->size = 0;
    while (at < end) {
        const char *slash = memchr(at, '\\', (size_t)(end - at));
        if (slash == NULL) {
            slash = end;
        }
        put(out, at, (size_t)(slash - at));
        at = slash;
        if (at == end) {
            break;
        }
        static const char codes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
        const char *code = strchr(codes, *++at);
        if (*at == 'u' && end - at > 4) { /* only controls are written so */
            char digits[5] = {at[1], at[2], at[3], at[4], 0};
            char c = (char)strtol(digits, NULL, 16);
            put(out, &c, 1);
            at += 5;
        }
        else if (code != NULL && *code) {
            put(out, &meanings[code - codes], 1);
            at++;
        }
        else {
            PyErr_SetString(PyExc_ValueError, "no escape of the recorder's");
            return NULL;
        }
    }
    if (out->failed) {
        out->failed = 0;
        return PyErr_NoMemory();
    }
    return PyUnicode_DecodeUTF8(out->data, (Py_ssize_t)out->size, "surrogatepass");
}

/* The same for what is met again and again. */
static PyObject *
name_of(Reader *reader, Part quoted)
{
    size_t at = hash_of(quoted) & (NAMES - 1);
    if (reader->names[at].made != NULL && is_same(reader->names[at].part, quoted)) {
        return Py_NewRef(reader->names[at].made);
    }
    PyObject *name = text_of(reader, quoted);
    if (name == NULL) {
        return NULL;
    }
    PyUnicode_InternInPlace(&name);
    Py_XSETREF(reader->names[at].made, Py_NewRef(name));
    reader->names[at].part = quoted;
    return name;
}

static PyObject *
number_of(Part part)
{
    long number = 0;
    for (size_t i = 0; i < part.size; i++) {
        number = number * 10 + (part.data[i] - '0');
    }
    return PyLong_FromLong(number);
}

/* A number that most often is left out, and then is 0. */
static PyObject *
number_or_zero(Reader *reader, Part part)
{
    return part.data == NULL ? Py_NewRef(reader->zero) : number_of(part);
}

static PyObject *
make_slot(Reader *reader, const Value *value)
{
    PyObject *slot = reader->slot->tp_alloc(reader->slot, 0);
    if (slot == NULL) {
        return NULL;
    }
    PyObject_GC_UnTrack(slot);
    PyObject **text = field(slot, reader->slot_offsets[TEXT]), **kind = field(slot, reader->slot_offsets[TYPE]),
             **size = field(slot, reader->slot_offsets[SIZE]), **clipped = field(slot, reader->slot_offsets[CLIPPED]);
    if ((*text = text_of(reader, value->text)) == NULL ||
        (*kind = value->kind.data == NULL ? Py_NewRef(reader->empty) : name_of(reader, value->kind)) == NULL ||
        (*size = value->size.data == NULL ? Py_NewRef(Py_None) : number_of(value->size)) == NULL ||
        (*clipped = number_or_zero(reader, value->clipped)) == NULL) {
        Py_CLEAR(slot);
    }
    return slot;
}

/* A slot; equal ones that follow one another closely are one, since nobody can change them. NULL without an error: the
   line is not of the recorder's. */
static PyObject *
read_slot(Reader *reader, Cursor *cursor)
{
    Value value;
    Part part = {cursor->at, 0};
    if (!take_value(cursor, &value)) {
        return NULL;
    }
    part.size = (size_t)(cursor->at - part.data);
    if (part.size > LONGEST_KEPT) {
        return make_slot(reader, &value);
    }
    size_t at = hash_of(part) & (SLOTS - 1);
    if (reader->slots[at].made != NULL && is_same(reader->slots[at].part, part)) {
        return Py_NewRef(reader->slots[at].made);
    }
    PyObject *slot = make_slot(reader, &value);
    if (slot != NULL) {
        Py_XSETREF(reader->slots[at].made, Py_NewRef(slot));
        reader->slots[at].part = part;
    }
    return slot;
}

static int
read_changed(Reader *reader, Cursor *cursor, PyObject *changed)
{
    do {
        Part quoted;
        if (!take_string(cursor, &quoted) || !TAKE(cursor, ":")) {
            return -1;
        }
        PyObject *slot = TAKE(cursor, "null") ? Py_NewRef(Py_None) : read_slot(reader, cursor);
        PyObject *name = slot == NULL ? NULL : name_of(reader, quoted);
        int failed = name == NULL || PyDict_SetItem(changed, name, slot) < 0;
        Py_XDECREF(name);
        Py_XDECREF(slot);
        if (failed) {
            return -1;
        }
    } while (TAKE(cursor, ","));
    PyObject_GC_UnTrack(changed); /* it will track itself again, should somebody put something else into it */
    return TAKE(cursor, "}") ? 0 : -1;
}

static PyObject *
source_of(Reader *reader, PyObject *file, PyObject *line)
{
    Py_ssize_t number = PyLong_AsSsize_t(file), place = PyLong_AsSsize_t(line);
    if (number < PyList_GET_SIZE(reader->lines)) {
        PyObject *lines = PyList_GET_ITEM(reader->lines, number);
        if (PyList_Check(lines) && place > 0 && place <= PyList_GET_SIZE(lines)) {
            return Py_NewRef(PyList_GET_ITEM(lines, place - 1));
        }
    }
    return Py_NewRef(reader->empty);
}

static PyObject *
event_of(Reader *reader, Part name)
{
    for (int i = 0; i < EVENTS; i++) {
        if (strlen(event_names[i]) == name.size && memcmp(name.data, event_names[i], name.size) == 0) {
            return Py_XNewRef(reader->events[i]);
        }
    }
    return NULL;
}

/* Fill the fields of a frame, and take its line. -1, most often without an error, where that is not of the recorder's. */
static int
read_fields(Reader *reader, Cursor *cursor, PyObject **fields)
{
    Place place;
    if (!take_place(cursor, &place)) {
        return -1;
    }
    fields[EVENT] = event_of(reader, place.event);
    fields[LINE] = number_of(place.line);
    fields[ACTIVATION] = number_of(place.activation);
    fields[DEPTH] = number_of(place.depth);
    fields[THREAD] = number_or_zero(reader, place.thread);
    fields[FILE_NUMBER] = number_or_zero(reader, place.file);
    fields[CHANGED] = PyDict_New();
    if (fields[EVENT] == NULL || fields[LINE] == NULL || fields[ACTIVATION] == NULL || fields[DEPTH] == NULL ||
        fields[THREAD] == NULL || fields[FILE_NUMBER] == NULL || fields[CHANGED] == NULL) {
        return -1;
    }
    fields[SOURCE] = source_of(reader, fields[FILE_NUMBER], fields[LINE]);
    if (TAKE(cursor, ",\"changed\":{") && read_changed(reader, cursor, fields[CHANGED]) < 0) {
        return -1;
    }
    fields[VALUE] = TAKE(cursor, ",\"value\":") ? read_slot(reader, cursor) : Py_NewRef(Py_None);
    Part message;
    if (!TAKE(cursor, ",\"message\":")) {
        fields[MESSAGE] = Py_NewRef(Py_None);
    }
    else if (take_string(cursor, &message)) {
        fields[MESSAGE] = text_of(reader, message);
    }
    fields[RAW] = Py_NewRef(Py_None);
    fields[LOGPROBS] = Py_NewRef(Py_None);
    return fields[VALUE] == NULL || fields[MESSAGE] == NULL || !TAKE(cursor, "}\n") ? -1 : 0;
}

static PyObject *
read_frame(Reader *reader, Cursor *cursor)
{
    PyObject *fields[FRAME_FIELDS] = {NULL};
    int failed = read_fields(reader, cursor, fields);
    PyObject *frame = failed ? NULL : reader->frame->tp_alloc(reader->frame, 0);
    if (frame == NULL) {
        for (int i = 0; i < FRAME_FIELDS; i++) {
            Py_XDECREF(fields[i]);
        }
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "not a line of the recorder's");
        }
        return NULL;
    }
    PyObject_GC_UnTrack(frame);
    for (int i = 0; i < FRAME_FIELDS; i++) {
        *field(frame, reader->frame_offsets[i]) = fields[i];
    }
    return frame;
}

PyObject *
frames_of_lines(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *data, *frame, *slot, *events, *lines;
    if (!PyArg_ParseTuple(args, "SO!O!O!O!:frames_of_lines", &data, &PyType_Type, &frame, &PyType_Type, &slot,
                          &PyDict_Type, &events, &PyList_Type, &lines)) {
        return NULL;
    }
    Reader *reader = PyMem_Calloc(1, sizeof(Reader));
    if (reader == NULL) {
        return PyErr_NoMemory();
    }
    reader->frame = (PyTypeObject *)frame;
    reader->slot = (PyTypeObject *)slot;
    reader->lines = lines;
    for (int i = 0; i < EVENTS; i++) {
        reader->events[i] = PyDict_GetItemString(events, event_names[i]);
    }
    reader->empty = PyUnicode_FromStringAndSize("", 0);
    reader->zero = PyLong_FromLong(0);
    PyObject *frames = NULL;
    if (find_offsets(reader->frame, frame_names, FRAME_FIELDS, reader->frame_offsets) == 0 &&
        find_offsets(reader->slot, slot_names, SLOT_FIELDS, reader->slot_offsets) == 0) {
        frames = PyList_New(0);
    }
    Cursor cursor = {PyBytes_AS_STRING(data), PyBytes_AS_STRING(data) + PyBytes_GET_SIZE(data)};
    while (frames != NULL && cursor.at < cursor.end) {
        PyObject *made = read_frame(reader, &cursor);
        if (made == NULL || PyList_Append(frames, made) < 0) {
            Py_CLEAR(frames);
        }
        Py_XDECREF(made);
    }
    for (int i = 0; i < NAMES; i++) {
        Py_XDECREF(reader->names[i].made);
    }
    for (int i = 0; i < SLOTS; i++) {
        Py_XDECREF(reader->slots[i].made);
    }
    Py_XDECREF(reader->empty);
    Py_XDECREF(reader->zero);
    free(reader->scratch.data);
    PyMem_Free(reader);
    return frames;
}
