/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two threads of one CPU: one asks for something and sleeps, the other never does. The sleeper
 * gets what it waits for all the same: the time, and what a connection brings.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <time.h>
#include "tests/guest/test.h"

#define ROUNDS   40
#define PATIENCE 30 /* seconds */
#define REQUEST  "what time is it?"

static int server_fd = -1;
static volatile int woke, spins;

static int one_cpu(void)
{
    cpu_set_t all, one;

    must(sched_getaffinity(0, sizeof(all), &all));
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++) {
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    }
    return sched_setaffinity(0, sizeof(one), &one);
}

static time_t seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static void *sleeper(void *arg)
{
    struct timespec ts = {.tv_nsec = 20000000};

    (void)arg;
    spins = 1; /* the other one spins from now on */
    expect(nanosleep(&ts, NULL), 0, 0);
    woke = 1;
    return NULL;
}

static void test_time(void)
{
    pthread_t t;
    time_t end = seconds() + PATIENCE;

    woke = spins = 0;
    expect(pthread_create(&t, NULL, sleeper, NULL), 0, 0);
    while (!spins)
        sched_yield();
    while (!woke && seconds() < end)
        ;
    expect(woke, 1, 0);
    pthread_join(t, NULL);
}

/* Looks for what came again and again, as a program does that polls. */
static void *server(void *arg)
{
    time_t end = seconds() + PATIENCE;
    char buffer[64];
    int answered = 0;

    (void)arg;
    spins = 1;
    while (answered < ROUNDS && seconds() < end) {
        ssize_t n = recv(server_fd, buffer, sizeof(buffer), MSG_DONTWAIT);
        if (n > 0 && send(server_fd, buffer, (size_t)n, MSG_DONTWAIT) == n)
            answered++;
    }
    expect(answered, ROUNDS, 0);
    shutdown(server_fd, SHUT_RDWR);
    return NULL;
}

static int connect_both(int *client)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(at);
    int fd = must(socket(AF_INET, SOCK_STREAM, 0));

    must(bind(fd, (struct sockaddr *)&at, sizeof(at)));
    must(listen(fd, 1));
    must(getsockname(fd, (struct sockaddr *)&at, &size));
    *client = must(socket(AF_INET, SOCK_STREAM, 0));
    /* Over the host's network, where there is another way. */
    must(setsockopt(*client, SOL_SOCKET, SO_DONTROUTE, &(int){1}, sizeof(int)));
    must(connect(*client, (struct sockaddr *)&at, sizeof(at)));
    int accepted = must(accept(fd, NULL, NULL));
    close(fd);
    return accepted;
}

static void test_connection(void)
{
    pthread_t t;
    char buffer[64];
    int client;

    server_fd = connect_both(&client);
    spins = 0;
    expect(pthread_create(&t, NULL, server, NULL), 0, 0);
    while (!spins)
        sched_yield();
    for (int i = 0; i < ROUNDS; i++) {
        expect(send(client, REQUEST, sizeof(REQUEST), 0), sizeof(REQUEST), 0);
        expect(recv(client, buffer, sizeof(buffer), 0), sizeof(REQUEST), 0);
    }
    pthread_join(t, NULL);
    close(client);
    close(server_fd);
}

int main(void)
{
    expect(one_cpu(), 0, 0);
    test_time();
    test_connection();
    return test_end();
}
