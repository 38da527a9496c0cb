/* socket_chat.c - a chat of 100 clients, line by line

   Every line reaches every other client. Each client has a queue of a fixed size in the
   server; one that does not read fills its own, is sent away, and nobody waits for it.
   The clients run in the same program and check that each of them hears everything that
   the others say, in order, and say something more when they have; one more never reads.

   Teaches vts_netstream: VTS_FOREACH over the lines that come in, lines that go out
   through a buffer, and a flush when there is nothing more to say for now. */
#define VTS_IMPLEMENTATION
#include "vts_socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLIENTS 100
#define LINES 16
#define LINE_SIZE 128
#define QUEUE 32768 /* more than two lines of everybody                              */

static vts_socket_loop net;

// ---- the server: a member for each connection ------------------------------------

typedef struct member {
    vts_co reader, writer; /* two coroutines                                          */
    vts_socket socket;
    vts_netstream stream;
    vts_stream *lines;
    char in[LINE_SIZE], out[4096];
    char queue[QUEUE]; /* what is to be written                                       */
    size_t queued, writing;
    bool present, writes;
    intptr_t r, w;
} member;

static struct {
    vts_co co;
    vts_socket listener;
    vts_address address;
    intptr_t descriptor;
    member members[CLIENTS + 1];
    int joined, lines, sent_away;
} server;

static member *member_of_writer(vts_co *co)
{
    return (member *)(void *)((char *)co - offsetof(member, writer));
}

/* Begins when something is queued, ends when nothing is. What is queued meanwhile comes
   behind it. */
static vts_step writer_run(vts_co *co)
{
    member *m = member_of_writer(co);

    VTS_ASYNC(co) {
        while (m->queued > 0) {
            m->writing = m->queued;
            VTS_TRY(m->w, vts_netstream_write(&m->stream, m->queue, m->writing, NULL));
            m->queued -= m->writing;
            memmove(m->queue, m->queue + m->writing, m->queued);
            if (m->queued == 0) VTS_TRY(m->w, vts_netstream_flush(&m->stream, NULL));
        }
    VTS_FINALLY();
        m->writes = false;
    }
    return vts_co_finish(co, m->w);
}

/* Its reader finds the connection closed, and ends. */
static void member_is_sent_away(member *m)
{
    server.sent_away++;
    m->present = false;
    vts_valuetask_forget(vts_socket_close(&m->socket));
}

/* Never waits. */
static void member_hears(member *m, const char *line, size_t size)
{
    if (!m->present) return;
    if (size + 1 > QUEUE - m->queued) {
        member_is_sent_away(m);
        return;
    }
    memcpy(m->queue + m->queued, line, size);
    m->queued += size;
    m->queue[m->queued++] = '\n';
    if (m->writes) return;
    m->writes = true;
    vts_valuetask_forget(vts_co_start(&m->writer, writer_run));
}

/* from: who says it; NULL: the server. */
static void everybody_hears(const member *from, const char *line, size_t size)
{
    for (member *m = server.members; m < server.members + server.joined; m++) {
        if (m != from) member_hears(m, line, size);
    }
}

static vts_step reader_run(vts_co *co)
{
    member *m = VTS_SELF(co, member);

    VTS_ASYNC(co) {
        VTS_FOREACH(m->r, m->lines, vts_cancellation_none()) {
            const vts_buffer *line = vts_stream_current(m->lines);
            server.lines++;
            everybody_hears(m, line->data, line->size);
        }
        m->present = false;
        if (vts_socket_is_open(&m->socket)) VTS_AWAIT(m->r, vts_socket_close(&m->socket));
    }
    return vts_co_finish(co, 0);
}

/* A small buffer in the kernel: what is not read stays in the queue, where it is seen. */
static void member_joins(member *m, int descriptor)
{
    if (vts_socket_adopt(&m->socket, &net, descriptor) != VTS_OK) abort();
    vts_socket_set_option(&m->socket, VTS_OPTION_NO_DELAY, 1);
    vts_socket_set_option(&m->socket, VTS_OPTION_SEND_BUFFER, 16384);
    vts_netstream_init(&m->stream, &m->socket, m->in, sizeof m->in, m->out, sizeof m->out);
    m->lines = vts_netstream_lines(&m->stream);
    m->present = true;
    vts_valuetask_forget(vts_co_start(&m->reader, reader_run));
}

static vts_step server_run(vts_co *co)
{
    static const char welcome[] = "everybody is here";

    VTS_ASYNC(co) {
        while (server.joined < CLIENTS + 1) {
            VTS_TRY(server.descriptor, vts_socket_accept(&server.listener, NULL, NULL));
            member_joins(&server.members[server.joined++], (int)server.descriptor);
        }
        everybody_hears(NULL, welcome, sizeof welcome - 1);
    VTS_FINALLY();
        VTS_AWAIT(server.descriptor, vts_socket_close(&server.listener));
    }
    return vts_co_finish(co, server.descriptor);
}

