/* What the variables of an activation are, and which of them have changed since it was last looked at. */

#include "engine.h"

#define PLAIN_TEXT 10000 /* bytes, and levels, of a plain container that is surely shown whole where objects are expanded */
#define PLAIN_DEPTH 5
#define LONG_TEXT (1 << 17) /* bytes; longer texts are compared by their hash */

/* Keep the values that are still to be looked at: code of the program is about to run. */
static void
hold_values(Scratch *scratch)
{
    if (!scratch->holds) {
        scratch->holds = 1;
        for (size_t i = scratch->current; i < scratch->count; i++) {
            Py_XINCREF(scratch->items[i].value);
        }
    }
}

static void
let_go_of_values(Scratch *scratch, size_t from)
{
    if (scratch->holds) {
        for (size_t i = from; i < scratch->count; i++) {
            Py_XDECREF(scratch->items[i].value);
        }
        scratch->holds = 0;
    }
}

/* Append a text of Python's, which is given up. */
static int
put_given(Bytes *out, PyObject *text)
{
    Py_ssize_t size;
    const char *data = PyUnicode_AsUTF8AndSize(text, &size);
    if (data != NULL) {
        put(out, data, (size_t)size);
        Py_DECREF(text);
        return 0;
    }
    PyErr_Clear();
    PyObject *escaped = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
    Py_DECREF(text);
    if (escaped == NULL) {
        return -1;
    }
    put(out, PyBytes_AS_STRING(escaped), (size_t)PyBytes_GET_SIZE(escaped));
    Py_DECREF(escaped);
    return 0;
}

/* Append the text of a value whose objects are shown as what they hold, which is made in Python. */
static int
put_expanded(Engine *engine, Thread *thread, Bytes *out, PyObject *value)
{
    PyFrameObject *frame = thread->frame;
    PyObject *text = PyObject_CallMethod((PyObject *)engine, "expand", "(O)", value);
    thread->frame = frame;
    return text == NULL ? -1 : put_given(out, text);
}

/* Append what `show` makes of a value, `PyObject_Repr` or `PyObject_Str`, which may be any code of the program's. What
   it raises goes to the method `guard`, which gives a text for it, or None where it is to go on. */
static int
put_shown(Engine *engine, Thread *thread, Bytes *out, PyObject *value, PyObject *(*show)(PyObject *),
          const char *guard)
{
    PyFrameObject *frame = thread->frame;
    thread->inside++;
    PyObject *text = show(value);
    thread->inside--;
    thread->frame = frame;
    if (text == NULL) {
        PyObject *error = take_error();
        text = PyObject_CallMethod((PyObject *)engine, guard, "OO", value, error);
        if (text == Py_None) {
            Py_DECREF(text);
            give_error(error);
            thread->goes_on = 1;
            return -1;
        }
        Py_DECREF(error);
        if (text == NULL) {
            return -1;
        }
    }
    return put_given(out, text);
}

/* Put the text of a value into `scratch->text`, and what it holds into `scratch->snapshot` if it is a plain container.
   -1: an exception, which is to go on. */
static int
put_text(Engine *engine, Thread *thread, Scratch *scratch, PyObject *value)
{
    Bytes *out = &scratch->text;
    out->size = 0;
    int depth, done = put_plain(out, &scratch->snapshot, value, &depth);
    if (done < 0) {
        return -1;
    }
    if (is_atom(value)) {
        return 0;
    }
    if (engine->expands && !(done && out->size < PLAIN_TEXT && depth <= PLAIN_DEPTH)) {
        out->size = 0;
        hold_values(scratch);
        return put_expanded(engine, thread, out, value);
    }
    if (!done) {
        hold_values(scratch);
        if (put_shown(engine, thread, out, value, PyObject_Repr, "unrepresentable") < 0) {
            return -1;
        }
    }
    if (!engine->keep_addresses && Py_TYPE(value) != &PyByteArray_Type) {
        strip_addresses(out, 0);
    }
    if (out->size == 2 && memcmp(out->data, "..", 2) == 0) { /* the wire's "unchanged" */
        out->size = 0;
        PUT(out, "<..>");
    }
    return 0;
}

