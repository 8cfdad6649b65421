/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A network that is interrupted: loaded into the runtime with LD_PRELOAD (and with
 * OCCLUM_RING=interp, so that these calls are made), it lets one call of FLAKY_ONE_IN on
 * sockets end with EINTR or EAGAIN, or move a part only. None of it is a program's error.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

static __thread unsigned long long state;
static unsigned long one_in = 16;

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("FLAKY_ONE_IN");
    if (text && strtoul(text, NULL, 10))
        one_in = strtoul(text, NULL, 10);
}

static unsigned long dice(unsigned long n)
{
    if (!state)
        state = (unsigned long long)time(NULL) * 2654435761u ^ (unsigned long)&state;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned long)(state % n);
}

/* 0: goes on, perhaps with less. */
static int spoilt(size_t *size)
{
    if (dice(one_in))
        return 0;
    switch (dice(3)) {
    case 0:
        errno = EINTR;
        return 1;
    case 1:
        errno = EAGAIN;
        return 1;
    default:
        if (size && *size > 1)
            *size = 1 + dice(*size);
        return 0;
    }
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t recv(int fd, void *data, size_t size, int flags)
{
    return spoilt(&size) ? -1 : REAL(recv)(fd, data, size, flags);
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
    return spoilt(&size) ? -1 : REAL(send)(fd, data, size, flags);
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
    return spoilt(NULL) ? -1 : REAL(recvmsg)(fd, m, flags);
}

int accept4(int fd, struct sockaddr *name, socklen_t *size, int flags)
{
    return spoilt(NULL) ? -1 : REAL(accept4)(fd, name, size, flags);
}