static void server_opens(void)
{
    if (vts_socket_loop_init(&net, NULL) != VTS_OK ||
        vts_address_parse(&server.address, "127.0.0.1:0") != VTS_OK ||
        vts_socket_open(&server.listener, &net, VTS_IPV4, VTS_STREAM) != VTS_OK ||
        vts_socket_bind(&server.listener, &server.address) != VTS_OK ||
        vts_socket_listen(&server.listener, 0) != VTS_OK ||
        vts_socket_local_address(&server.listener, &server.address) != VTS_OK) {
        abort();
    }
}

// ---- the clients -----------------------------------------------------------------

typedef struct client {
    vts_co co;
    vts_socket socket;
    vts_netstream stream;
    vts_valuetask task;
    char in[LINE_SIZE], out[1024], text[LINE_SIZE];
    int number, said, heard, round;
    int heard_of[CLIENTS]; /* lines of each                                           */
    vts_buffer line;
    intptr_t n;
} client;

static client clients[CLIENTS], sleeper;
static int wrong;

static size_t client_text(client *c)
{
    return (size_t)snprintf(c->text, sizeof c->text,
                            "client %d says line %d, which is as long as lines of a chat "
                            "usually are", c->number, c->said);
}

/* The next line of somebody else. */
static void client_hears(client *c)
{
    int number, line;

    memcpy(c->text, c->line.data, c->line.size);
    c->text[c->line.size] = '\0';
    if (sscanf(c->text, "client %d says line %d,", &number, &line) != 2 || number < 0 ||
        number >= CLIENTS || number == c->number || line != c->heard_of[number]++) {
        wrong++;
    }
    c->heard++;
}

static vts_step client_run(vts_co *co)
{
    client *c = VTS_SELF(co, client);

    VTS_ASYNC(co) {
        VTS_TRY(c->n, vts_socket_connect(&c->socket, &server.address, NULL));
        vts_netstream_init(&c->stream, &c->socket, c->in, sizeof c->in, c->out,
                           sizeof c->out);
        VTS_TRY(c->n, vts_netstream_read_line(&c->stream, &c->line, NULL));
        for (c->said = 0; c->said < LINES; c->said++) {
            VTS_TRY(c->n, vts_netstream_write_line(&c->stream, c->text, client_text(c), NULL));
            VTS_TRY(c->n, vts_netstream_flush(&c->stream, NULL));
            for (c->round = 0; c->round < CLIENTS - 1; c->round++) {
                VTS_TRY(c->n, vts_netstream_read_line(&c->stream, &c->line, NULL));
                if (c->n == 0) VTS_LEAVE();
                client_hears(c);
            }
        }
    VTS_FINALLY();
        VTS_AWAIT(c->n, vts_socket_close(&c->socket));
    }
    return vts_co_finish(co, c->heard);
}

static vts_step sleeper_run(vts_co *co)
{
    VTS_ASYNC(co) {
        vts_socket_set_option(&sleeper.socket, VTS_OPTION_RECEIVE_BUFFER, 4096);
        VTS_TRY(sleeper.n, vts_socket_connect(&sleeper.socket, &server.address, NULL));
    }
    return vts_co_finish(co, sleeper.n);
}

static void client_begins(client *c, vts_step (*run)(vts_co *))
{
    if (vts_socket_open(&c->socket, &net, VTS_IPV4, VTS_STREAM) != VTS_OK) abort();
    c->task = vts_co_start(&c->co, run);
}

static int client_ends(client *c)
{
    intptr_t result = 0;
    int error;

    vts_loop_run_until(&net.loop, c->task, VTS_NEVER);
    error = vts_valuetask_get_result(c->task, &result);
    return error < 0 ? error : (int)result;
}

int main(void)
{
    vts_valuetask serving;
    int heard = 0;

    server_opens();
    serving = vts_co_start(&server.co, server_run);
    client_begins(&sleeper, sleeper_run);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].number = i;
        client_begins(&clients[i], client_run);
    }
    for (int i = 0; i < CLIENTS; i++) heard += client_ends(&clients[i]);
    if (client_ends(&sleeper) != 0) wrong++;
    vts_valuetask_forget(vts_socket_close(&sleeper.socket));
    vts_loop_run_until(&net.loop, serving, VTS_NEVER);
    if (vts_valuetask_get_result(serving, NULL) != VTS_OK) wrong++;
    while (vts_socket_loop_destroy(&net) == VTS_E_BUSY) {
        vts_loop_run_once(&net.loop, VTS_NEVER); /* the server's ends of them         */
    }
    printf("%d clients said %d lines and heard %d; %d that did not read was sent away\n",
           CLIENTS, server.lines, heard, server.sent_away);
    return wrong == 0 && server.lines == CLIENTS * LINES &&
                   heard == CLIENTS * (CLIENTS - 1) * LINES && server.sent_away == 1
               ? EXIT_SUCCESS
               : EXIT_FAILURE;
}
