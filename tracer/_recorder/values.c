/* Values as text: what `repr` gives for plain values, without calling it, and what they held. */

#include "recorder.h"

#define DEEPEST 48 /* containers in one another; deeper ones are left to `repr`, which knows where its stack ends */

int
bytes_grow(Bytes *bytes, size_t more)
{
    size_t room = bytes->room ? bytes->room : 256;
    while (room < bytes->size + more) {
        room *= 2;
    }
    char *data = realloc(bytes->data, room);
    if (data == NULL) {
        bytes->failed = 1;
        return -1;
    }
    bytes->data = data;
    bytes->room = room;
    return 0;
}

const char digit_pairs[200] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                              "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                              "8081828384858687888990919293949596979899";

/* A text as JSON has it between quotes, as `pydantic_core.to_json` writes it. */
void
put_json(Bytes *bytes, const char *text, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    const uint64_t ones = 0x0101010101010101ULL, highs = 0x8080808080808080ULL;
    size_t start = 0, i = 0;
    while (i < size) {
        while (i + 8 <= size) { /* eight at a time, as long as none of them is a quote, a backslash or a control */
            uint64_t word;
            memcpy(&word, text + i, 8);
            uint64_t quotes = word ^ (ones * '"'), slashes = word ^ (ones * '\\');
            uint64_t found = ((quotes - ones) & ~quotes) | ((slashes - ones) & ~slashes) | ((word - ones * 0x20) & ~word);
            if (found & highs) {
                break;
            }
            i += 8;
        }
        if (i >= size) {
            break;
        }
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            i++;
            continue;
        }
        put(bytes, text + start, i - start);
        char escape[6] = {'\\', (char)c};
        size_t length = 2;
        switch (c) {
        case '"':
        case '\\':
            break;
        case '\b':
            escape[1] = 'b';
            break;
        case '\t':
            escape[1] = 't';
            break;
        case '\n':
            escape[1] = 'n';
            break;
        case '\f':
            escape[1] = 'f';
            break;
        case '\r':
            escape[1] = 'r';
            break;
        default:
            memcpy(escape + 1, "u00", 3);
            escape[4] = hex[c >> 4];
            escape[5] = hex[c & 15];
            length = 6;
        }
        put(bytes, escape, length);
        start = ++i;
    }
    put(bytes, text + start, size - start);
}

/* A `str` of the program's as JSON between quotes; `is_odd` is set where it holds a lone surrogate, which no JSON
   can hold: the line has to be written again. */
int
put_json_name(Bytes *bytes, PyObject *text, int *is_odd)
{
    Py_ssize_t size;
    const char *data = PyUnicode_AsUTF8AndSize(text, &size);
    PUT(bytes, "\"");
    if (data != NULL) {
        put_json(bytes, data, (size_t)size);
    }
    else {
        PyErr_Clear();
        PyObject *encoded = PyUnicode_AsEncodedString(text, "utf-8", "surrogatepass");
        if (encoded == NULL) {
            return -1;
        }
        put_json(bytes, PyBytes_AS_STRING(encoded), (size_t)PyBytes_GET_SIZE(encoded));
        Py_DECREF(encoded);
        *is_odd = 1;
    }
    PUT(bytes, "\"");
    return 0;
}

size_t
count_characters(const char *text, size_t size)
{
    size_t count = 0, i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t word;
        memcpy(&word, text + i, 8);
        uint64_t later = word & ~(word << 1) & 0x8080808080808080ULL; /* bytes that only go on: 10xxxxxx */
        count += 8 - (later ? (size_t)__builtin_popcountll(later) : 0);
    }
    for (; i < size; i++) {
        count += ((unsigned char)text[i] & 0xC0) != 0x80;
    }
    return count;
}

static int
snapshot_grow(Snapshot *snapshot)
{
    size_t room = snapshot->room ? snapshot->room * 2 : 16;
    uintptr_t *words = realloc(snapshot->words, room * sizeof(uintptr_t));
    if (words == NULL) {
        snapshot->failed = 1;
        return -1;
    }
    snapshot->words = words;
    snapshot->room = room;
    return 0;
}

