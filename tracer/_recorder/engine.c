/* The trace function, and the engine that it works for.

   It is installed by `PyEval_SetTrace`, for each thread, without an object: `sys.gettrace()` gives None. What is
   known of an activation hangs on its frame as `f_trace`, and so ends with it. What need not be decided at every
   event is left to methods of the class that is derived from `Engine` in Python: `find`, `enters`, `current_stack`,
   `finish_entry`, `is_suspended`, `reach_limit`, `fail`, `unrepresentable`, `unprintable`, `expand`, `is_foreign`,
   `rewrite`. */

#include "engine.h"

#include <pthread.h>
#include <structmember.h>

static Thread *threads; /* all there were; those that have ended are used again */
static _Thread_local Thread *this_thread;
static uint64_t engines;

static int on_event(PyObject *object, PyFrameObject *frame, int what, PyObject *argument);

static pthread_key_t ending; /* its values are threads, whose ends it hears of */

/* A thread of the process has ended; the GIL is not held. */
static void
thread_ended(void *thread)
{
    __atomic_store_n(&((Thread *)thread)->is_used, 0, __ATOMIC_RELEASE);
}

static Thread *
current_thread(void)
{
    if (this_thread == NULL) {
        Thread *thread = threads;
        while (thread != NULL && __atomic_load_n(&thread->is_used, __ATOMIC_ACQUIRE)) {
            thread = thread->next;
        }
        if (thread == NULL) {
            thread = calloc(1, sizeof(Thread));
            if (thread == NULL) {
                PyErr_NoMemory();
                return NULL;
            }
            thread->next = threads;
            threads = thread;
        }
        else { /* what another thread has left */
            thread->is_used = 1;
            thread->engine = NULL;
            thread->frame = NULL;
            thread->inside = thread->goes_on = 0;
            Py_CLEAR(thread->steps);
            Py_CLEAR(thread->stack);
        }
        thread->is_used = 1;
        this_thread = thread;
        pthread_setspecific(ending, thread);
    }
    return this_thread;
}

static int
is_installed(Engine *engine)
{
    return this_thread != NULL && this_thread->engine == engine && PyThreadState_Get()->c_tracefunc == on_event;
}

/* An error is set that came up while an event was recorded. 0: it was ours, and the event is missed; -1: it is the
   program's, and has to go on. */
static int
settle(Engine *engine)
{
    PyObject *error = take_error();
    PyObject *answer = PyObject_CallMethod((PyObject *)engine, "is_foreign", "O", error);
    int is_foreign = answer != NULL && PyObject_IsTrue(answer) == 1;
    Py_XDECREF(answer);
    PyErr_Clear();
    if (is_foreign) {
        give_error(error);
        return -1;
    }
    Py_DECREF(error);
    engine->missed++;
    return 0;
}

static int
call(Engine *engine, const char *name, PyObject *argument)
{
    PyObject *method = PyUnicode_InternFromString(name);
    PyObject *answer = NULL;
    if (method != NULL) {
        answer = argument == NULL ? PyObject_CallMethodNoArgs((PyObject *)engine, method)
                                  : PyObject_CallMethodOneArg((PyObject *)engine, method, argument);
        Py_DECREF(method);
    }
    if (answer == NULL) {
        return -1;
    }
    int is_true = PyObject_IsTrue(answer);
    Py_DECREF(answer);
    return is_true;
}

static void
begin_line(Scratch *scratch, const char *event, size_t size, int line, const Activation *activation)
{
    Bytes *out = &scratch->line;
    out->size = 0;
    out->failed = scratch->text.failed = scratch->changes.failed = 0; /* memory may have ended at the last event */
    scratch->is_odd = 0;
    PUT(out, "{\"event\":\"");
    put(out, event, size);
    PUT(out, "\",\"line\":");
    put_number(out, line);
    put(out, activation->place, (size_t)activation->place_size);
}

