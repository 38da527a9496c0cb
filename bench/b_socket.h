/* b_socket.h - what the echo servers beside b_socket.c share

   A server is called with what it is to be, listens on a port of the system's choice on
   loopback, and prints one line:

       port N own M    M: bytes of a connection that are the handler's, not the library's
       absent WHY      it cannot be that here

   It echoes until it is killed. b_socket_load.c starts the servers and measures them. */
#ifndef B_SOCKET_H
#define B_SOCKET_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define ECHO_BUFFER 128 /* what a handler reads into: more than a request has */

static inline int echo_listen(void)
{
    struct sockaddr_in address = {0};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener < 0 ||
        bind(listener, (const struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, 4096) < 0) {
        perror("echo_listen");
        exit(1);
    }
    return listener;
}

static inline void echo_announce(int listener, size_t own)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;

    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("port %u own %zu\n", (unsigned)ntohs(address.sin_port), own);
    fflush(stdout);
}

static inline int echo_accept(int listener)
{
    return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

#endif /* B_SOCKET_H */
