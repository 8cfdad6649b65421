/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Linux AIO: reads, writes and their vectors, fsync, events in order and with their data, an
 * eventfd that is told, limits and errors; a context ends for who waits, and with exec and
 * fork. RW: yes
 */
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "tests/guest/test.h"

static int setup(unsigned n, aio_context_t *c)
{
    return (int)syscall(SYS_io_setup, n, c);
}

static int destroy(aio_context_t c)
{
    return (int)syscall(SYS_io_destroy, c);
}

static long submit(aio_context_t c, long n, struct iocb **list)
{
    return syscall(SYS_io_submit, c, n, list);
}

static long submit_one(aio_context_t c, struct iocb *o)
{
    return submit(c, 1, &o);
}

static long events(aio_context_t c, long least, long most, struct io_event *e, long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    return syscall(SYS_io_getevents, c, least, most, e, ms < 0 ? NULL : &t);
}

static struct iocb op(int opcode, int fd, const void *buffer, size_t size, long offset)
{
    return (struct iocb){.aio_lio_opcode = (uint16_t)opcode,
                         .aio_fildes = (uint32_t)fd,
                         .aio_buf = (uint64_t)buffer,
                         .aio_nbytes = size,
                         .aio_offset = offset,
                         .aio_data = 1000 + (unsigned)opcode};
}

static void transfers(aio_context_t c, int fd)
{
    char in[64] = "";
    struct io_event e[4];
    struct iovec out[2] = {{"vector ", 7}, {"of two", 6}}, back[2] = {{in, 3}, {in + 10, 20}};
    struct iocb w = op(IOCB_CMD_PWRITE, fd, "hello", 5, 10),
                r = op(IOCB_CMD_PREAD, fd, in, 64, 8);
    expect(submit_one(c, &w), 1, 0);
    expect(events(c, 1, 4, e, -1), 1, 0);
    expect(e[0].res, 5, 0);
    expect(e[0].data, 1001, 0);
    expect(e[0].obj, (long)&w, 0);
    expect(submit_one(c, &r), 1, 0);
    expect(events(c, 1, 1, e, -1), 1, 0);
    expect(e[0].res, 7, 0);
    expect(memcmp(in, "\0\0hello", 7), 0, 0);
    w = op(IOCB_CMD_PWRITEV, fd, out, 2, 100);
    r = op(IOCB_CMD_PREADV, fd, back, 2, 100);
    expect(submit_one(c, &w), 1, 0);
    expect(events(c, 1, 1, e, -1), 1, 0);
    expect(e[0].res, 13, 0);
    expect(submit_one(c, &r), 1, 0);
    expect(events(c, 1, 1, e, -1), 1, 0);
    expect(e[0].res, 13, 0);
    expect(memcmp(in, "vec", 3) || memcmp(in + 10, "tor of two", 10), 0, 0);
    expect(lseek(fd, 0, SEEK_CUR), 0, 0);
    r = op(IOCB_CMD_PREAD, fd, in, 10, 5000);
    expect(submit_one(c, &r), 1, 0);
    expect(events(c, 1, 1, e, -1), 1, 0);
    expect(e[0].res, 0, 0);
}

static void many(aio_context_t c, int fd)
{
    struct iocb o[8], *list[8];
    struct io_event e[8];
    char data[8] = "abcdefgh", in[9] = "";
    for (int i = 0; i < 8; i++) {
        o[i] = op(IOCB_CMD_PWRITE, fd, data + i, 1, 200 + i);
        o[i].aio_data = (uint64_t)i;
        list[i] = &o[i];
    }
    expect(submit(c, 8, list), 8, 0);
    unsigned seen = 0;
    for (int n = 0; n < 8;) {
        long got = events(c, 1, 3, e, -1);
        expect(got >= 1 && got <= 3, 1, 0);
        for (int i = 0; i < got; i++)
            seen |= 1u << e[i].data;
        n += (int)(got > 0 ? got : 8);
    }
    expect(seen, 0xff, 0);
    expect(pread(fd, in, 8, 200), 8, 0);
    expect(strcmp(in, "abcdefgh"), 0, 0);
    expect(events(c, 0, 8, e, 0), 0, 0);
    expect(events(c, 1, 8, e, 20), 0, 0);
}

