/* SPDX-License-Identifier: BSD-3-Clause */
/* memfd_create and its seals. */
#include <linux/falloc.h>
#include <signal.h>
#include <sys/mman.h>

#include "tests/guest/test.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#define MFD_EXEC        16u
#endif
#define PAGE 4096L
#define RW   (PROT_READ | PROT_WRITE)

static int sealable(long size)
{
    int fd = must(memfd_create("sealed", MFD_ALLOW_SEALING));
    expect(fcntl(fd, F_GET_SEALS), 0, 0);
    expect(ftruncate(fd, size), 0, 0);
    return fd;
}

static void creation(void)
{
    char path[64], target[256] = "";
    expect(memfd_create("x", 0x4000), -1, EINVAL);
    expect(memfd_create("x", MFD_EXEC | MFD_NOEXEC_SEAL), -1, EINVAL);
    int fd = must(memfd_create("name", MFD_CLOEXEC));
    expect(fcntl(fd, F_GETFD), FD_CLOEXEC, 0);
    expect(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL, 0);
    expect(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1, EPERM);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    expect(readlink(path, target, sizeof(target) - 1), 21, 0);
    expect(strcmp(target, "/memfd:name (deleted)"), 0, 0);
    int ro = must(open(path, O_RDONLY));
    expect(fcntl(ro, F_ADD_SEALS, F_SEAL_WRITE), -1, EPERM);
    close(ro);
    close(fd);
    fd = must(open("/dev/null", O_RDWR));
    expect(fcntl(fd, F_GET_SEALS), -1, EINVAL);
    expect(fcntl(fd, F_ADD_SEALS, 0), -1, EINVAL);
    close(fd);
}

static void sizes(void)
{
    int fd = sealable(2 * PAGE);
    expect(fcntl(fd, F_ADD_SEALS, 0x100), -1, EINVAL);
    expect(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0, 0);
    expect(fcntl(fd, F_GET_SEALS), F_SEAL_GROW, 0);
    expect(ftruncate(fd, 3 * PAGE), -1, EPERM);
    expect(pwrite(fd, "x", 1, 2 * PAGE), -1, EPERM);
    expect(pwrite(fd, "x", 1, 2 * PAGE - 1), 1, 0);
    expect(fallocate(fd, 0, 0, 3 * PAGE), -1, EPERM);
    expect(ftruncate(fd, PAGE), 0, 0);
    expect(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0, 0);
    expect(ftruncate(fd, 0), -1, EPERM);
    expect(ftruncate(fd, PAGE), 0, 0);
    expect(fcntl(fd, F_GET_SEALS), F_SEAL_GROW | F_SEAL_SHRINK, 0);
    expect(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), 0, 0);
    expect(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1, EPERM);
    close(fd);
}

static void writing(void)
{
    int fd = sealable(2 * PAGE);
    char *w = must(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0));
    w[0] = 7;
    expect(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1, EBUSY);
    expect(munmap(w, PAGE), 0, 0);
    char *r = must(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
    expect(munmap(r, PAGE), 0, 0);
    char *p = must(mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0));
    expect(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0, 0);
    expect(pwrite(fd, "x", 1, 0), -1, EPERM);
    expect(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), -1, EPERM);
    expect((long)mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0), -1, EPERM);
    p[0] = 8;
    expect(munmap(p, PAGE), 0, 0);
    p = must(mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0));
    expect(p[0], 7, 0);
    p[0] = 9;
    expect(munmap(p, PAGE), 0, 0);
    close(fd);
}

static void future(void)
{
    int fd = sealable(PAGE);
    char *w = must(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0)), c = 0;
    expect(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0, 0);
    w[0] = 5;
    expect(pread(fd, &c, 1, 0), 1, 0);
    expect(c, 5, 0);
    expect(pwrite(fd, "x", 1, 0), -1, EPERM);
    expect((long)mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0), -1, EPERM);
    expect(munmap(w, PAGE), 0, 0);
    char *r = must(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
    expect(r[0], 5, 0);
    expect(mprotect(r, PAGE, RW), -1, EACCES);
    expect(munmap(r, PAGE), 0, 0);
    close(fd);
}

static void executing(void)
{
    int fd = memfd_create("plain", MFD_NOEXEC_SEAL);
    if (fd < 0)
        return; /* Linux before 6.3 */
    struct stat st;
    expect(fstat(fd, &st), 0, 0);
    expect(st.st_mode & 0777, 0666, 0);
    expect(fcntl(fd, F_GET_SEALS), F_SEAL_EXEC, 0);
    expect(fchmod(fd, 0777), -1, EPERM);
    expect(fchmod(fd, 0600), 0, 0);
    close(fd);
    fd = must(memfd_create("program", MFD_EXEC | MFD_ALLOW_SEALING));
    expect(fstat(fd, &st), 0, 0);
    expect(st.st_mode & 0777, 0777, 0);
    expect(ftruncate(fd, PAGE), 0, 0);
    expect(fcntl(fd, F_ADD_SEALS, F_SEAL_EXEC), 0, 0);
    expect(fcntl(fd, F_GET_SEALS),
           F_SEAL_EXEC | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_GROW | F_SEAL_SHRINK, 0);
    expect(fchmod(fd, 0600), -1, EPERM);
    close(fd);
}

int main(void)
{
    creation();
    sizes();
    writing();
    future();
    executing();
    return test_end();
}
