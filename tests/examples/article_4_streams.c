/* article_4_streams.c - after the three steps: streams, and what they allocate

   The four methods for which value tasks were made, each with its count of allocations:

     MemoryStream.ReadAsync   is always done when it returns: the handle is the result
     ReadNextByteAsync        takes from a buffer; a coroutine refills it now and then
     MoveNextAsync            words of a text, a generator, read with VTS_FOREACH
     WriteAsync               fills a buffer; a coroutine sends it when it is full

   Whatever waits does so in a frame or a source that is part of its object and used again
   each time. So nothing is ever allocated, at once or later. */
#define VTS_IMPLEMENTATION
#include "vts.h"

#include "allocations.h"

#include <stdio.h>
#include <string.h>

// ---- the wire: carries up to 8 bytes at a time, later ----------------------------

typedef struct wire {
    vts_source source; /* of the operation that waits                                 */
    vts_token token;
    bool waiting;
    char text[512];    /* what arrives, or has been sent                              */
    size_t at, length;
} wire;

static vts_valuetask wire_begin(wire *w)
{
    if (vts_source_reset(&w->source, &w->token) != VTS_OK) {
        return vts_valuetask_from_error(VTS_E_BUSY);
    }
    w->waiting = true;
    return vts_valuetask_of(&w->source, w->token);
}