/* Append the slot of a value that is returned or raised to the line. */
int
put_value(Engine *engine, Thread *thread, Scratch *scratch, PyObject *value)
{
    scratch->count = scratch->current = 0;
    scratch->holds = 1; /* whoever calls this holds the value */
    int failed = put_text(engine, thread, scratch, value) < 0;
    scratch->holds = 0;
    snapshot_clear(&scratch->snapshot);
    if (failed) {
        return -1;
    }
    PUT(&scratch->line, ",\"value\":");
    return put_slot(&scratch->line, scratch->text.data, scratch->text.size, value, engine->max_characters,
                    &scratch->is_odd) < 0
               ? -1
               : 0;
}

/* Append the `str` of an exception to the line. */
int
put_message(Engine *engine, Thread *thread, Scratch *scratch, PyObject *error)
{
    scratch->text.size = 0;
    if (put_shown(engine, thread, &scratch->text, error, PyObject_Str, "unprintable") < 0) {
        return -1;
    }
    PUT(&scratch->line, ",\"message\":\"");
    put_json(&scratch->line, scratch->text.data, scratch->text.size);
    PUT(&scratch->line, "\"");
    return 0;
}

static Change *
new_change(Scratch *scratch, uint64_t rank, Variable *variable)
{
    if (scratch->changed == scratch->change_room) {
        size_t room = scratch->change_room ? scratch->change_room * 2 : 16;
        Change *more = realloc(scratch->change, room * sizeof(Change));
        if (more == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        scratch->change = more;
        scratch->change_room = room;
    }
    Change *change = &scratch->change[scratch->changed++];
    *change = (Change){.rank = rank, .start = scratch->changes.size, .variable = variable};
    return change;
}

/* Note a change: `"name":slot` in `changes`. `value` NULL: no longer bound. */
static int
add_change(Engine *engine, Scratch *scratch, const char *key, size_t key_size, uint64_t rank, PyObject *value,
           Variable *variable)
{
    Bytes *out = &scratch->changes;
    Change *change = new_change(scratch, rank, variable);
    if (change == NULL) {
        return -1;
    }
    put(out, key, key_size);
    if (!out->failed && key[key_size - 1] == '\0') {
        out->data[out->size - 1] = ':';
        scratch->is_odd = 1;
    }
    if (value == NULL) {
        PUT(out, "null");
    }
    else {
        Py_ssize_t kept = put_slot(out, scratch->text.data, scratch->text.size, value, engine->max_characters,
                                   &scratch->is_odd);
        if (kept < 0) {
            return -1;
        }
        engine->bytes += kept;
    }
    change->end = out->size;
    return 0;
}

static void
keep_text(Variable *variable, const char *text, size_t size)
{
    variable->length = size;
    variable->text.size = 0;
    put(&variable->text, text, size);
    if (variable->text.failed) {
        variable->text.failed = 0;
        variable->length = SIZE_MAX; /* as long as no text is: the next one is a change */
    }
}

static void
take_text(Variable *variable, const Bytes *text)
{
    if (text->size < LONG_TEXT) {
        keep_text(variable, text->data, text->size);
        return;
    }
    variable->length = text->size;
    free(variable->text.data);
    variable->text = (Bytes){0};
    variable->hash = _Py_HashBytes(text->data, (Py_ssize_t)text->size);
}

static int
has_text(const Variable *variable, const Bytes *text)
{
    if (variable->length != text->size) {
        return 0;
    }
    if (text->size < LONG_TEXT) {
        return memcmp(variable->text.data, text->data, text->size) == 0;
    }
    return variable->hash == _Py_HashBytes(text->data, (Py_ssize_t)text->size);
}

/* Look at a value that is not the object that its variable held. */
static int
look_at(Engine *engine, Thread *thread, Scratch *scratch, Variable *variable, PyObject *value, const char *key,
        size_t key_size, uint64_t rank)
{
    PyTypeObject *kind = Py_TYPE(value);
    int waits = variable->is_waiting;
    if (!waits && variable->held == OTHER && snapshot_matches(&variable->snapshot, value)) {
        return 0;
    }
    if (variable->kind != NULL && variable->kind != kind && Py_REFCNT(variable->kind) == 1) {
        hold_values(scratch); /* the end of a class runs code */
    }
    if (put_text(engine, thread, scratch, value) < 0) {
        snapshot_clear(&scratch->snapshot);
        return -1;
    }
    if (scratch->text.failed) {
        PyErr_NoMemory();
        return -1;
    }
    int is_same = variable->kind == kind && has_text(variable, &scratch->text);
    if (!is_same || waits) {
        if (add_change(engine, scratch, key, key_size, rank, value, variable) < 0) {
            return -1;
        }
        variable->is_waiting = 1;
    }
    PyObject *held = variable->held;
    PyTypeObject *before = variable->kind;
    if (!is_same) {
        take_text(variable, &scratch->text);
        if (before != kind) {
            variable->kind = (PyTypeObject *)Py_NewRef((PyObject *)kind);
        }
    }
    Snapshot old = variable->snapshot;
    if (is_atom(value)) {
        variable->held = Py_NewRef(value);
        snapshot_clear(&variable->snapshot);
        snapshot_clear(&scratch->snapshot);
    }
    else {
        variable->held = OTHER;
        variable->snapshot = scratch->snapshot; /* empty where the value is not plain */
        scratch->snapshot = old;
        snapshot_clear(&scratch->snapshot);
    }
    if (held != OTHER) {
        Py_XDECREF(held);
    }
    if (before != variable->kind) {
        Py_XDECREF(before); /* last, since the end of a class runs code */
    }
    return 0;
}

#define SHORT 40 /* characters of a text that is looked at without detours */

/* What the commonest values are: ints of one digit, short texts without escapes, booleans and None. */
typedef struct {
    char room[MOST_DIGITS + SHORT + 2];
    const char *text, *rest; /* of a slot, behind its text */
    size_t size, rest_size;
    long length; /* -1: it has none */
} Short;

static inline int
make_short(Short *is, PyObject *value)
{
    PyTypeObject *kind = Py_TYPE(value);
    long number;
    if (kind == &PyLong_Type && small_int(value, &number)) {
        static const char rest[] = "\",\"type\":\"int\",\"size\":";
        char *end = is->room + MOST_DIGITS;
        is->text = digits_before(end, number);
        is->size = (size_t)(end - is->text);
        is->rest = rest;
        is->rest_size = sizeof(rest) - 1;
        is->length = bits_of(number);
        return 1;
    }
    if (kind == &PyUnicode_Type && PyUnicode_IS_COMPACT_ASCII(value) && PyUnicode_GET_LENGTH(value) <= SHORT) {
        static const char rest[] = "\",\"type\":\"str\",\"size\":";
        const unsigned char *text = PyUnicode_1BYTE_DATA(value);
        Py_ssize_t size = PyUnicode_GET_LENGTH(value);
        for (Py_ssize_t i = 0; i < size; i++) {
            if (is_escaped[text[i]] || text[i] == '"') {
                return 0;
            }
            is->room[i + 1] = (char)text[i];
        }
        is->room[0] = is->room[size + 1] = '\'';
        is->text = is->room;
        is->size = (size_t)size + 2;
        is->rest = rest;
        is->rest_size = sizeof(rest) - 1;
        is->length = (long)size;
        return 1;
    }
    is->length = -1;
    if (kind == &PyBool_Type) {
        static const char rest[] = "\",\"type\":\"bool\"";
        is->text = value == Py_True ? "True" : "False";
        is->size = value == Py_True ? 4 : 5;
        is->rest = rest;
        is->rest_size = sizeof(rest) - 1;
        return 1;
    }
    if (value == Py_None) {
        static const char rest[] = "\",\"type\":\"NoneType\"";
        is->text = "None";
        is->size = 4;
        is->rest = rest;
        is->rest_size = sizeof(rest) - 1;
        return 1;
    }
    return 0;
}

/* What `look_at` does, for the commonest values. 1: done; 0: it is none of these; -1: an error is set. Runs no code. */
static inline int
look_at_short(Engine *engine, Scratch *scratch, Variable *variable, PyObject *value, const char *key, size_t key_size,
              uint64_t rank)
{
    PyTypeObject *kind = Py_TYPE(value), *before = variable->kind;
    Short is;
    if (before != NULL && before != kind && Py_REFCNT(before) == 1) {
        return 0; /* the end of a class runs code */
    }
    if (!make_short(&is, value) || key[key_size - 1] == '\0' ||
        (engine->max_characters >= 0 && is.size > (size_t)engine->max_characters)) {
        return 0;
    }
    int is_same = before == kind && variable->length == is.size && memcmp(variable->text.data, is.text, is.size) == 0;
    if (!is_same || variable->is_waiting) {
        static const char open[] = "{\"text\":\"";
        Bytes *out = &scratch->changes;
        Change *change = new_change(scratch, rank, variable);
        if (change == NULL) {
            return -1;
        }
        put(out, key, key_size);
        if (has_room(out, sizeof(open) + SHORT + 2 + is.rest_size + MOST_DIGITS + 1)) {
            char *to = out->data + out->size;
            memcpy(to, open, sizeof(open) - 1);
            to += sizeof(open) - 1;
            memcpy(to, is.text, is.size);
            to += is.size;
            memcpy(to, is.rest, is.rest_size);
            out->size = (size_t)(to + is.rest_size - out->data);
        }
        if (is.length >= 0) {
            put_number(out, is.length);
        }
        PUT(out, "}");
        change->end = out->size;
        engine->bytes += (long long)is.size;
        variable->is_waiting = 1;
    }
    if (!is_same) {
        keep_text(variable, is.text, is.size);
        if (before != kind) {
            variable->kind = (PyTypeObject *)Py_NewRef((PyObject *)kind);
            Py_XDECREF(before);
        }
    }
    snapshot_clear(&variable->snapshot);
    PyObject *held = variable->held;
    variable->held = Py_NewRef(value);
    if (held != OTHER) {
        Py_XDECREF(held); /* an atom */
    }
    return 1;
}

static uint64_t
rank_of(const Slot *slot, const Variable *variable, Py_ssize_t at)
{
#if LOCALS_IN_SLOT_ORDER
    (void)slot;
    (void)variable;
    return (uint64_t)at;
#else
    (void)at;
    return slot->rank >= 0 ? (uint64_t)slot->rank : variable->bound + UINT32_MAX;
#endif
}

static int
is_dunder(PyObject *name)
{
    Py_ssize_t size = PyUnicode_GET_LENGTH(name);
    if (size < 2 || PyUnicode_READ_CHAR(name, 0) != '_' || PyUnicode_READ_CHAR(name, 1) != '_') {
        return 0;
    }
    return PyUnicode_READ_CHAR(name, size - 1) == '_' && PyUnicode_READ_CHAR(name, size - 2) == '_';
}

/* Whether a name of a module is one of its variables, and no module, function or class. */
static int
is_shown(Engine *engine, PyObject *name, PyObject *value)
{
    PyTypeObject *kind = Py_TYPE(value);
    if (kind == &PyModule_Type || kind == &PyFunction_Type || kind == &PyCFunction_Type || PyType_Check(value) ||
        is_dunder(name)) {
        return 0;
    }
    return engine->hidden == NULL || PySet_Contains(engine->hidden, name) == 0;
}

/* Find out whether a named value has to be looked at, and note that it is there. */
static int
find_named(Scratch *scratch, Activation *activation, size_t *cursor, PyObject *name, PyObject *value)
{
    Named *named = *cursor < activation->named_count ? &activation->named[*cursor] : NULL;
    if (named == NULL || named->name != name) {
        named = activation_named(activation, name);
        if (named == NULL) {
            return -1;
        }
        *cursor = (size_t)(named - activation->named);
    }
    ++*cursor;
    named->seen = activation->looks;
    if (!named->variable.bound) {
        named->variable.bound = ++activation->bindings;
        activation->named_bound++;
    }
    if (value == named->variable.held && !named->variable.is_waiting) {
        return 0;
    }
    return scratch_item(scratch, value, (size_t)(named - activation->named), 1);
}

/* The variables of a module, a class body or `exec`; of a function those without a slot. */
static int
find_all_named(Engine *engine, Scratch *scratch, Activation *activation, PyFrameObject *frame, PyCodeObject *code,
               PyObject *namespace)
{
    size_t cursor = 0, found = 0;
    int is_function = activation->code->is_function, is_module = activation->code->is_module;
    PyObject *items = is_function ? NULL : hidden_locals(frame, code), *name, *value;
    activation->looks++;
    if (items != NULL) {
        /* in the place of the namespace */
    }
    else if (PyErr_Occurred()) {
        return -1;
    }
    else if (namespace != NULL && is_locals_proxy(namespace)) {
        items = PyMapping_Items(namespace);
        if (items == NULL) {
            return -1;
        }
    }
    else if (namespace == NULL || !PyDict_Check(namespace)) {
        return 0; /* a metaclass may prepare any mapping for a class body: reading it would run its code */
    }
    Py_ssize_t position = 0;
    for (;;) {
        if (items != NULL) {
            if (position == PyList_GET_SIZE(items)) {
                break;
            }
            PyObject *pair = PyList_GET_ITEM(items, position++);
            name = PyTuple_GET_ITEM(pair, 0);
            value = PyTuple_GET_ITEM(pair, 1);
        }
        else if (!PyDict_Next(namespace, &position, &name, &value)) {
            break;
        }
        if (!PyUnicode_CheckExact(name)) {
            continue;
        }
        if (is_function) {
            int has_slot = 0;
            for (Py_ssize_t i = 0; i < activation->code->slots && !has_slot; i++) {
                PyObject *slot_name = activation->code->slot[i].name;
                has_slot = slot_name == name || PyUnicode_Compare(slot_name, name) == 0;
            }
            if (has_slot) {
                continue;
            }
        }
        else if (is_module && !is_shown(engine, name, value)) {
            continue;
        }
        found++;
        if (find_named(scratch, activation, &cursor, name, value) < 0) {
            Py_XDECREF(items);
            return -1;
        }
    }
    if (items != NULL) { /* the list may hold the only reference */
        scratch->current = 0;
        hold_values(scratch);
        Py_DECREF(items);
    }
    if (found < activation->named_bound) {
        for (size_t i = 0; i < activation->named_count; i++) {
            Named *named = &activation->named[i];
            if (named->variable.bound && named->seen != activation->looks &&
                scratch_item(scratch, NULL, i, 1) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int
compare_changes(const void *left, const void *right)
{
    uint64_t a = ((const Change *)left)->rank, b = ((const Change *)right)->rank;
    return a < b ? -1 : a > b;
}

/* Append `,"changed":{…}` to the line, in the order of ranks. */
static void
put_changes(Scratch *scratch)
{
    int is_sorted = 1;
    for (size_t i = 1; i < scratch->changed; i++) {
        is_sorted &= scratch->change[i - 1].rank <= scratch->change[i].rank;
    }
    if (!is_sorted) {
        qsort(scratch->change, scratch->changed, sizeof(Change), compare_changes);
    }
    PUT(&scratch->line, ",\"changed\":{");
    for (size_t i = 0; i < scratch->changed; i++) {
        Change *change = &scratch->change[i];
        if (i) {
            PUT(&scratch->line, ",");
        }
        put(&scratch->line, scratch->changes.data + change->start, change->end - change->start);
        if (change->variable != NULL) {
            change->variable->is_waiting = 0;
        }
    }
    PUT(&scratch->line, "}");
}

#define NAMED_LATER ((uint64_t)1 << 61)
#define UNBOUND_LAST ((uint64_t)1 << 62)

/* Note the variables that are no longer bound. */
static int
add_unbound(Engine *engine, Scratch *scratch, Activation *activation)
{
    for (size_t i = 0; i < scratch->count; i++) {
        Item item = scratch->items[i];
        if (item.value != NULL) {
            continue;
        }
        Named *named = item.is_named ? &activation->named[item.at] : NULL;
        Slot *slot = item.is_named ? NULL : &activation->code->slot[item.at];
        Variable *variable = named ? &named->variable : &activation->variables[item.at];
        if (add_change(engine, scratch, named ? named->key : slot->key, named ? named->key_size : slot->key_size,
                       UNBOUND_LAST + variable->bound, NULL, NULL) < 0) {
            return -1;
        }
        variable_unbind(variable);
        activation->named_bound -= (size_t)item.is_named;
    }
    return 0;
}

/* Look at the variables of an activation, and append what has changed to the line. */
int
look(Engine *engine, Thread *thread, Scratch *scratch, Activation *activation, PyFrameObject *frame)
{
    Code *code = activation->code;
    scratch->count = scratch->current = scratch->changed = 0;
    scratch->changes.size = 0;
    int is_dirty = activation->is_dirty;
    activation->is_dirty = 1; /* unless all goes well */
    if (code->is_function) {
        PyObject **slots = frame_slots(frame);
        for (Py_ssize_t i = 0; i < code->slots; i++) {
            Slot *slot = &code->slot[i];
            Variable *variable = &activation->variables[i];
            PyObject *value = slot_content(slots[slot->at], slot->is_cell);
            if (value == variable->held && !is_dirty) {
                continue;
            }
            if (value == NULL && !variable->bound) {
                continue;
            }
            if (value != NULL) {
                if (!variable->bound) {
                    variable->bound = ++activation->bindings;
                }
                int done = look_at_short(engine, scratch, variable, value, slot->key, slot->key_size,
                                         rank_of(slot, variable, i));
                if (done > 0) {
                    continue;
                }
                if (done < 0) {
                    return -1;
                }
            }
            if (scratch_item(scratch, value, (size_t)i, 0) < 0) {
                return -1;
            }
        }
    }
    PyObject *namespace = code->is_function ? frame_extras(frame) : frame_namespace(frame);
    if ((namespace != NULL || !code->is_function) &&
        find_all_named(engine, scratch, activation, frame, frame_code(frame), namespace) < 0) {
        let_go_of_values(scratch, 0);
        return -1;
    }
    for (; scratch->current < scratch->count; scratch->current++) {
        Item item = scratch->items[scratch->current];
        if (item.value == NULL) {
            continue;
        }
        int failed;
        if (item.is_named) {
            Named *named = &activation->named[item.at];
            failed = look_at(engine, thread, scratch, &named->variable, item.value, named->key, named->key_size,
                             NAMED_LATER + scratch->current);
        }
        else {
            Slot *slot = &code->slot[item.at];
            Variable *variable = &activation->variables[item.at];
            failed = look_at(engine, thread, scratch, variable, item.value, slot->key, slot->key_size,
                             rank_of(slot, variable, (Py_ssize_t)item.at));
        }
        if (scratch->holds) {
            Py_DECREF(item.value);
        }
        if (failed) {
            let_go_of_values(scratch, scratch->current + 1);
            return -1;
        }
    }
    let_go_of_values(scratch, scratch->count);
    if (add_unbound(engine, scratch, activation) < 0) {
        return -1;
    }
    if (scratch->changed) {
        put_changes(scratch);
    }
    activation->is_dirty = 0;
    return 0;
}
