/* Reading lines that the recorder wrote: the parts of a frame, in the order in which they stand there. */

#ifndef CURSOR_H
#define CURSOR_H

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

/* A JSON string with its quotes. */
static inline int
take_string(Cursor *cursor, Part *part)
{
    const uint64_t ones = 0x0101010101010101ULL, highs = 0x8080808080808080ULL;
    const char *start = cursor->at, *at = start, *end = cursor->end;
    if (at == end || *at != '"') {
        return 0;
    }
    for (at++; at < end; at++) {
        while (end - at >= 8) { /* eight at a time, as long as none of them is a quote, a backslash or a control */
            uint64_t word;
            memcpy(&word, at, 8);
            uint64_t quotes = word ^ (ones * '"'), slashes = word ^ (ones * '\\');
            if ((((quotes - ones) & ~quotes) | ((slashes - ones) & ~slashes) | ((word - ones * 0x20) & ~word)) & highs) {
                break;
            }
            at += 8;
        }
        if (at == end || *at == '"') {
            break;
        }
        if ((unsigned char)*at < 0x20 || (*at == '\\' && (++at == end || (unsigned char)*at < 0x20))) {
            return 0;
        }
    }
    if (at >= end) {
        return 0;
    }
    cursor->at = at + 1;
    *part = (Part){start, (size_t)(cursor->at - start)};
    return 1;
}

static inline int
take_number(Cursor *cursor, Part *part)
{
    const char *start = cursor->at;
    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9') {
        cursor->at++;
    }
    *part = (Part){start, (size_t)(cursor->at - start)};
    return part->size != 0;
}

/* A value; what is left out stays NULL. */
typedef struct {
    Part text, kind, size, clipped;
} Value;

static inline int
take_value(Cursor *cursor, Value *value)
{
    *value = (Value){0};
    return TAKE(cursor, "{\"text\":") && take_string(cursor, &value->text) &&
           (!TAKE(cursor, ",\"type\":") || take_string(cursor, &value->kind)) &&
           (!TAKE(cursor, ",\"size\":") || take_number(cursor, &value->size)) &&
           (!TAKE(cursor, ",\"clipped\":") || take_number(cursor, &value->clipped)) && TAKE(cursor, "}");
}

/* What every frame has, up to the number of its file. */
typedef struct {
    Part head; /* up to its depth */
    Part event, line, activation, depth, thread, file;
} Place;

static inline int
take_place(Cursor *cursor, Place *place)
{
    const char *start = cursor->at;
    *place = (Place){0};
    if (!TAKE(cursor, "{\"event\":\"")) {
        return 0;
    }
    place->event.data = cursor->at;
    while (cursor->at < cursor->end && *cursor->at >= 'a' && *cursor->at <= 'z') {
        cursor->at++;
    }
    place->event.size = (size_t)(cursor->at - place->event.data);
    if (place->event.size == 0 || !TAKE(cursor, "\",\"line\":") || !take_number(cursor, &place->line) ||
        !TAKE(cursor, ",\"activation\":") || !take_number(cursor, &place->activation) ||
        !TAKE(cursor, ",\"depth\":") || !take_number(cursor, &place->depth)) {
        return 0;
    }
    place->head = (Part){start, (size_t)(cursor->at - start)};
    return (!TAKE(cursor, ",\"thread\":") || take_number(cursor, &place->thread)) &&
           (!TAKE(cursor, ",\"file\":") || take_number(cursor, &place->file));
}

#endif