/* In the place of hardware: the operation that waits is done. */
static bool wire_works(wire *w)
{
    if (!w->waiting) return false;
    w->waiting = false;
    vts_source_set_result(&w->source, w->token, 0);
    return true;
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

// ---- MemoryStream.ReadAsync ------------------------------------------------------

typedef struct memory_stream {
    const char *bytes;
    size_t at, length;
} memory_stream;

/* Nothing to wait for: the number of bytes is in the handle. */
static vts_valuetask memory_read_async(memory_stream *m, char *to, size_t size)
{
    size_t count = smaller(size, m->length - m->at);

    memcpy(to, m->bytes + m->at, count);
    m->at += count;
    return vts_valuetask_from_result((intptr_t)count);
}

// ---- ReadNextByteAsync -----------------------------------------------------------

typedef struct byte_reader {
    vts_co refill; /* the frame of the slow path                                      */
    wire *from;
    char buffer[8];
    size_t at, length;
    intptr_t rc;
    unsigned at_once, later;
} byte_reader;

#define END_OF_TEXT 0

static intptr_t buffered_byte(byte_reader *r)
{
    return r->at < r->length ? r->buffer[r->at++] : END_OF_TEXT;
}

static vts_step refill_run(vts_co *co)
{
    byte_reader *r = VTS_SELF(co, byte_reader);

    VTS_ASYNC(co) {
        VTS_TRY(r->rc, wire_begin(r->from));
        r->at = 0;
        r->length = smaller(sizeof r->buffer, r->from->length - r->from->at);
        memcpy(r->buffer, r->from->text + r->from->at, r->length);
        r->from->at += r->length;
        r->rc = buffered_byte(r);
    }
    return vts_co_finish(co, r->rc);
}

/* A byte, or END_OF_TEXT. The fast path makes no coroutine, not even a source. */
static vts_valuetask read_next_byte_async(byte_reader *r)
{
    if (r->at < r->length) {
        r->at_once++;
        return vts_valuetask_from_result(buffered_byte(r));
    }
    r->later++;
    return vts_co_start(&r->refill, refill_run);
}

// ---- MoveNextAsync ---------------------------------------------------------------

/* The words of what a byte reader gives. */
typedef struct words {
    vts_generator generator;
    byte_reader bytes;
    char word[32];
    size_t length;
    intptr_t byte;
} words;

static vts_step words_run(vts_co *co)
{
    words *w = VTS_SELF(co, words);

    VTS_ASYNC(co) {
        do {
            VTS_TRY(w->byte, read_next_byte_async(&w->bytes));
            if (w->byte != ' ' && w->byte != END_OF_TEXT) {
                if (w->length < sizeof w->word - 1) w->word[w->length++] = (char)w->byte;
            } else if (w->length > 0) {
                w->word[w->length] = '\0';
                VTS_YIELD_RETURN(w->word);
                w->length = 0;
            }
        } while (w->byte != END_OF_TEXT);
    }
    return vts_co_finish(co, w->byte);
}

// ---- WriteAsync ------------------------------------------------------------------

typedef struct writer {
    vts_co flush; /* the frame of the slow path                                       */
    wire *to;
    char buffer[8];
    size_t length;
    intptr_t rc;
    unsigned at_once, later;
} writer;

static vts_step flush_run(vts_co *co)
{
    writer *w = VTS_SELF(co, writer);

    VTS_ASYNC(co) {
        VTS_TRY(w->rc, wire_begin(w->to));
        memcpy(w->to->text + w->to->length, w->buffer, w->length);
        w->to->length += w->length;
        w->length = 0;
    }
    return vts_co_finish(co, w->rc);
}

static vts_valuetask flush_async(writer *w) { return vts_co_start(&w->flush, flush_run); }

static vts_valuetask write_async(writer *w, char byte)
{
    w->buffer[w->length++] = byte;
    if (w->length == sizeof w->buffer) {
        w->later++;
        return flush_async(w);
    }
    w->at_once++;
    return vts_valuetask_from_result(0);
}

// ---- the stories: each is a coroutine, and main in the place of hardware ---------

static const char poem[] = "the fog comes on little cat feet it sits looking over harbor "
                           "and city on silent haunches and then moves on";

typedef struct story {
    vts_co co;
    memory_stream memory;
    words words;
    writer writer;
    wire in, out;
    char buffer[16];
    vts_stream *stream;
    intptr_t rc, count;
    size_t at;
} story;

static vts_step read_memory(vts_co *co)
{
    story *s = VTS_SELF(co, story);

    VTS_ASYNC(co) {
        do {
            VTS_TRY(s->rc, memory_read_async(&s->memory, s->buffer, sizeof s->buffer));
            s->count += s->rc;
        } while (s->rc > 0);
    }
    return vts_co_finish(co, s->rc < 0 ? s->rc : s->count);
}

static vts_step read_bytes(vts_co *co)
{
    story *s = VTS_SELF(co, story);

    VTS_ASYNC(co) {
        for (;;) {
            VTS_TRY(s->rc, read_next_byte_async(&s->words.bytes));
            if (s->rc == END_OF_TEXT) break;
            s->count++;
        }
    }
    return vts_co_finish(co, s->rc < 0 ? s->rc : s->count);
}

static vts_step read_words(vts_co *co)
{
    story *s = VTS_SELF(co, story);

    VTS_ASYNC(co) {
        s->stream = vts_generator_start(&s->words.generator, words_run);
        VTS_FOREACH(s->rc, s->stream, vts_cancellation_none()) {
            s->count += strlen(vts_stream_current(s->stream)) > 0;
        }
    VTS_FINALLY();
        VTS_AWAIT(s->rc, vts_stream_dispose(s->stream));
    }
    return vts_co_finish(co, s->rc < 0 ? s->rc : s->count);
}

static vts_step write_bytes(vts_co *co)
{
    story *s = VTS_SELF(co, story);

    VTS_ASYNC(co) {
        for (s->at = 0; s->at < sizeof poem - 1; s->at++) {
            VTS_TRY(s->rc, write_async(&s->writer, poem[s->at]));
            s->count++;
        }
        VTS_TRY(s->rc, flush_async(&s->writer));
    }
    return vts_co_finish(co, s->rc < 0 ? s->rc : s->count);
}

static int wrong;

static void tell(story *s, const char *method, vts_step (*run)(vts_co *), int expected,
                 const unsigned *at_once, const unsigned *later)
{
    unsigned long before, allocated;
    intptr_t result = 0;
    vts_valuetask task;
    int error;

    s->count = 0;
    s->in.at = 0;
    before = allocations();
    task = vts_co_start(&s->co, run);
    while (wire_works(&s->in) || wire_works(&s->out)) {}
    error = vts_valuetask_get_result(task, &result);
    allocated = allocations() - before;

    printf("%-24s %3d results", method, (int)result);
    if (at_once != NULL) printf(", %3u at once, %2u awaited", *at_once, *later);
    printf(", %lu allocations%s\n", allocated, COUNTS_ALLOCATIONS ? "" : " (not counted)");
    if (error != VTS_OK || result != expected || allocated != 0) wrong++;
}

int main(void)
{
    static story s;
    byte_reader *bytes = &s.words.bytes;

    s.memory.bytes = poem;
    s.memory.length = sizeof poem - 1;
    bytes->from = &s.in;
    s.writer.to = &s.out;
    memcpy(s.in.text, poem, sizeof poem - 1);
    s.in.length = sizeof poem - 1;

    tell(&s, "MemoryStream.ReadAsync", read_memory, sizeof poem - 1, NULL, NULL);
    tell(&s, "ReadNextByteAsync", read_bytes, sizeof poem - 1, &bytes->at_once,
         &bytes->later);
    bytes->at_once = bytes->later = 0;
    tell(&s, "MoveNextAsync", read_words, 21, &bytes->at_once, &bytes->later);
    tell(&s, "WriteAsync", write_bytes, sizeof poem - 1, &s.writer.at_once,
         &s.writer.later);
    if (s.out.length != s.in.length) wrong++;
    if (memcmp(s.out.text, s.in.text, s.in.length) != 0) wrong++;
    return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
