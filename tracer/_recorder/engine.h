/* What an engine is, and what it knows of code, activations and variables. */

#ifndef ENGINE_H
#define ENGINE_H

#include "recorder.h"

/* What runs in a thread, or in one of its greenlets. */
typedef struct {
    PyObject_HEAD
    long thread; /* number */
    long depth;  /* recorded activations on it */
} Stack;

/* A variable when it was last looked at. */
typedef struct {
    PyObject *held;      /* an atom, by a strong reference; OTHER for other values; NULL where it is not bound */
    PyTypeObject *kind;  /* of the value; a strong reference */
    Bytes text;          /* of the value, unless that is long */
    size_t length;       /* of the text in bytes */
    Py_hash_t hash;      /* of a long text */
    Snapshot snapshot;   /* of a container of plain values */
    uint64_t bound;      /* its place in the order in which variables were bound */
    int is_waiting;      /* its text has changed, in an event that was never written */
} Variable;

extern char other_mark;
#define OTHER ((PyObject *)&other_mark)

/* Where a variable of a function is. */
typedef struct {
    Py_ssize_t at; /* among the frame's slots */
    int is_cell;
    Py_ssize_t rank;   /* see `code_slot` */
    PyObject *name;    /* borrowed from the code */
    char *key;         /* as JSON, with its colon */
    size_t key_size;
} Slot;

typedef struct Activation Activation;

/* What an engine knows of a code object; it hangs on that (PEP 523's extra data), and ends with it. */
typedef struct {
    uint64_t engine; /* serial number */
    int references;
    long file; /* number of its source file; -1: it is not recorded */
    int is_function, is_module, is_lazy;
    Py_ssize_t slots;
    Slot *slot;
    Activation *pool;
    int pooled;
} Code;

/* A variable without a slot: of a module, a class body, `exec`. */
typedef struct {
    PyObject *name;
    char *key;
    size_t key_size;
    uint64_t seen; /* the last look that found it */
    Variable variable;
} Named;

typedef struct Engine Engine;

/* One function activation; it is its frame's `f_trace`. */
struct Activation {
    PyObject_HEAD
    Engine *engine; /* NULL once that has ended */
    Code *code;
    Activation *next, *previous; /* of those that live; `next` also in a pool */
    long number, depth;
    Stack *stack;          /* NULL while it is suspended */
    PyTypeObject *raised;  /* of its last EXCEPTION */
    int raised_at;         /* where it stood, if its last event was an EXCEPTION; else -1 */
    int left_at;           /* the line of its last RETURN */
    int is_dirty;          /* some variables are waiting */
    uint64_t bindings;
    Variable *variables; /* by slot */
    Named *named;
    size_t named_count, named_room, named_bound;
    uint32_t *index; /* of names, by their hash; open addressing, 0 is free */
    size_t index_size;
    uint64_t looks;
    char place[160]; /* what all lines of this call, or resume, have in common */
    int place_size;
};

/* A value that has to be looked at. */
typedef struct {
    PyObject *value; /* NULL: no longer bound */
    size_t at;       /* of its slot, or its name */
    int is_named;
} Item;

typedef struct {
    uint64_t rank;
    size_t start, end; /* in `changes` */
    Variable *variable;
} Change;

/* What one event needs while it is looked at: code of the program may run meanwhile, and be traced in another thread. */
typedef struct Scratch {
    struct Scratch *next;
    Item *items;
    size_t count, room, current;
    int holds; /* whether values from `current` on are held by strong references */
    Change *change;
    size_t changed, change_room;
    Bytes text, changes, line;
    Snapshot snapshot;
    int is_odd; /* the line has a lone surrogate */
    int failed;
} Scratch;

struct Engine {
    PyObject_HEAD
    Log *log;
    uint64_t serial;
    long long frames, bytes, skipped, missed;
    long long max_frames, max_bytes, max_depth;
    Py_ssize_t max_characters;
    char active, entered, keep_addresses, keeps_codes, expands;
    PyObject *hidden; /* names of module variables that are not shown */
    long activations;
    Activation *living;
    Scratch *scratch;
    PyFrameObject *watched; /* borrowed: it runs */
    PyObject *when_watched_returns;
};

/* A thread of the process, which events come from. */
typedef struct Thread {
    struct Thread *next;
    int is_used;
    Engine *engine; /* borrowed; an engine that ends leaves all threads */
    Stack *stack;
    PyFrameObject *frame; /* borrowed: of the event that is being recorded, while code of the program runs */
    int inside;           /* such code runs */
    int goes_on;          /* what such code raised is the program's */
    PyObject *steps;      /* to be called when the event is done */
} Thread;

/* state.c */
Code *code_known(Engine *engine, PyCodeObject *code);
Code *code_learn(Engine *engine, PyCodeObject *code, long file);
Activation *activation_new(Engine *engine, Code *code);
Activation *activation_of(Engine *engine, PyFrameObject *frame);
void activation_place(Activation *activation, Stack *stack);
void activation_forget_kinds(Activation *activation);
void variable_unbind(Variable *variable);
Named *activation_named(Activation *activation, PyObject *name);
Scratch *scratch_take(Engine *engine);
void scratch_give(Engine *engine, Scratch *scratch);
void scratch_free(Scratch *scratch);
int scratch_item(Scratch *scratch, PyObject *value, size_t at, int is_named);
int prepare_state(void);

/* engine.c */
PyObject *activation_call(Activation *activation, PyObject *args, PyObject *keywords);

/* look.c */
int look(Engine *engine, Thread *thread, Scratch *scratch, Activation *activation, PyFrameObject *frame);
int put_value(Engine *engine, Thread *thread, Scratch *scratch, PyObject *value);
int put_message(Engine *engine, Thread *thread, Scratch *scratch, PyObject *error);

#endif