/* Write the line. Returns 1 if it was written, 0 if it could not be, -1 with an error. */
static int
end_line(Engine *engine, Scratch *scratch)
{
    Bytes *out = &scratch->line;
    PUT(out, "}\n");
    if (out->failed || scratch->text.failed || scratch->changes.failed) {
        PyErr_NoMemory();
        return -1;
    }
    int failed;
    if (scratch->is_odd) {
        PyObject *line = PyObject_CallMethod((PyObject *)engine, "rewrite", "y#", out->data, (Py_ssize_t)out->size);
        char *data;
        Py_ssize_t size;
        failed = line == NULL || PyBytes_AsStringAndSize(line, &data, &size) < 0 ||
                 log_add_frame(engine->log, data, (size_t)size) < 0;
        Py_XDECREF(line);
    }
    else {
        failed = log_add_frame(engine->log, out->data, out->size) < 0;
    }
    if (failed) {
        if (!PyErr_ExceptionMatches(PyExc_OSError)) {
            return -1;
        }
        PyObject *error = take_error(); /* a full disk, a closed pipe: the program must not notice */
        failed = call(engine, "fail", error) < 0;
        Py_DECREF(error);
        return failed ? -1 : 0;
    }
    engine->frames++;
    if (engine->frames >= engine->max_frames) {
        return call(engine, "reach_limit", Py_True) < 0 ? -1 : 1;
    }
    if (engine->bytes >= engine->max_bytes) {
        return call(engine, "reach_limit", Py_False) < 0 ? -1 : 1;
    }
    return 1;
}

#define EVENT(scratch, name, line, activation) begin_line((scratch), (name), sizeof(name) - 1, (line), (activation))

/* Append what has changed to a line, and write it; what memory was too small for is shown by the next one. */
static int
look_and_end(Engine *engine, Thread *thread, Scratch *scratch, Activation *activation, PyFrameObject *frame)
{
    if (look(engine, thread, scratch, activation, frame) < 0) {
        return -1;
    }
    int done = end_line(engine, scratch);
    if (done < 0 && PyErr_ExceptionMatches(PyExc_MemoryError)) {
        activation->is_dirty = 1;
        for (size_t i = 0; i < scratch->changed; i++) {
            if (scratch->change[i].variable != NULL) {
                scratch->change[i].variable->is_waiting = 1;
            }
        }
    }
    return done;
}

/* The stack of the running thread, which gets its number by its first recorded call. Borrowed. */
static Stack *
current_stack(Engine *engine, Thread *thread)
{
    if (thread->stack == NULL) {
        PyObject *stack = PyObject_CallMethod((PyObject *)engine, "current_stack", NULL);
        if (stack == NULL) {
            return NULL;
        }
        if (!Py_IS_TYPE(stack, &Stack_Type)) {
            Py_DECREF(stack);
            PyErr_SetString(PyExc_TypeError, "current_stack gives no Stack");
            return NULL;
        }
        thread->stack = (Stack *)stack;
    }
    return thread->stack;
}

/* A suspended activation goes on without a call event: 3.11's `throw`. */
static int
resume(Engine *engine, Thread *thread, Scratch *scratch, Activation *activation)
{
    Stack *stack = current_stack(engine, thread);
    if (stack == NULL) {
        return -1;
    }
    activation_place(activation, stack);
    EVENT(scratch, "call", activation->left_at, activation);
    return end_line(engine, scratch) < 0 ? -1 : 0;
}