static void eventfd_is_told(aio_context_t c, int fd)
{
    int told = must(eventfd(0, EFD_NONBLOCK));
    uint64_t count = 0;
    struct io_event e[2];
    struct iocb w = op(IOCB_CMD_PWRITE, fd, "x", 1, 0);
    w.aio_flags = IOCB_FLAG_RESFD;
    w.aio_resfd = (uint32_t)told;
    expect(submit_one(c, &w), 1, 0);
    expect(submit_one(c, &w), 1, 0);
    expect(events(c, 2, 2, e, -1), 2, 0);
    struct pollfd p = {.fd = told, .events = POLLIN};
    expect(poll(&p, 1, 10000), 1, 0);
    expect(read(told, &count, sizeof(count)), 8, 0);
    expect(count, 2, 0);
    w.aio_resfd = (uint32_t)fd;
    expect(submit_one(c, &w), -1, EINVAL);
    w.aio_resfd = 999;
    expect(submit_one(c, &w), -1, EBADF);
    close(told);
}

static void refused(aio_context_t c, int fd)
{
    char in[8];
    struct io_event e[2];
    aio_context_t other = 0, none = 12345;
    struct iocb o = op(IOCB_CMD_PREAD, 999, in, 8, 0), *bad = (struct iocb *)8;
    expect(submit_one(c, &o), -1, EBADF);
    o = op(77, fd, in, 8, 0);
    expect(submit_one(c, &o), -1, EINVAL);
    o = op(IOCB_CMD_PREAD, fd, in, 8, -1);
    expect(submit_one(c, &o), -1, EINVAL);
    o = op(IOCB_CMD_PREAD, fd, in, 8, 0);
    o.aio_reserved2 = 1;
    expect(submit_one(c, &o), -1, EINVAL);
    expect(submit(c, 1, &bad), -1, EFAULT);
    expect(submit(c, -1, &bad), -1, EINVAL);
    expect(submit(c, 0, &bad), 0, 0);
    o = op(IOCB_CMD_PREAD, fd, in, 8, 0);
    struct iocb wrong = op(IOCB_CMD_PREAD, 999, in, 8, 0), *list[2] = {&o, &wrong};
    expect(submit(c, 2, list), 1, 0);
    expect(events(c, 1, 2, e, -1), 1, 0);
    expect(submit_one(none, &o), -1, EINVAL);
    expect(events(none, 0, 1, e, 0), -1, EINVAL);
    expect(events(c, 2, 1, e, 0), -1, EINVAL);
    expect(destroy(none), -1, EINVAL);
    expect(setup(0, &other), -1, EINVAL);
    other = 1;
    expect(setup(1, &other), -1, EINVAL);
    int reader = must(open("file", O_RDONLY));
    o = op(IOCB_CMD_PWRITE, reader, in, 1, 0);
    expect(submit_one(c, &o), -1, EBADF);
    close(reader);
}

static void *waits(void *arg)
{
    struct io_event e;
    aio_context_t c = *(aio_context_t *)arg;
    long r = events(c, 1, 1, &e, -1);
    return (void *)(r < 0 ? -(long)errno : r);
}

static void ends(void)
{
    aio_context_t c = 0;
    pthread_t t;
    void *result;
    struct io_event e;
    must(setup(4, &c));
    must(pthread_create(&t, NULL, waits, &c));
    expect(events(c, 1, 1, &e, 20), 0, 0);
    expect(destroy(c), 0, 0);
    must(pthread_join(t, &result));
    expect((long)result, -EINVAL, 0);
    expect(destroy(c), -1, EINVAL);
    c = 0;
    must(setup(4, &c));
    int status;
    pid_t child = must(fork());
    if (!child)
        _exit(events(c, 0, 1, &e, 0) != -1 || errno != EINVAL);
    must(waitpid(child, &status, 0));
    expect(status, 0, 0);
    expect(destroy(c), 0, 0);
}

int main(void)
{
    aio_context_t c = 0;
    test_dir();
    if (setup(64, &c) < 0 && errno == ENOSYS)
        return test_skip("this kernel is built without AIO");
    int fd = must(open("file", O_RDWR | O_CREAT, 0600));
    expect(c != 0, 1, 0);
    transfers(c, fd);
    many(c, fd);
    eventfd_is_told(c, fd);
    refused(c, fd);
    expect(destroy(c), 0, 0);
    ends();
    return test_end();
}