static inline void
snapshot_add(Snapshot *snapshot, uintptr_t word)
{
    if (snapshot->size < snapshot->room || snapshot_grow(snapshot) == 0) {
        snapshot->words[snapshot->size++] = word;
    }
}

static inline void
snapshot_atom(Snapshot *snapshot, PyObject *atom)
{
    size_t before = snapshot->size;
    snapshot_add(snapshot, (uintptr_t)atom);
    if (snapshot->size > before) {
        Py_INCREF(atom);
    }
}

static inline void
snapshot_open(Snapshot *snapshot, PyTypeObject *kind, Py_ssize_t length)
{
    snapshot_add(snapshot, (uintptr_t)kind | 1);
    snapshot_add(snapshot, (uintptr_t)length << 1 | 1);
}

void
snapshot_drop(Snapshot *snapshot)
{
    size_t size = snapshot->size;
    snapshot->size = 0;
    for (size_t i = 0; i < size; i++) { /* atoms: their end runs no code */
        if (!(snapshot->words[i] & 1)) {
            Py_DECREF((PyObject *)snapshot->words[i]);
        }
    }
}

static int
matches(const Snapshot *snapshot, size_t *at, PyObject *value)
{
    if (*at >= snapshot->size) {
        return 0;
    }
    uintptr_t word = snapshot->words[(*at)++];
    if (!(word & 1)) {
        return word == (uintptr_t)value;
    }
    PyTypeObject *kind = Py_TYPE(value);
    if (word != ((uintptr_t)kind | 1)) {
        return 0;
    }
    Py_ssize_t length = (Py_ssize_t)(snapshot->words[(*at)++] >> 1);
    if (kind == &PyList_Type || kind == &PyTuple_Type) {
        if (Py_SIZE(value) != length) {
            return 0;
        }
        PyObject **items = PySequence_Fast_ITEMS(value);
        for (Py_ssize_t i = 0; i < length; i++) {
            if (*at < snapshot->size && snapshot->words[*at] == (uintptr_t)items[i]) {
                ++*at;
            }
            else if (!matches(snapshot, at, items[i])) {
                return 0;
            }
        }
        return 1;
    }
    Py_ssize_t position = 0;
    PyObject *key, *item;
    if (kind == &PyDict_Type) {
        if (PyDict_GET_SIZE(value) != length) {
            return 0;
        }
        while (PyDict_Next(value, &position, &key, &item)) {
            if (!matches(snapshot, at, key) || !matches(snapshot, at, item)) {
                return 0;
            }
        }
        return 1;
    }
    Py_hash_t hash;
    if (PySet_GET_SIZE(value) != length) {
        return 0;
    }
    while (_PySet_NextEntry(value, &position, &key, &hash)) {
        if (!matches(snapshot, at, key)) {
            return 0;
        }
    }
    return 1;
}

/* Whether a value is a container that holds what it held. Runs no code of the program. */
int
snapshot_matches(const Snapshot *snapshot, PyObject *value)
{
    size_t at = 0;
    return snapshot->size && matches(snapshot, &at, value) && at == snapshot->size;
}

/* The containers that are being shown, one in the other. */
typedef struct {
    PyObject *open[DEEPEST];
    int depth, deepest;
} Nesting;

static int
put_repr(Bytes *out, PyObject *value)
{
    PyObject *text = PyObject_Repr(value);
    if (text == NULL) {
        return -1;
    }
    Py_ssize_t size;
    const char *data = PyUnicode_AsUTF8AndSize(text, &size);
    if (data != NULL) {
        put(out, data, (size_t)size);
    }
    Py_DECREF(text);
    return data == NULL ? -1 : 0;
}

/* Characters of ASCII that `repr` of a text does not show as they are between simple quotes. */
const char is_escaped[128] = {
    [0 ... 0x1f] = 1,
    ['\''] = 1,
    ['\\'] = 1,
    [0x7f] = 1,
};