static int
on_call(Engine *engine, Thread *thread, Scratch *scratch, PyFrameObject *frame)
{
    PyCodeObject *object = frame_code(frame);
    Code *code = code_known(engine, object);
    if (code == NULL || !engine->keeps_codes) {
        PyObject *found = PyObject_CallMethod((PyObject *)engine, "find", "O", frame);
        if (found == NULL) {
            return -1;
        }
        long file = found == Py_None ? -1 : PyLong_AsLong(found);
        Py_DECREF(found);
        if (file == -1 && PyErr_Occurred()) {
            return -1;
        }
        if (file < 0 && !engine->keeps_codes) {
            return 0;
        }
        code = code == NULL || code->file != file ? code_learn(engine, object, file) : code;
        if (code == NULL) {
            return -1;
        }
    }
    if (code->file < 0) {
        return 0;
    }
    if (!engine->entered) {
        int enters = call(engine, "enters", (PyObject *)object);
        if (enters <= 0) {
            return enters;
        }
        engine->entered = 1;
    }
    Stack *stack = current_stack(engine, thread);
    if (stack == NULL) {
        return -1;
    }
    Activation *activation = activation_of(engine, frame);
    long depth = stack->depth;
    if (activation != NULL) {
        Py_INCREF(activation);
    }
    else {
        if (depth > engine->max_depth) {
            engine->skipped++;
            return 0;
        }
        activation = activation_new(engine, code);
        if (activation == NULL) {
            return -1;
        }
    }
    Py_INCREF(stack);
    activation_place(activation, stack);
    EVENT(scratch, "call", frame_line(frame), activation);
    int failed = look_and_end(engine, thread, scratch, activation, frame) < 0;
    if (failed) {
        stack->depth = depth;
    }
    else if (frame->f_trace == NULL) {
        frame->f_trace = Py_NewRef((PyObject *)activation);
    }
    Py_DECREF(stack);
    Py_DECREF(activation);
    return failed ? -1 : 0;
}

static int
on_line(Engine *engine, Thread *thread, Scratch *scratch, Activation *activation, PyFrameObject *frame)
{
    activation->raised_at = -1;
    EVENT(scratch, "line", frame_line(frame), activation);
    return look_and_end(engine, thread, scratch, activation, frame);
}

static int
on_exception(Engine *engine, Thread *thread, Scratch *scratch, Activation *activation, PyFrameObject *frame,
             PyObject *raised)
{
    PyObject *error = PyTuple_GET_ITEM(raised, 1);
    EVENT(scratch, "exception", frame_line(frame), activation);
    PyObject *kind = Py_NewRef((PyObject *)Py_TYPE(error));
    Py_XSETREF(activation->raised, (PyTypeObject *)kind);
    activation->raised_at = frame_at(frame);
    if (put_value(engine, thread, scratch, error) < 0 || put_message(engine, thread, scratch, error) < 0) {
        return -1;
    }
    return end_line(engine, scratch);
}

static int
visit_first(PyObject *object, void *found)
{
    *(PyObject **)found = object;
    return 1;
}

/* What an asynchronous generator yields, which the interpreter hands on in a wrapper (PEP 525). Borrowed. */
static PyObject *
unwrap(PyObject *value)
{
    PyTypeObject *kind = Py_TYPE(value);
    if (!(kind->tp_flags & Py_TPFLAGS_HEAPTYPE) && strcmp(kind->tp_name, "async_generator_wrapped_value") == 0) {
        kind->tp_traverse(value, visit_first, &value);
    }
    return value;
}

/* The activation runs no longer, for now or for ever. */
static void
leave(Activation *activation)
{
    if (activation->stack != NULL) {
        activation->stack->depth = activation->depth;
        Py_CLEAR(activation->stack);
    }
}

static int
on_return(Engine *engine, Thread *thread, Scratch *scratch, Activation *activation, PyFrameObject *frame,
          PyObject *value)
{
    int line = frame_line(frame);
    if (frame_unwinds(frame, value, activation->raised_at)) {
        value = NULL;
    }
    EVENT(scratch, "return", line, activation);
    if (value != NULL) {
        PyObject *shown = Py_NewRef(unwrap(value));
        int failed = put_value(engine, thread, scratch, shown);
        Py_DECREF(shown);
        if (failed) {
            return -1;
        }
    }
    activation->left_at = line;
    leave(activation);
    if (end_line(engine, scratch) < 0) {
        return -1;
    }
    if (activation->number == 0) {
        int is_suspended = 0;
        if (value != NULL && activation->code->is_lazy) {
            is_suspended = call(engine, "is_suspended", (PyObject *)frame);
        }
        if (is_suspended < 0) {
            return -1;
        }
        if (!is_suspended) {
            PyObject *raised = value == NULL && activation->raised != NULL ? (PyObject *)activation->raised : Py_None;
            return call(engine, "finish_entry", raised) < 0 ? -1 : 0;
        }
    }
    return 0;
}

