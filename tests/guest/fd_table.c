/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptors: dup, dup2, dup3, fcntl, lowest free number, limits.
 */
#include <sys/resource.h>
#include "tests/guest/test.h"

static int duplicates(void)
{
    char c;
    int fd = must(open("f", O_CREAT | O_RDWR, 0600));
    expect(write(fd, "abcdef", 6), 6, 0);
    int copy = must(dup(fd));
    expect(copy > fd, 1, 0);
    /* One offset for both. */
    expect(lseek(fd, 2, SEEK_SET), 2, 0);
    expect(read(copy, &c, 1), 1, 0);
    expect(c, 'c', 0);
    expect(lseek(fd, 0, SEEK_CUR), 3, 0);
    expect(close(fd), 0, 0);
    expect(read(copy, &c, 1), 1, 0);
    expect(dup(copy), fd, 0);
    expect(dup2(copy, 100), 100, 0);
    expect(dup2(copy, copy), copy, 0);
    expect(dup2(99, 99), -1, EBADF);
    expect(dup2(99, 98), -1, EBADF);
    expect(dup2(copy, -1), -1, EBADF);
    expect(dup3(copy, copy, 0), -1, EINVAL);
    expect(dup3(copy, 101, 0x100), -1, EINVAL);
    expect(dup3(copy, 101, O_CLOEXEC), 101, 0);
    expect(fcntl(101, F_GETFD), FD_CLOEXEC, 0);
    return copy;
}

static void controls(int copy)
{
    expect(fcntl(100, F_GETFD), 0, 0);
    expect(fcntl(100, F_SETFD, FD_CLOEXEC), 0, 0);
    expect(fcntl(100, F_GETFD), FD_CLOEXEC, 0);
    expect(fcntl(copy, F_GETFD), 0, 0);
    expect(fcntl(copy, F_DUPFD, 200), 200, 0);
    expect(fcntl(copy, F_DUPFD, 200), 201, 0);
    expect(fcntl(copy, F_DUPFD_CLOEXEC, 200), 202, 0);
    expect(fcntl(202, F_GETFD), FD_CLOEXEC, 0);
    expect(fcntl(copy, F_DUPFD, -1), -1, EINVAL);
    expect(fcntl(copy, F_GETFL) & (O_ACCMODE | O_APPEND), O_RDWR, 0);
    expect(fcntl(copy, F_SETFL, O_APPEND | O_NONBLOCK), 0, 0);
    expect(fcntl(200, F_GETFL) & (O_APPEND | O_NONBLOCK), O_APPEND | O_NONBLOCK, 0);
    expect(fcntl(copy, 9999), -1, EINVAL);
    expect(fcntl(999, F_GETFD), -1, EBADF);
    expect(close(-1), -1, EBADF);
    expect(close(1000000), -1, EBADF);

    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    expect(fcntl(copy, F_SETLK, &lock), 0, 0);
    lock.l_type = F_RDLCK;
    expect(fcntl(copy, F_GETLK, &lock), 0, 0);
    expect(lock.l_type, F_UNLCK, 0);
}

static void limits(int copy)
{
    struct rlimit limit;
    expect(getrlimit(RLIMIT_NOFILE, &limit), 0, 0);
    expect(limit.rlim_cur >= 256, 1, 0);
    limit.rlim_cur = 300;
    expect(setrlimit(RLIMIT_NOFILE, &limit), 0, 0);
    expect(dup2(copy, 300), -1, EBADF);
    expect(fcntl(copy, F_DUPFD, 300), -1, EINVAL);
    int last = -1, opened = 0;
    for (int i = 0; i < 400; i++) {
        int next = dup(copy);
        if (next < 0)
            break;
        opened++;
        last = next;
    }
    expect(last, 299, 0);
    expect(opened > 200, 1, 0);
    expect(dup(copy), -1, EMFILE);
    expect(open("f", O_RDONLY), -1, EMFILE);
    int pair[2];
    expect(pipe(pair), -1, EMFILE);
}

int main(void)
{
    test_dir();
    int copy = duplicates();
    controls(copy);
    limits(copy);
    return test_end();
}
