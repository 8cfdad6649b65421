/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Less usual calls on files: sendfile, copy_file_range, fallocate, flock, O_TMPFILE's refusal
 * or success, O_PATH, close_range, /dev/shm, a read-only root. RW: yes
 */
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include "tests/guest/test.h"

static void copying(void)
{
    static char data[100000], back[100000];
    off_t offset = 10;
    int p[2];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 31 >> 3);
    int from = must(open("from", O_CREAT | O_RDWR, 0600));
    int to = must(open("to", O_CREAT | O_RDWR, 0600));
    expect(write(from, data, sizeof(data)), sizeof(data), 0);
    expect(sendfile(to, from, &offset, 50000), 50000, 0);
    expect(offset, 50010, 0);
    expect(lseek(from, 0, SEEK_CUR), sizeof(data), 0);
    expect(pread(to, back, sizeof(back), 0), 50000, 0);
    expect(memcmp(back, data + 10, 50000), 0, 0);
    expect(pipe(p), 0, 0);
    offset = 0;
    expect(sendfile(p[1], from, &offset, 4000), 4000, 0);
    expect(read(p[0], back, 5000), 4000, 0);
    expect(memcmp(back, data, 4000), 0, 0);
    expect(sendfile(to, -1, NULL, 1), -1, EBADF);
    off_t in = 0, out = 0;
    long got = syscall(SYS_copy_file_range, from, &in, to, &out, sizeof(data), 0);
    if (got != -1 || errno != EXDEV) {
        expect(got > 0 && in == got && out == got, 1, 0);
        expect(pread(to, back, (size_t)got, 0), got, 0);
        expect(memcmp(back, data, (size_t)got), 0, 0);
    }
    expect(close(from), 0, 0);
    expect(close(to), 0, 0);
}

static void allocating(void)
{
    struct stat st;
    int fd = must(open("a", O_CREAT | O_RDWR, 0600));
    int r = posix_fallocate(fd, 0, 10000);
    expect(r, 0, 0);
    expect(fstat(fd, &st), 0, 0);
    expect(st.st_size, 10000, 0);
    expect(posix_fallocate(fd, 0, -1), EINVAL, 0);
    expect(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL), 0, 0);
    expect(close(fd), 0, 0);
}

static void locking(void)
{
    int a = must(open("l", O_CREAT | O_RDWR, 0600));
    int b = must(open("l", O_RDWR));
    expect(flock(a, LOCK_EX | LOCK_NB), 0, 0);
    expect(flock(b, LOCK_EX | LOCK_NB), -1, EAGAIN);
    expect(flock(b, LOCK_SH | LOCK_NB), -1, EAGAIN);
    expect(flock(a, LOCK_UN), 0, 0);
    expect(flock(b, LOCK_SH | LOCK_NB), 0, 0);
    expect(flock(a, LOCK_SH | LOCK_NB), 0, 0);
    expect(flock(a, LOCK_EX | LOCK_NB), -1, EAGAIN);
    expect(close(b), 0, 0);
    expect(flock(a, LOCK_EX | LOCK_NB), 0, 0);
    expect(flock(a, 0), -1, EINVAL);
    expect(close(a), 0, 0);
}

static void descriptors(void)
{
    char c;
    struct stat st;
    test_write_file("p", "x");
    int fd = must(open("p", O_PATH));
    expect(read(fd, &c, 1), -1, EBADF);
    expect(fstat(fd, &st), 0, 0);
    expect(close(fd), 0, 0);
    for (int i = 100; i < 110; i++)
        expect(dup2(0, i), i, 0);
    expect(syscall(SYS_close_range, 101, 108, 0), 0, 0);
    expect(fcntl(100, F_GETFD), 0, 0);
    expect(fcntl(101, F_GETFD), -1, EBADF);
    expect(fcntl(108, F_GETFD), -1, EBADF);
    expect(fcntl(109, F_GETFD), 0, 0);
    expect(syscall(SYS_close_range, 5, 4, 0), -1, EINVAL);
    expect(close(100), 0, 0);
    expect(close(109), 0, 0);
}

static void shared_memory(void)
{
    int fd = must(shm_open("/guest-test", O_CREAT | O_RDWR, 0600));
    expect(ftruncate(fd, 8192), 0, 0);
    char *p = must(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    char *q = must(mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0));
    p[5000] = 9;
    expect(q[5000], 9, 0);
    expect(shm_unlink("/guest-test"), 0, 0);
    expect(shm_unlink("/guest-test"), -1, ENOENT);
    p[5001] = 8;
    expect(q[5001], 8, 0);
}

int main(void)
{
    test_dir();
    copying();
    allocating();
    locking();
    descriptors();
    shared_memory();
    return test_end();
}