/* What had to wait until an event was recorded: signals. */
static void
run_steps(Thread *thread)
{
    PyObject *steps = thread->steps;
    thread->steps = NULL;
    PyObject *kind, *error, *trace;
    PyErr_Fetch(&kind, &error, &trace);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(steps); i++) {
        PyObject *done = PyObject_CallNoArgs(PyList_GET_ITEM(steps, i));
        Py_XDECREF(done);
        PyErr_Clear();
    }
    PyErr_Restore(kind, error, trace);
    Py_DECREF(steps);
}

#define SPARE_LEVELS 60 /* of recursion: at its limit a program has none left for what we call */

static int
record(Engine *engine, Thread *thread, PyFrameObject *frame, int what, PyObject *argument)
{
    Activation *activation = NULL;
    if (what != PyTrace_CALL) {
        activation = activation_of(engine, frame);
        if (activation == NULL) {
            return 0;
        }
        Py_INCREF(activation);
    }
    Scratch *scratch = scratch_take(engine);
    int failed = scratch == NULL ? -1 : 0;
    PyFrameObject *outer = thread->frame;
    thread->frame = frame;
    add_recursion_levels(SPARE_LEVELS);
    if (!failed && activation != NULL && activation->stack == NULL) {
        failed = resume(engine, thread, scratch, activation);
    }
    if (failed >= 0) {
        switch (what) {
        case PyTrace_CALL:
            failed = on_call(engine, thread, scratch, frame);
            break;
        case PyTrace_LINE:
            failed = on_line(engine, thread, scratch, activation, frame);
            break;
        case PyTrace_EXCEPTION:
            failed = on_exception(engine, thread, scratch, activation, frame, argument);
            break;
        case PyTrace_RETURN:
            failed = on_return(engine, thread, scratch, activation, frame, argument);
            break;
        default:
            break;
        }
    }
    thread->frame = outer;
    if (scratch != NULL) {
        scratch_give(engine, scratch);
    }
    if (failed < 0 && !thread->goes_on) {
        failed = settle(engine);
        if (failed == 0 && what == PyTrace_RETURN && activation != NULL) {
            leave(activation);
        }
    }
    Py_XDECREF(activation);
    thread->goes_on = 0;
    add_recursion_levels(-SPARE_LEVELS);
    if (thread->steps != NULL) {
        run_steps(thread);
    }
    return failed < 0 ? -1 : 0;
}

/* An event of a frame that another engine records than the one of the thread, if any is. */
static int
record_around(Engine *engine, Thread *thread, PyFrameObject *frame, int what, PyObject *argument)
{
    Stack *stack = thread->stack;
    thread->stack = NULL;
    Py_INCREF(engine);
    int failed = record(engine, thread, frame, what, argument);
    Py_DECREF(engine);
    Py_XSETREF(thread->stack, stack);
    return failed;
}

/* The engine that records a frame; NULL if none does that is active. */
static Engine *
engine_of(PyFrameObject *frame)
{
    PyObject *trace = frame->f_trace;
    Engine *engine = trace != NULL && Py_TYPE(trace) == &Activation_Type ? ((Activation *)trace)->engine : NULL;
    return engine != NULL && engine->active ? engine : NULL;
}

/* The program has set a trace function of its own, or a recorder in Python has: the interpreter then calls `f_trace` of
   the frames that had one before, as of any that is traced in Python. */
