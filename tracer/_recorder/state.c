/* Code objects, activations and variables as an engine knows them, from their beginning to their end. */

#include "engine.h"

#define POOLED 32 /* activations of a function that are kept for its next calls */

char other_mark;

static Py_ssize_t extra_index; /* of the data on code objects */

static void
code_release(Code *code)
{
    if (code == NULL || --code->references > 0) {
        return;
    }
    while (code->pool != NULL) {
        Activation *activation = code->pool;
        code->pool = activation->next;
        for (Py_ssize_t i = 0; i < code->slots; i++) {
            free(activation->variables[i].text.data);
            free(activation->variables[i].snapshot.words);
        }
        free(activation->variables);
        PyObject_Free(activation);
    }
    for (Py_ssize_t i = 0; i < code->slots; i++) {
        free(code->slot[i].key);
    }
    free(code->slot);
    free(code);
}

static void
code_forget(void *code)
{
    code_release(code);
}

int
prepare_state(void)
{
    extra_index = _PyEval_RequestCodeExtraIndex(code_forget);
    if (extra_index < 0) {
        PyErr_SetString(PyExc_ImportError, "too many tools keep data on code objects");
        return -1;
    }
    return 0;
}

/* What the engine knows of a code object; NULL if it has not seen it. Borrowed. */
Code *
code_known(Engine *engine, PyCodeObject *code)
{
    void *known = NULL;
    _PyCode_GetExtra((PyObject *)code, extra_index, &known);
    return known != NULL && ((Code *)known)->engine == engine->serial ? known : NULL;
}

static char *
name_key(PyObject *name, size_t *size)
{
    Bytes key = {0};
    int is_odd = 0;
    if (put_json_name(&key, name, &is_odd) < 0) {
        free(key.data);
        return NULL;
    }
    PUT(&key, ":");
    if (key.failed) {
        free(key.data);
        PyErr_NoMemory();
        return NULL;
    }
    if (is_odd) { /* marked by a size that no key has */
        key.data[key.size - 1] = '\0';
    }
    *size = key.size;
    return key.data;
}

