/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A disk that fails: loaded into the runtime with LD_PRELOAD, it spoils the calls on the file
 * FAULTY_FILE. FAULTY=KIND:N, N from 1 on: the Nth call is spoilt, and with KIND+ all after it.
 *   eio, enospc   the call fails;   short   it moves half of what was asked
 *   slow          it takes a fiftieth of a second
 * FAULTY=count:0 spoils nothing. At the end FAULTY_COUNT gets the number of calls.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static char kind[16];
static unsigned long nth, calls;
static int for_ever;
static const char *file;

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("FAULTY");
    file = getenv("FAULTY_FILE");
    if (!file || !text || sscanf(text, "%15[a-z+]:%lu", kind, &nth) != 2)
        _exit(99);
    size_t n = strlen(kind);
    for_ever = kind[n - 1] == '+';
    if (for_ever)
        kind[n - 1] = 0;
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("FAULTY_COUNT");
    FILE *f = path ? fopen(path, "w") : NULL;
    if (!f)
        return;
    fprintf(f, "%lu\n", calls);
    fclose(f);
}

static int is_store(int fd)
{
    struct stat a, b;
    return !fstat(fd, &a) && !stat(file, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Is this call to be spoilt? */
static int spoils(int fd)
{
    if (!is_store(fd))
        return 0;
    unsigned long n = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
    return nth && (n == nth || (for_ever && n > nth));
}

/* -1: it fails; else the size that is moved. */
static ssize_t spoil(size_t size)
{
    struct timespec fiftieth = {0, 20000000};
    if (!strcmp(kind, "eio") || !strcmp(kind, "enospc")) {
        errno = kind[1] == 'i' ? EIO : ENOSPC;
        return -1;
    }
    if (!strcmp(kind, "slow"))
        nanosleep(&fiftieth, NULL);
    return (ssize_t)(strcmp(kind, "short") ? size : (size + 1) / 2);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define SPOIL(fd, size)                                                                        \
    do {                                                                                       \
        ssize_t moved = spoils(fd) ? spoil(size) : (ssize_t)(size);                            \
        if (moved < 0)                                                                         \
            return -1;                                                                         \
        size = (size_t)moved;                                                                  \
    } while (0)

ssize_t pread(int fd, void *data, size_t size, off_t at)
{
    SPOIL(fd, size);
    return REAL(pread)(fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    SPOIL(fd, size);
    return REAL(pwrite)(fd, data, size, at);
}

/* The runtime gives one vector. */
ssize_t preadv(int fd, const struct iovec *v, int count, off_t at)
{
    struct iovec one = *v;
    SPOIL(fd, one.iov_len);
    return REAL(preadv)(fd, count == 1 ? &one : v, count, at);
}

ssize_t preadv2(int fd, const struct iovec *v, int count, off_t at, int flags)
{
    struct iovec one = *v;
    SPOIL(fd, one.iov_len);
    return REAL(preadv2)(fd, count == 1 ? &one : v, count, at, flags);
}

ssize_t pwritev(int fd, const struct iovec *v, int count, off_t at)
{
    struct iovec one = *v;
    SPOIL(fd, one.iov_len);
    return REAL(pwritev)(fd, count == 1 ? &one : v, count, at);
}

int fsync(int fd)
{
    size_t size = 0;
    SPOIL(fd, size);
    return REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    size_t size = 0;
    SPOIL(fd, size);
    return REAL(fdatasync)(fd);
}

int fallocate(int fd, int mode, off_t at, off_t length)
{
    size_t size = 0;
    SPOIL(fd, size);
    return REAL(fallocate)(fd, mode, at, length);
}

int ftruncate(int fd, off_t length)
{
    size_t size = 0;
    SPOIL(fd, size);
    return REAL(ftruncate)(fd, length);
}
