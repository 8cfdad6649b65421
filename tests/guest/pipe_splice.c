/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * splice and tee: between pipes, files and sockets, waiting and not; nothing is lost where the
 * other side takes only a part.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "tests/guest/test.h"

static char block[1 << 18], got[1 << 20];

static unsigned char pattern(size_t i)
{
    return (unsigned char)(i * 7 + i / 253);
}

static void refused(void)
{
    int a[2], b[2], f = must(memfd_create("f", 0));
    loff_t at = 0;
    must(pipe(a));
    must(pipe(b));
    expect(splice(f, NULL, f, NULL, 10, 0), -1, EINVAL);
    expect(splice(a[0], NULL, a[1], NULL, 10, 0), -1, EINVAL);
    expect(splice(a[1], NULL, b[1], NULL, 10, 0), -1, EBADF);
    expect(splice(a[0], NULL, b[0], NULL, 10, 0), -1, EBADF);
    expect(splice(a[0], &at, b[1], NULL, 10, 0), -1, ESPIPE);
    expect(splice(f, NULL, b[1], &at, 10, 0), -1, ESPIPE);
    expect(splice(a[0], NULL, b[1], NULL, 10, 1 << 10), -1, EINVAL);
    expect(splice(-1, NULL, b[1], NULL, 10, 0), -1, EBADF);
    expect(splice(a[0], NULL, b[1], NULL, 10, SPLICE_F_NONBLOCK), -1, EAGAIN);
    expect(splice(a[0], NULL, f, NULL, 10, SPLICE_F_NONBLOCK), -1, EAGAIN);
    expect(splice(f, NULL, b[1], NULL, 10, 0), 0, 0); /* its end */
    expect(tee(a[0], f, 10, 0), -1, EINVAL);
    expect(tee(f, b[1], 10, 0), -1, EINVAL);
    expect(tee(a[0], a[1], 10, 0), -1, EINVAL);
    expect(tee(a[0], b[1], 10, SPLICE_F_NONBLOCK), -1, EAGAIN);
    close(a[1]);
    expect(splice(a[0], NULL, b[1], NULL, 10, 0), 0, 0);
    expect(tee(a[0], b[1], 10, 0), 0, 0);
    close(b[0]);
    signal(SIGPIPE, SIG_IGN);
    expect(write(f, "data", 4), 4, 0);
    expect(splice(f, &at, b[1], NULL, 4, 0), -1, EPIPE);
    expect(at, 0, 0);
    close(a[0]);
    close(b[1]);
    close(f);
}

static void pipes(void)
{
    int a[2], b[2];
    char text[16] = "";
    must(pipe(a));
    must(pipe(b));
    expect(write(a[1], "abcdefgh", 8), 8, 0);
    expect(tee(a[0], b[1], 5, 0), 5, 0);
    expect(read(b[0], text, 16), 5, 0);
    expect(memcmp(text, "abcde", 5), 0, 0);
    expect(splice(a[0], NULL, b[1], NULL, 3, 0), 3, 0);
    expect(splice(a[0], NULL, b[1], NULL, 100, 0), 5, 0);
    expect(read(b[0], text, 16), 8, 0);
    expect(memcmp(text, "abcdefgh", 8), 0, 0);
    /* A full one takes no more, and what was to go there stays. */
    expect(fcntl(b[1], F_SETFL, O_NONBLOCK), 0, 0);
    size_t full = 0;
    for (ssize_t n; (n = write(b[1], block, 4096)) > 0;)
        full += (size_t)n;
    expect(write(a[1], "stays", 5), 5, 0);
    expect(splice(a[0], NULL, b[1], NULL, 5, 0), -1, EAGAIN);
    expect(tee(a[0], b[1], 5, 0), -1, EAGAIN);
    expect(read(a[0], text, 16), 5, 0);
    expect(memcmp(text, "stays", 5), 0, 0);
    while (full) {
        ssize_t n = read(b[0], got, full);
        if (n <= 0)
            break;
        full -= (size_t)n;
    }
    expect(full, 0, 0);
    for (int i = 0; i < 2; i++) {
        close(a[i]);
        close(b[i]);
    }
}