/* Learn a code object. Borrowed; NULL with an error. */
Code *
code_learn(Engine *engine, PyCodeObject *object, long file)
{
    Code *code = calloc(1, sizeof(Code));
    if (code == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    code->engine = engine->serial;
    code->references = 1;
    code->file = file;
    code->is_function = (object->co_flags & CO_OPTIMIZED) != 0;
    code->is_lazy = (object->co_flags & (CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR)) != 0;
    code->is_module = PyUnicode_CompareWithASCIIString(object->co_name, "<module>") == 0;
    Py_ssize_t slots = code_slots(object);
    if (file >= 0 && code->is_function && slots > 0) {
        code->slot = calloc((size_t)slots, sizeof(Slot));
        if (code->slot == NULL) {
            code_release(code);
            PyErr_NoMemory();
            return NULL;
        }
        for (Py_ssize_t i = 0; i < slots; i++) {
            SlotPlace place;
            if (!code_slot(object, i, &place)) {
                continue;
            }
            Slot *slot = &code->slot[code->slots];
            slot->at = i;
            slot->is_cell = place.is_cell;
            slot->rank = place.rank;
            slot->name = place.name;
            slot->key = name_key(place.name, &slot->key_size);
            if (slot->key == NULL) {
                code_release(code);
                return NULL;
            }
            code->slots++;
        }
    }
    if (_PyCode_SetExtra((PyObject *)object, extra_index, code) < 0) {
        code_release(code);
        return NULL;
    }
    return code;
}

void
variable_unbind(Variable *variable)
{
    PyObject *held = variable->held;
    PyTypeObject *kind = variable->kind;
    variable->held = NULL;
    variable->kind = NULL;
    variable->bound = 0;
    variable->is_waiting = 0;
    snapshot_clear(&variable->snapshot);
    if (held != OTHER) {
        Py_XDECREF(held);
    }
    Py_XDECREF(kind);
}

Activation *
activation_new(Engine *engine, Code *code)
{
    Activation *activation = code->pool;
    if (activation != NULL) {
        code->pool = activation->next;
        code->pooled--;
        PyObject_Init((PyObject *)activation, &Activation_Type);
    }
    else {
        activation = PyObject_New(Activation, &Activation_Type);
        if (activation == NULL) {
            return NULL;
        }
        memset((char *)activation + sizeof(PyObject), 0, sizeof(Activation) - sizeof(PyObject));
        if (code->slots) {
            activation->variables = calloc((size_t)code->slots, sizeof(Variable));
            if (activation->variables == NULL) {
                PyObject_Free(activation);
                PyErr_NoMemory();
                return NULL;
            }
        }
    }
    code->references++;
    activation->code = code;
    activation->engine = engine;
    activation->number = engine->activations++;
    activation->previous = NULL;
    activation->next = engine->living;
    if (engine->living != NULL) {
        engine->living->previous = activation;
    }
    engine->living = activation;
    return activation;
}

static void
activation_dealloc(Activation *activation)
{
    Code *code = activation->code;
    Engine *engine = activation->engine;
    if (activation->next != NULL) {
        activation->next->previous = activation->previous;
    }
    if (activation->previous != NULL) {
        activation->previous->next = activation->next;
    }
    else if (engine != NULL) {
        engine->living = activation->next;
    }
    activation->engine = NULL;
    activation->next = activation->previous = NULL;
    for (Py_ssize_t i = 0; i < code->slots; i++) {
        variable_unbind(&activation->variables[i]);
    }
    for (size_t i = 0; i < activation->named_count; i++) {
        Named *named = &activation->named[i];
        variable_unbind(&named->variable);
        free(named->variable.text.data);
        free(named->variable.snapshot.words);
        free(named->key);
        Py_DECREF(named->name);
    }
    free(activation->named);
    free(activation->index);
    Stack *stack = activation->stack;
    PyTypeObject *raised = activation->raised;
    Variable *variables = activation->variables;
    memset((char *)activation + sizeof(PyObject), 0, sizeof(Activation) - sizeof(PyObject));
    activation->variables = variables;
    if (code->references > 1 && code->pooled < POOLED) {
        activation->next = code->pool;
        code->pool = activation;
        code->pooled++;
    }
    else {
        for (Py_ssize_t i = 0; i < code->slots; i++) {
            free(variables[i].text.data);
            free(variables[i].snapshot.words);
        }
        free(variables);
        PyObject_Free(activation);
    }
    code_release(code);
    Py_XDECREF(stack);
    Py_XDECREF(raised);
}

/* The activation of a frame that was called before; NULL if it has none of this engine's. Borrowed. */
Activation *
activation_of(Engine *engine, PyFrameObject *frame)
{
    PyObject *trace = frame->f_trace;
    if (trace == NULL || Py_TYPE(trace) != &Activation_Type || ((Activation *)trace)->engine != engine) {
        return NULL;
    }
    return (Activation *)trace;
}

/* It is called, or resumed: it is now on top of a stack. */
void
activation_place(Activation *activation, Stack *stack)
{
    activation->depth = stack->depth++;
    activation->raised_at = -1;
    Py_INCREF(stack);
    Py_XSETREF(activation->stack, stack);
    Bytes place = {.data = activation->place, .room = sizeof(activation->place)}; /* four numbers always fit */
    PUT(&place, ",\"activation\":");
    put_number(&place, activation->number);
    PUT(&place, ",\"depth\":");
    put_number(&place, activation->depth);
    if (stack->thread) {
        PUT(&place, ",\"thread\":");
        put_number(&place, stack->thread);
    }
    if (activation->code->file) {
        PUT(&place, ",\"file\":");
        put_number(&place, activation->code->file);
    }
    activation->place_size = (int)place.size;
}

/* Let go of types, which the garbage collector cannot see from here. */
void
activation_forget_kinds(Activation *activation)
{
    for (Py_ssize_t i = 0; i < activation->code->slots; i++) {
        Py_CLEAR(activation->variables[i].kind);
    }
    for (size_t i = 0; i < activation->named_count; i++) {
        Py_CLEAR(activation->named[i].variable.kind);
    }
    Py_CLEAR(activation->raised);
}

static int
index_names(Activation *activation)
{
    size_t size = activation->index_size ? activation->index_size * 2 : 32;
    uint32_t *index = calloc(size, sizeof(uint32_t));
    if (index == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < activation->named_count; i++) {
        size_t at = (size_t)PyObject_Hash(activation->named[i].name) & (size - 1);
        while (index[at]) {
            at = (at + 1) & (size - 1);
        }
        index[at] = (uint32_t)i + 1;
    }
    free(activation->index);
    activation->index = index;
    activation->index_size = size;
    return 0;
}

/* The variable of a name; a new one if there was none. NULL with an error. */
Named *
activation_named(Activation *activation, PyObject *name)
{
    if (activation->index_size == 0 && index_names(activation) < 0) {
        return NULL;
    }
    size_t mask = activation->index_size - 1, at = (size_t)PyObject_Hash(name) & mask;
    for (; activation->index[at]; at = (at + 1) & mask) {
        Named *named = &activation->named[activation->index[at] - 1];
        if (named->name == name || PyUnicode_Compare(named->name, name) == 0) {
            return named;
        }
    }
    if (activation->named_count == activation->named_room) {
        size_t room = activation->named_room ? activation->named_room * 2 : 16;
        Named *more = realloc(activation->named, room * sizeof(Named));
        if (more == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        activation->named = more;
        activation->named_room = room;
    }
    Named *named = &activation->named[activation->named_count];
    memset(named, 0, sizeof(Named));
    named->key = name_key(name, &named->key_size);
    if (named->key == NULL) {
        return NULL;
    }
    named->name = Py_NewRef(name);
    activation->index[at] = (uint32_t)++activation->named_count;
    if (activation->named_count * 2 > activation->index_size && index_names(activation) < 0) {
        return NULL;
    }
    return named;
}

Scratch *
scratch_take(Engine *engine)
{
    Scratch *scratch = engine->scratch;
    if (scratch == NULL) {
        scratch = calloc(1, sizeof(Scratch));
        if (scratch == NULL) {
            PyErr_NoMemory();
        }
        return scratch;
    }
    engine->scratch = scratch->next;
    return scratch;
}

void
scratch_give(Engine *engine, Scratch *scratch)
{
    if (scratch->text.room + scratch->changes.room + scratch->line.room > 1 << 22) { /* a big value is seldom */
        scratch_free(scratch);
        return;
    }
    scratch->next = engine->scratch;
    engine->scratch = scratch;
}

void
scratch_free(Scratch *scratch)
{
    snapshot_clear(&scratch->snapshot);
    free(scratch->snapshot.words);
    free(scratch->items);
    free(scratch->change);
    free(scratch->text.data);
    free(scratch->changes.data);
    free(scratch->line.data);
    free(scratch);
}

int
scratch_item(Scratch *scratch, PyObject *value, size_t at, int is_named)
{
    if (scratch->count == scratch->room) {
        size_t room = scratch->room ? scratch->room * 2 : 32;
        Item *items = realloc(scratch->items, room * sizeof(Item));
        if (items == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        scratch->items = items;
        scratch->room = room;
    }
    scratch->items[scratch->count++] = (Item){value, at, is_named};
    return 0;
}

PyTypeObject Activation_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "cwm_trace.tracer._recorder.Activation",
    .tp_doc = "What is known of a function activation that is recorded.",
    .tp_basicsize = sizeof(Activation),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = (destructor)activation_dealloc,
    .tp_call = (ternaryfunc)activation_call,
};