static int
put_str(Bytes *out, PyObject *value)
{
    if (PyUnicode_IS_COMPACT_ASCII(value)) {
        const unsigned char *text = PyUnicode_1BYTE_DATA(value);
        Py_ssize_t size = PyUnicode_GET_LENGTH(value), i = 0;
        while (i < size && !is_escaped[text[i]]) {
            i++;
        }
        if (i == size) {
            if (has_room(out, (size_t)size + 2)) {
                char *to = out->data + out->size;
                *to = '\'';
                memcpy(to + 1, text, (size_t)size);
                to[size + 1] = '\'';
                out->size += (size_t)size + 2;
            }
            return 0;
        }
    }
    return put_repr(out, value);
}

static int
put_float(Bytes *out, double value)
{
    char *text = PyOS_double_to_string(value, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (text == NULL) {
        return -1;
    }
    put(out, text, strlen(text));
    PyMem_Free(text);
    return 0;
}

static int
put_atom(Bytes *out, PyObject *value)
{
    PyTypeObject *kind = Py_TYPE(value);
    if (kind == &PyLong_Type) {
        long small;
        if (small_int(value, &small)) {
            put_number(out, small);
            return 0;
        }
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
        if (!overflow) {
            put_number(out, number);
            return 0;
        }
        return put_repr(out, value);
    }
    if (kind == &PyUnicode_Type) {
        return put_str(out, value);
    }
    if (value == Py_None) {
        PUT(out, "None");
        return 0;
    }
    if (kind == &PyBool_Type) {
        if (value == Py_True) {
            PUT(out, "True");
        }
        else {
            PUT(out, "False");
        }
        return 0;
    }
    return kind == &PyFloat_Type ? put_float(out, PyFloat_AS_DOUBLE(value)) : put_repr(out, value);
}

static int put_part(Bytes *out, Snapshot *snapshot, Nesting *nesting, PyObject *value);

/* The items of a list or tuple, with what is between them. */
static int
put_items(Bytes *out, Snapshot *snapshot, Nesting *nesting, PyObject *sequence)
{
    int done = 1;
    for (Py_ssize_t i = 0; i < Py_SIZE(sequence) && done == 1; i++) {
        if (i) {
            PUT(out, ", ");
        }
        PyObject *item = PySequence_Fast_ITEMS(sequence)[i];
        long number;
        if (Py_TYPE(item) == &PyLong_Type && small_int(item, &number)) { /* most items of long lists are */
            put_number(out, number);
            snapshot_atom(snapshot, item);
        }
        else {
            done = put_part(out, snapshot, nesting, item);
        }
    }
    return done;
}

static int
put_container(Bytes *out, Snapshot *snapshot, Nesting *nesting, PyObject *value)
{
    PyTypeObject *kind = Py_TYPE(value);
    Py_ssize_t position = 0, count = 0;
    PyObject *key, *item;
    int done = 1;
    if (kind == &PyList_Type || kind == &PyTuple_Type) {
        snapshot_open(snapshot, kind, Py_SIZE(value));
        put(out, kind == &PyList_Type ? "[" : "(", 1);
        done = put_items(out, snapshot, nesting, value);
        if (kind == &PyTuple_Type && Py_SIZE(value) == 1) {
            PUT(out, ",");
        }
        put(out, kind == &PyList_Type ? "]" : ")", 1);
        return done;
    }
    if (kind == &PyDict_Type) {
        snapshot_open(snapshot, kind, PyDict_GET_SIZE(value));
        PUT(out, "{");
        while (done == 1 && PyDict_Next(value, &position, &key, &item)) {
            if (count++) {
                PUT(out, ", ");
            }
            done = put_part(out, snapshot, nesting, key);
            if (done == 1) {
                PUT(out, ": ");
                done = put_part(out, snapshot, nesting, item);
            }
        }
        PUT(out, "}");
        return done;
    }
    Py_hash_t hash;
    Py_ssize_t length = PySet_GET_SIZE(value);
    snapshot_open(snapshot, kind, length);
    if (length == 0) {
        if (kind == &PySet_Type) {
            PUT(out, "set()");
        }
        else {
            PUT(out, "frozenset()");
        }
        return 1;
    }
    if (kind == &PyFrozenSet_Type) {
        PUT(out, "frozenset(");
    }
    PUT(out, "{");
    while (done == 1 && _PySet_NextEntry(value, &position, &key, &hash)) {
        if (count++) {
            PUT(out, ", ");
        }
        done = put_part(out, snapshot, nesting, key);
    }
    PUT(out, "}");
    if (kind == &PyFrozenSet_Type) {
        PUT(out, ")");
    }
    return done;
}

static int
put_part(Bytes *out, Snapshot *snapshot, Nesting *nesting, PyObject *value)
{
    if (is_atom(value)) {
        if (put_atom(out, value) < 0) { /* an int of too many digits: gh-95778 */
            if (!PyErr_ExceptionMatches(PyExc_ValueError)) {
                return -1;
            }
            PyErr_Clear();
            return 0;
        }
        snapshot_atom(snapshot, value);
        return 1;
    }
    if (!is_container(value) || nesting->depth == DEEPEST) {
        return 0;
    }
    for (int i = 0; i < nesting->depth; i++) {
        if (nesting->open[i] == value) {
            return 0; /* a cycle */
        }
    }
    nesting->open[nesting->depth++] = value;
    if (nesting->depth > nesting->deepest) {
        nesting->deepest = nesting->depth;
    }
    int done = put_container(out, snapshot, nesting, value);
    nesting->depth--;
    return done;
}

int
put_plain(Bytes *out, Snapshot *snapshot, PyObject *value, int *depth)
{
    size_t start = out->size;
    *depth = 0;
    if (is_atom(value)) {
        if (put_atom(out, value) == 0) {
            return 1;
        }
        if (Py_TYPE(value) != &PyLong_Type || !PyErr_ExceptionMatches(PyExc_ValueError)) {
            return -1;
        }
        PyErr_Clear();
        out->size = start;
        PyObject *hexadecimal = PyNumber_ToBase(value, 16); /* has no limit */
        if (hexadecimal == NULL) {
            return -1;
        }
        put(out, PyUnicode_DATA(hexadecimal), (size_t)PyUnicode_GET_LENGTH(hexadecimal));
        Py_DECREF(hexadecimal);
        return 1;
    }
    Nesting nesting = {.depth = 0};
    snapshot_clear(snapshot);
    int done = put_part(out, snapshot, &nesting, value);
    if (done != 1) {
        out->size = start;
    }
    if (done != 1 || snapshot->failed) {
        snapshot_clear(snapshot);
    }
    *depth = nesting.deepest;
    return done;
}

void
strip_addresses(Bytes *out, size_t start)
{
    static const char mark[] = " at 0x";
    const size_t length = sizeof(mark) - 1;
    char *from = out->data + start, *end = out->data + out->size, *to = NULL;
    for (;;) {
        char *found = (size_t)(end - from) > length ? memmem(from, (size_t)(end - from), mark, length) : NULL;
        char *kept = found == NULL ? end : found;
        char *next = kept;
        if (found != NULL) {
            next = found + length;
            while (next < end && Py_ISXDIGIT((unsigned char)*next)) {
                next++;
            }
            if (next == found + length) {
                kept = next; /* no digits: no address */
            }
        }
        if (to == NULL) {
            to = kept;
        }
        else {
            memmove(to, from, (size_t)(kept - from));
            to += kept - from;
        }
        from = next;
        if (found == NULL) {
            break;
        }
    }
    out->size = (size_t)(to - out->data);
}

static PyObject *qualname_of, *module_of; /* descriptors of `type`, whatever a metaclass makes of them */

int
prepare_values(void)
{
    PyObject *members = PyObject_GetAttrString((PyObject *)&PyType_Type, "__dict__");
    if (members == NULL) {
        return -1;
    }
    qualname_of = PyMapping_GetItemString(members, "__qualname__");
    module_of = PyMapping_GetItemString(members, "__module__");
    Py_DECREF(members);
    return qualname_of == NULL || module_of == NULL ? -1 : 0;
}

static PyObject *
read_member(PyObject *descriptor, PyTypeObject *kind)
{
    return Py_TYPE(descriptor)->tp_descr_get(descriptor, (PyObject *)kind, (PyObject *)Py_TYPE(kind));
}

static int
put_type(Bytes *out, PyTypeObject *kind, int *is_odd)
{
    if (kind == &PyList_Type) {
        PUT(out, "\"list\"");
        return 0;
    }
    if (kind == &PyDict_Type) {
        PUT(out, "\"dict\"");
        return 0;
    }
    if (!(kind->tp_flags & Py_TPFLAGS_HEAPTYPE) && strchr(kind->tp_name, '.') == NULL) {
        PUT(out, "\"");
        put(out, kind->tp_name, strlen(kind->tp_name));
        PUT(out, "\"");
        return 0;
    }
    PyObject *name = read_member(qualname_of, kind), *module = NULL;
    if (name == NULL) {
        return -1;
    }
    module = read_member(module_of, kind);
    if (module == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
            Py_DECREF(name);
            return -1;
        }
        PyErr_Clear();
    }
    int failed;
    if (module == NULL || !PyUnicode_CheckExact(module) ||
        PyUnicode_CompareWithASCIIString(module, "builtins") == 0) {
        failed = put_json_name(out, name, is_odd);
    }
    else {
        failed = put_json_name(out, module, is_odd);
        if (failed == 0) {
            out->data[out->size - 1] = '.'; /* over the closing quote; the name's own opening quote goes */
            size_t at = out->size;
            failed = put_json_name(out, name, is_odd);
            if (failed == 0) {
                memmove(out->data + at, out->data + at + 1, out->size - at - 1);
                out->size--;
            }
        }
    }
    Py_DECREF(name);
    Py_XDECREF(module);
    return failed;
}