static void files(void)
{
    int p[2], f = must(memfd_create("f", 0));
    loff_t at = 5;
    char text[16] = "";
    must(pipe(p));
    expect(write(f, "0123456789", 10), 10, 0);
    expect(splice(f, &at, p[1], NULL, 3, 0), 3, 0);
    expect(at, 8, 0);
    expect(lseek(f, 0, SEEK_CUR), 10, 0);
    at = 20;
    expect(splice(p[0], NULL, f, &at, 3, 0), 3, 0);
    expect(at, 23, 0);
    expect(pread(f, text, 3, 20), 3, 0);
    expect(memcmp(text, "567", 3), 0, 0);
    expect(fcntl(f, F_SETFL, O_APPEND), 0, 0);
    expect(write(p[1], "x", 1), 1, 0);
    expect(splice(p[0], NULL, f, NULL, 1, 0), -1, EINVAL);
    expect(read(p[0], text, 16), 1, 0);
    close(p[0]);
    close(p[1]);
    close(f);
}

static void wait_for(int fd, short events)
{
    struct pollfd p = {fd, events, 0};
    expect(poll(&p, 1, 20000), 1, 0);
}

static int sink;

static void *drain(void *arg)
{
    size_t done = 0;
    ssize_t n;
    while (done < sizeof(got) && (n = read(sink, got + done, 7777)) > 0)
        done += (size_t)n;
    return (void *)done;
}

/* A pipe between two sockets that do not wait, whose buffers are small: every byte arrives. */
static void relay(void)
{
    int in[2], out[2], p[2], small = 8192;
    size_t sent = 0, moved = 0, in_pipe = 0;
    pthread_t thread;
    void *drained = NULL;
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, in));
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, out));
    must(pipe2(p, O_NONBLOCK));
    must(fcntl(p[1], F_SETPIPE_SZ, 4096));
    must(setsockopt(out[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)));
    must(fcntl(in[0], F_SETFL, O_NONBLOCK));
    must(fcntl(in[1], F_SETFL, O_NONBLOCK));
    must(fcntl(out[0], F_SETFL, O_NONBLOCK));
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (char)pattern(i);
    sink = out[1];
    expect(pthread_create(&thread, NULL, drain, NULL), 0, 0);
    while (moved < sizeof(block)) {
        ssize_t n = sent < sizeof(block) ? write(in[0], block + sent, sizeof(block) - sent) : 0;
        sent += n > 0 ? (size_t)n : 0;
        n = splice(in[1], NULL, p[1], NULL, 65536, SPLICE_F_NONBLOCK);
        in_pipe += n > 0 ? (size_t)n : 0;
        n = splice(p[0], NULL, out[0], NULL, 65536, SPLICE_F_NONBLOCK);
        if (n > 0) {
            moved += (size_t)n;
            in_pipe -= (size_t)n;
        } else if (in_pipe) {
            int e = errno;
            expect(e, EAGAIN, 0);
            wait_for(out[0], POLLOUT);
        }
    }
    expect(moved, sent, 0);
    close(out[0]);
    pthread_join(thread, &drained);
    expect((size_t)drained, sizeof(block), 0);
    expect(memcmp(block, got, sizeof(block)), 0, 0);
    close(out[1]);
    for (int i = 0; i < 2; i++) {
        close(in[i]);
        close(p[i]);
    }
}

static int slow[2];

static void *feed(void *arg)
{
    for (int i = 0; i < 1000; i++)
        if (write(slow[1], block + i * 100, 100) != 100)
            return NULL;
    close(slow[1]);
    return arg;
}

/* Without the flag it waits for bytes, for room, and for the end. */
static void waits(void)
{
    int p[2];
    size_t done = 0;
    ssize_t n;
    pthread_t writer, reader;
    void *drained = NULL;
    must(pipe(slow));
    must(pipe(p));
    must(fcntl(p[1], F_SETPIPE_SZ, 4096));
    sink = p[0];
    expect(pthread_create(&reader, NULL, drain, NULL), 0, 0);
    expect(pthread_create(&writer, NULL, feed, NULL), 0, 0);
    while ((n = splice(slow[0], NULL, p[1], NULL, 3333, 0)) > 0)
        done += (size_t)n;
    expect(n, 0, 0);
    expect(done, 100000, 0);
    close(p[1]);
    pthread_join(writer, NULL);
    pthread_join(reader, &drained);
    expect((size_t)drained, 100000, 0);
    expect(memcmp(block, got, 100000), 0, 0);
    close(slow[0]);
    close(p[0]);
}

int main(void)
{
    refused();
    pipes();
    files();
    relay();
    waits();
    return test_end();
}