PyObject *
activation_call(Activation *activation, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    PyFrameObject *frame;
    PyObject *event, *argument;
    if (!PyArg_ParseTuple(args, "O!UO:Activation", &PyFrame_Type, &frame, &event, &argument)) {
        return NULL;
    }
    Engine *engine = engine_of(frame);
    Thread *thread = current_thread();
    if (thread == NULL) {
        return NULL;
    }
    if (engine == NULL || activation_of(engine, frame) != activation) {
        Py_RETURN_NONE;
    }
    int what;
    if (PyUnicode_CompareWithASCIIString(event, "line") == 0) {
        what = PyTrace_LINE;
    }
    else if (PyUnicode_CompareWithASCIIString(event, "exception") == 0) {
        what = PyTrace_EXCEPTION;
    }
    else if (PyUnicode_CompareWithASCIIString(event, "return") == 0) {
        what = PyTrace_RETURN;
    }
    else {
        Py_RETURN_NONE;
    }
    if (what == PyTrace_RETURN && argument == Py_None) { /* also where an exception leaves the frame */
        PyObject *leaves = PyObject_CallMethod((PyObject *)engine, "leaves_by_exception", "Oi", frame, activation->raised_at);
        if (leaves == NULL) {
            return NULL;
        }
        argument = leaves == Py_True ? NULL : argument;
        Py_DECREF(leaves);
    }
    int failed = thread->engine == engine ? record(engine, thread, frame, what, argument)
                                          : record_around(engine, thread, frame, what, argument);
    if (failed < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static int
on_event(PyObject *Py_UNUSED(object), PyFrameObject *frame, int what, PyObject *argument)
{
    Thread *thread = this_thread;
    Engine *engine = thread == NULL ? NULL : thread->engine;
    if (what != PyTrace_CALL && thread != NULL && frame->f_trace != NULL) {
        Engine *around = engine_of(frame);
        if (around != NULL && around != engine) {
            return record_around(around, thread, frame, what, argument);
        }
    }
    if (engine == NULL || (!engine->active && engine->watched != frame)) {
        return 0; /* an engine that is not active may be about to end: it must not be held */
    }
    Py_INCREF(engine);
    int failed = engine->active ? record(engine, thread, frame, what, argument) : 0;
    if (what == PyTrace_RETURN && engine->watched == frame) {
        PyObject *function = engine->when_watched_returns;
        engine->watched = NULL;
        engine->when_watched_returns = NULL;
        PyObject *kind, *error, *trace;
        PyErr_Fetch(&kind, &error, &trace);
        PyObject *done = PyObject_CallNoArgs(function);
        Py_XDECREF(done);
        Py_DECREF(function);
        PyErr_Restore(kind, error, trace);
    }
    Py_DECREF(engine);
    return failed;
}

/* From Python. */

static PyObject *
engine_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(keywords))
{
    Engine *engine = (Engine *)type->tp_alloc(type, 0);
    if (engine != NULL) {
        engine->serial = ++engines;
        engine->max_frames = engine->max_bytes = engine->max_depth = PY_SSIZE_T_MAX;
        engine->max_characters = -1;
        engine->keeps_codes = 1;
    }
    return (PyObject *)engine;
}

static int
engine_traverse(Engine *engine, visitproc visit, void *arg)
{
    Py_VISIT(engine->log);
    Py_VISIT(engine->hidden);
    Py_VISIT(engine->when_watched_returns);
    return 0;
}

static int
engine_clear(Engine *engine)
{
    Py_CLEAR(engine->log);
    Py_CLEAR(engine->hidden);
    Py_CLEAR(engine->when_watched_returns);
    return 0;
}

static void
engine_dealloc(Engine *engine)
{
    PyObject_GC_UnTrack(engine);
    for (Thread *thread = threads; thread != NULL; thread = thread->next) {
        if (thread->engine == engine) {
            thread->engine = NULL;
            Py_CLEAR(thread->stack);
        }
    }
    while (engine->living != NULL) { /* of suspended generators */
        Activation *activation = engine->living;
        engine->living = activation->next;
        if (engine->living != NULL) {
            engine->living->previous = NULL;
        }
        activation->next = activation->previous = NULL;
        activation->engine = NULL;
        Py_INCREF(activation);
        activation_forget_kinds(activation);
        Py_DECREF(activation);
    }
    while (engine->scratch != NULL) {
        Scratch *scratch = engine->scratch;
        engine->scratch = scratch->next;
        scratch_free(scratch);
    }
    engine_clear(engine);
    Py_TYPE(engine)->tp_free(engine);
}

/* Trace the current thread, from the next event on. */
static int
install(Engine *engine)
{
    Thread *thread = current_thread();
    if (thread == NULL) {
        return -1;
    }
    if (thread->engine != engine) {
        thread->engine = engine;
        Py_CLEAR(thread->stack);
    }
    PyEval_SetTrace(on_event, NULL);
    return 0;
}

static PyObject *
engine_install(Engine *engine, PyObject *Py_UNUSED(none))
{
    if (engine->log == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "an engine needs a log");
        return NULL;
    }
    if (install(engine) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
engine_uninstall(Engine *engine, PyObject *Py_UNUSED(none))
{
    if (is_installed(engine)) {
        PyEval_SetTrace(NULL, NULL);
        this_thread->engine = NULL;
        Py_CLEAR(this_thread->stack);
    }
    Py_RETURN_NONE;
}

static PyObject *
engine_is_installed(Engine *engine, PyObject *Py_UNUSED(none))
{
    return PyBool_FromLong(is_installed(engine));
}

static PyObject *
engine_on_call(Engine *engine, PyObject *args)
{
    PyFrameObject *frame;
    PyObject *event, *argument;
    if (!PyArg_ParseTuple(args, "O!UO:on_call", &PyFrame_Type, &frame, &event, &argument)) {
        return NULL;
    }
    if (PyUnicode_CompareWithASCIIString(event, "call") != 0 || engine->log == NULL) {
        Py_RETURN_NONE;
    }
    if (install(engine) < 0) {
        return NULL;
    }
    if (engine->active && record(engine, this_thread, frame, PyTrace_CALL, Py_None) < 0) {
        return NULL;
    }
    Activation *activation = activation_of(engine, frame);
    if (activation == NULL) {
        Py_RETURN_NONE;
    }
    return Py_NewRef((PyObject *)activation);
}

static PyObject *
engine_is_recorded(Engine *engine, PyObject *frame)
{
    return PyBool_FromLong(PyFrame_Check(frame) && activation_of(engine, (PyFrameObject *)frame) != NULL);
}

static PyObject *
engine_watch_return(Engine *engine, PyObject *args)
{
    PyObject *frame, *function;
    if (!PyArg_ParseTuple(args, "O!O:watch_return", &PyFrame_Type, &frame, &function)) {
        return NULL;
    }
    engine->watched = (PyFrameObject *)frame;
    Py_INCREF(function);
    Py_XSETREF(engine->when_watched_returns, function);
    Py_RETURN_NONE;
}

static PyObject *
engine_get_stack(Engine *engine, void *Py_UNUSED(closure))
{
    if (this_thread == NULL || this_thread->engine != engine || this_thread->stack == NULL) {
        Py_RETURN_NONE;
    }
    return Py_NewRef((PyObject *)this_thread->stack);
}

static int
engine_set_stack(Engine *engine, PyObject *stack, void *Py_UNUSED(closure))
{
    if (stack == NULL || (stack != Py_None && !Py_IS_TYPE(stack, &Stack_Type))) {
        PyErr_SetString(PyExc_TypeError, "stack has to be a Stack or None");
        return -1;
    }
    Thread *thread = current_thread();
    if (thread == NULL) {
        return -1;
    }
    if (thread->engine != engine) { /* it will ask for `current_stack` */
        return 0;
    }
    Stack *before = thread->stack;
    thread->stack = stack == Py_None ? NULL : (Stack *)Py_NewRef(stack);
    Py_XDECREF(before);
    return 0;
}

static PyMethodDef engine_methods[] = {
    {"install", (PyCFunction)engine_install, METH_NOARGS, "Trace the current thread."},
    {"uninstall", (PyCFunction)engine_uninstall, METH_NOARGS, "Trace the current thread no longer."},
    {"is_installed", (PyCFunction)engine_is_installed, METH_NOARGS, "Whether the current thread is traced."},
    {"on_call", (PyCFunction)engine_on_call, METH_VARARGS,
     "A trace function as `sys.settrace` takes it: puts this one in its place, from this call on."},
    {"is_recorded", (PyCFunction)engine_is_recorded, METH_O, "Whether a frame is that of a recorded activation."},
    {"watch_return", (PyCFunction)engine_watch_return, METH_VARARGS, "Call a function when a frame returns."},
    {NULL},
};

static PyMemberDef engine_members[] = {
    {"log", T_OBJECT_EX, offsetof(Engine, log), 0, "Where lines go: a Log."},
    {"frames", T_LONGLONG, offsetof(Engine, frames), 0, "Recorded so far."},
    {"bytes", T_LONGLONG, offsetof(Engine, bytes), 0, "Characters of changed values so far."},
    {"skipped", T_LONGLONG, offsetof(Engine, skipped), 0, "Activations that were too deep."},
    {"missed", T_LONGLONG, offsetof(Engine, missed), 0, "Events that could not be recorded."},
    {"max_frames", T_LONGLONG, offsetof(Engine, max_frames), 0, "`reach_limit` is called there."},
    {"max_bytes", T_LONGLONG, offsetof(Engine, max_bytes), 0, "`reach_limit` is called there."},
    {"max_depth", T_LONGLONG, offsetof(Engine, max_depth), 0, "Of activations."},
    {"max_characters", T_PYSSIZET, offsetof(Engine, max_characters), 0, "Of a value's text; -1: any."},
    {"active", T_BOOL, offsetof(Engine, active), 0, "Whether events are recorded."},
    {"entered", T_BOOL, offsetof(Engine, entered), 0, "Whether the entry was called."},
    {"keep_addresses", T_BOOL, offsetof(Engine, keep_addresses), 0, "Leave ` at 0x…` in values."},
    {"expands", T_BOOL, offsetof(Engine, expands), 0, "Ask `expand` for the texts of objects."},
    {"keeps_codes", T_BOOL, offsetof(Engine, keeps_codes), 0, "Ask `find` once about code that is not recorded."},
    {"hidden", T_OBJECT, offsetof(Engine, hidden), 0, "Names of module variables that are not shown."},
    {NULL},
};

static PyGetSetDef engine_attributes[] = {
    {"stack", (getter)engine_get_stack, (setter)engine_set_stack, "Of the current thread; None: not yet any.", NULL},
    {NULL},
};

PyTypeObject Engine_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "cwm_trace.tracer._recorder.Engine",
    .tp_doc = "Records events of the threads that it is installed in.",
    .tp_basicsize = sizeof(Engine),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_new = engine_new,
    .tp_dealloc = (destructor)engine_dealloc,
    .tp_traverse = (traverseproc)engine_traverse,
    .tp_clear = (inquiry)engine_clear,
    .tp_methods = engine_methods,
    .tp_members = engine_members,
    .tp_getset = engine_attributes,
};

static PyObject *
stack_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    long thread;
    if (!PyArg_ParseTuple(args, "l:Stack", &thread)) {
        return NULL;
    }
    Stack *stack = (Stack *)type->tp_alloc(type, 0);
    if (stack != NULL) {
        stack->thread = thread;
    }
    return (PyObject *)stack;
}