/* Bits of an int, elements of a container, characters of a text; -1 for the rest. */
static Py_ssize_t
size_of(PyObject *value)
{
    PyTypeObject *kind = Py_TYPE(value);
    if (kind == &PyLong_Type) {
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
        return overflow ? (Py_ssize_t)_PyLong_NumBits(value) : bits_of(number);
    }
    if (kind == &PyUnicode_Type) {
        return PyUnicode_GET_LENGTH(value);
    }
    if (is_container(value) || kind == &PyBytes_Type || kind == &PyByteArray_Type || kind == &PyRange_Type) {
        Py_ssize_t size = PyObject_Size(value);
        if (size < 0) {
            PyErr_Clear(); /* a range of more than a machine word */
        }
        return size;
    }
    return -1;
}

Py_ssize_t
put_slot(Bytes *out, const char *text, size_t size, PyObject *value, Py_ssize_t max_characters, int *is_odd)
{
    size_t characters = count_characters(text, size), kept = characters;
    if (max_characters >= 0 && characters > (size_t)max_characters) {
        kept = (size_t)max_characters;
        size_t count = 0, end = 0;
        while (end < size && (count < kept || ((unsigned char)text[end] & 0xC0) == 0x80)) {
            count += ((unsigned char)text[end] & 0xC0) != 0x80;
            end++;
        }
        size = end;
    }
    PUT(out, "{\"text\":\"");
    put_json(out, text, size);
    PUT(out, "\",\"type\":");
    if (put_type(out, Py_TYPE(value), is_odd) < 0) {
        return -1;
    }
    Py_ssize_t length = size_of(value);
    if (length >= 0) {
        PUT(out, ",\"size\":");
        put_number(out, length);
    }
    if (kept < characters) {
        PUT(out, ",\"clipped\":");
        put_number(out, (long long)(characters - kept));
    }
    PUT(out, "}");
    return (Py_ssize_t)kept;
}
