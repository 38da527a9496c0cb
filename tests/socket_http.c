/* Answers HTTP: socket_http ADDRESS. Prints where it listens, and serves until killed. */
#define VTS_IMPLEMENTATION
#include "vts_socket.h"

typedef struct visit {
    vts_co co;
    vts_socket socket;
    intptr_t n;
    char request[1024];
    size_t size;
} visit;

static vts_socket_loop net;
static vts_socket listener;
static vts_pool visits;

static vts_step visit_run(vts_co *co)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                 "Content-Length: 6\r\nConnection: close\r\n\r\nhello\n";
    visit *v = VTS_SELF(co, visit);

    VTS_ASYNC(co) {
        for (v->size = 0; v->size < sizeof v->request - 1; v->size += (size_t)v->n) {
            VTS_TRY(v->n, vts_socket_recv(&v->socket, v->request + v->size,
                                          sizeof v->request - 1 - v->size, 0, NULL));
            v->request[v->size + (size_t)v->n] = 0;
            if (v->n == 0 || strstr(v->request, "\r\n\r\n") != NULL) break;
        }
        VTS_TRY(v->n, vts_socket_send_all(&v->socket, answer, sizeof answer - 1, 0, NULL));
        VTS_TRY(v->n, vts_socket_disconnect(&v->socket, NULL));
    VTS_FINALLY();
        VTS_AWAIT(v->n, vts_socket_close(&v->socket));
    }
    return vts_co_finish(co, 0);
}

static vts_step serve_run(vts_co *co)
{
    static intptr_t descriptor;

    VTS_ASYNC(co) {
        for (;;) {
            visit *v;
            VTS_TRY(descriptor, vts_socket_accept(&listener, NULL, NULL));
            v = vts_co_rent(&visits, visit);
            if (vts_socket_adopt(&v->socket, &net, (int)descriptor) != VTS_OK) break;
            vts_valuetask_forget(vts_co_start(&v->co, visit_run));
        }
    }
    return vts_co_finish(co, -1);
}

int main(int argc, char **argv)
{
    static vts_co server;
    vts_pool_desc desc = vts_co_pool_desc(sizeof(visit));
    vts_address at;
    char text[64];

    if (argc != 2 || vts_address_parse(&at, argv[1]) != VTS_OK) return 2;
    if (vts_pool_init(&visits, &desc) != VTS_OK) return 1;
    if (vts_socket_loop_init(&net, NULL) != VTS_OK) return 1;
    if (vts_socket_open(&listener, &net, vts_address_family(&at), VTS_STREAM) != VTS_OK) return 1;
    if (vts_socket_bind(&listener, &at) != VTS_OK) return 1;
    if (vts_socket_listen(&listener, 0) != VTS_OK) return 1;
    vts_socket_local_address(&listener, &at);
    vts_address_format(&at, text, sizeof text);
    printf("%s\n", text);
    fflush(stdout);
    vts_valuetask_forget(vts_co_start(&server, serve_run));
    return vts_loop_run(&net.loop);
}