static PyMemberDef stack_members[] = {
    {"thread", T_LONG, offsetof(Stack, thread), READONLY, "Its number."},
    {"depth", T_LONG, offsetof(Stack, depth), 0, "Recorded activations on it."},
    {NULL},
};

PyTypeObject Stack_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "cwm_trace.tracer._recorder.Stack",
    .tp_doc = "The recorded activations of a thread, or of one of its greenlets.",
    .tp_basicsize = sizeof(Stack),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = stack_new,
    .tp_members = stack_members,
};

/* The engine of the current thread, if it is traced by one. */
static PyObject *
engine_of_thread(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    Engine *engine = this_thread == NULL ? NULL : this_thread->engine;
    if (engine == NULL || !is_installed(engine)) {
        Py_RETURN_NONE;
    }
    return Py_NewRef((PyObject *)engine);
}

/* The frame whose event is being recorded while code of the program runs for it, in this thread; else None. */
static PyObject *
frame_looked_at(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none))
{
    if (this_thread == NULL || !this_thread->inside || this_thread->frame == NULL) {
        Py_RETURN_NONE;
    }
    return Py_NewRef((PyObject *)this_thread->frame);
}

/* Call functions of C when the event that is being recorded is done. */
static PyObject *
when_recorded(PyObject *Py_UNUSED(module), PyObject *steps)
{
    Thread *thread = current_thread();
    if (thread == NULL) {
        return NULL;
    }
    if (thread->steps == NULL) {
        thread->steps = PyList_New(0);
        if (thread->steps == NULL) {
            return NULL;
        }
    }
    return PyObject_CallMethod(thread->steps, "extend", "O", steps);
}

