/* SPDX-License-Identifier: BSD-3-Clause */
/* A listener on 127.0.0.1, and connections to it. */
#pragma once

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int listening = -1;
static struct sockaddr_in address;

static void prepare_listener(void)
{
    socklen_t size = sizeof(address);
    listening = socket(AF_INET, SOCK_STREAM, 0);
    address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listening, (void *)&address, size) || listen(listening, 64) ||
        getsockname(listening, (void *)&address, &size))
        exit((perror("listen"), 1));
}

static int dial(void)
{
    int s = socket(AF_INET, SOCK_STREAM, 0);
    if (s < 0 || connect(s, (void *)&address, sizeof(address)))
        exit((perror("connect"), 1));
    return s;
}

static void tcp_connect(long count)
{
    while (count--) {
        int c = dial(), s = accept(listening, NULL, NULL);
        if (s < 0)
            exit((perror("accept"), 1));
        close(c);
        close(s);
    }
}