/* Let the program go deeper by what our own frames below it take. */
static PyObject *
give_recursion_levels(PyObject *Py_UNUSED(module), PyObject *levels)
{
    long number = PyLong_AsLong(levels);
    if (number == -1 && PyErr_Occurred()) {
        return NULL;
    }
    add_recursion_levels(number);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"frames_of_lines", frames_of_lines, METH_VARARGS,
     "The records of lines of frames: types of a frame and of a slot, events by name, lines of each source file."},
    {"columns_of_lines", columns_of_lines, METH_O, "The frames of lines with every field in its place, as JSON."},
    {"give_recursion_levels", give_recursion_levels, METH_O,
     "Let the current thread go deeper by so many levels of recursion; negative: less deep."},
    {"engine_of_thread", engine_of_thread, METH_NOARGS, "The engine that traces the current thread, or None."},
    {"frame_looked_at", frame_looked_at, METH_NOARGS,
     "The frame whose event is being recorded while code of the program runs for it, in this thread; else None."},
    {"stand_in", stand_in, METH_VARARGS,
     "A function that looks like another one of C, and calls what a function of Python says, unseen by tracing."},
    {"when_recorded", when_recorded, METH_O, "Call functions of C when the event that is being recorded is done."},
    {NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "cwm_trace.tracer._recorder",
    .m_doc = "The compiled recorder: what `recorder.py` and `activation.py` do, in C.",
    .m_size = -1,
    .m_methods = functions,
};

#define EDITION 6 /* of what C and Python say to each other: see `extension.py` */

PyMODINIT_FUNC
PyInit__recorder(void)
{
    if (prepare_values() < 0 || prepare_state() < 0 || prepare_log() < 0) {
        return NULL;
    }
    if (pthread_key_create(&ending, thread_ended)) {
        PyErr_SetString(PyExc_ImportError, "too many libraries listen to the ends of threads");
        return NULL;
    }
    PyObject *made = PyModule_Create(&module);
    if (made == NULL || PyModule_AddType(made, &Log_Type) < 0 || PyModule_AddType(made, &Stack_Type) < 0 ||
        PyModule_AddType(made, &Engine_Type) < 0 || PyType_Ready(&Activation_Type) < 0 || PyModule_AddIntConstant(made, "EDITION", EDITION) < 0) {
        Py_XDECREF(made);
        return NULL;
    }
    return made;
}
