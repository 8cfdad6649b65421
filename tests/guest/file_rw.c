/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * open, read, write, seek, vectors, append, truncate, holes. RW: yes
 */
#include <sys/uio.h>
#include "tests/guest/test.h"

static void opening(void)
{
    expect(open("none", O_RDONLY), -1, ENOENT);
    expect(open("", O_RDONLY), -1, ENOENT);
    expect(open("a", O_CREAT | O_EXCL | O_WRONLY, 0644) >= 0, 1, 0);
    expect(open("a", O_CREAT | O_EXCL | O_WRONLY, 0644), -1, EEXIST);
    expect(open("a/b", O_RDONLY), -1, ENOTDIR);
    expect(open("none/b", O_CREAT | O_WRONLY, 0644), -1, ENOENT);
    expect(open("a", O_RDONLY | O_DIRECTORY), -1, ENOTDIR);
    expect(open(".", O_WRONLY), -1, EISDIR);
    expect(open("a/", O_RDONLY), -1, ENOTDIR);
    char name[300];
    memset(name, 'n', sizeof(name));
    name[299] = 0;
    expect(open(name, O_RDONLY), -1, ENAMETOOLONG);
    char *path = malloc(5000);
    memset(path, '/', 5000);
    path[4999] = 0;
    expect(open(path, O_RDONLY), -1, ENAMETOOLONG);
    free(path);
}

static void reading(void)
{
    char text[16] = "";
    test_write_file("r", "0123456789");
    int fd = must(open("r", O_RDONLY));
    expect(read(fd, text, 4), 4, 0);
    expect(lseek(fd, 0, SEEK_CUR), 4, 0);
    expect(pread(fd, text, 4, 8), 2, 0);
    expect(lseek(fd, 0, SEEK_CUR), 4, 0);
    expect(lseek(fd, -2, SEEK_END), 8, 0);
    expect(read(fd, text, 16), 2, 0);
    expect(read(fd, text, 16), 0, 0);
    expect(read(fd, text, 0), 0, 0);
    expect(lseek(fd, -1, SEEK_SET), -1, EINVAL);
    expect(lseek(fd, 0, 99), -1, EINVAL);
    expect(lseek(fd, 1000, SEEK_SET), 1000, 0);
    expect(read(fd, text, 1), 0, 0);
    expect(pread(fd, text, 1, -1), -1, EINVAL);
    expect(write(fd, "x", 1), -1, EBADF);
    expect(ftruncate(fd, 0), -1, EINVAL);
    expect(close(fd), 0, 0);
    expect(close(fd), -1, EBADF);
    expect(read(fd, text, 1), -1, EBADF);
    fd = must(open(".", O_RDONLY));
    expect(read(fd, text, 1), -1, EISDIR);
    expect(close(fd), 0, 0);
}

static void writing(void)
{
    char text[32] = "";
    struct stat st;
    int fd = must(open("w", O_CREAT | O_RDWR | O_APPEND, 0600));
    expect(write(fd, "abc", 3), 3, 0);
    expect(lseek(fd, 0, SEEK_SET), 0, 0);
    expect(write(fd, "def", 3), 3, 0);
    expect(pread(fd, text, 32, 0), 6, 0);
    expect(memcmp(text, "abcdef", 6), 0, 0);
    expect(close(fd), 0, 0);
    fd = must(open("w", O_RDWR | O_TRUNC));
    expect(fstat(fd, &st), 0, 0);
    expect(st.st_size, 0, 0);
    expect(pwrite(fd, "end", 3, 100000), 3, 0);
    expect(fstat(fd, &st), 0, 0);
    expect(st.st_size, 100003, 0);
    memset(text, 1, sizeof(text));
    expect(pread(fd, text, 4, 50000), 4, 0);
    expect(text[0] | text[3], 0, 0);
    expect(ftruncate(fd, 100001), 0, 0);
    expect(ftruncate(fd, 100003), 0, 0);
    expect(pread(fd, text, 8, 100000), 3, 0);
    expect(memcmp(text, "e\0", 3), 0, 0);
    expect(ftruncate(fd, -1), -1, EINVAL);
    expect(fsync(fd), 0, 0);
    expect(fdatasync(fd), 0, 0);
    expect(close(fd), 0, 0);
    expect(truncate("w", 5), 0, 0);
    expect(stat("w", &st), 0, 0);
    expect(st.st_size, 5, 0);
    expect(truncate("none", 5), -1, ENOENT);
    expect(truncate(".", 5), -1, EISDIR);
}

static void vectors(void)
{
    char a[3], b[5] = "";
    struct iovec out[3] = {{"ab", 2}, {"", 0}, {"cdefg", 5}};
    struct iovec in[2] = {{a, 3}, {b, 5}};
    int fd = must(open("v", O_CREAT | O_RDWR, 0600));
    expect(writev(fd, out, 3), 7, 0);
    expect(lseek(fd, 0, SEEK_SET), 0, 0);
    expect(readv(fd, in, 2), 7, 0);
    expect(memcmp(a, "abc", 3) || memcmp(b, "defg", 5), 0, 0);
    expect(preadv(fd, in, 2, 2), 5, 0);
    expect(memcmp(a, "cde", 3), 0, 0);
    expect(pwritev(fd, out, 1, 5), 2, 0);
    expect(pread(fd, a, 3, 5), 2, 0);
    expect(memcmp(a, "ab", 2), 0, 0);
    expect(writev(fd, out, -1), -1, EINVAL);
    expect(writev(fd, out, 1025), -1, EINVAL);
    expect(writev(fd, out, 0), 0, 0);
    expect(close(fd), 0, 0);
}

static void large(void)
{
    size_t size = 8 << 20;
    char *data = malloc(size), *back = malloc(size);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i ^ i >> 8 ^ i >> 16);
    int fd = must(open("large", O_CREAT | O_RDWR, 0600));
    expect(write(fd, data, size), size, 0);
    expect(pread(fd, back, size, 0), size, 0);
    expect(memcmp(data, back, size), 0, 0);
    for (size_t at = 1; at < size; at += 999983) {
        expect(pread(fd, back, 5000, at), at + 5000 > size ? size - at : 5000, 0);
        expect(memcmp(data + at, back, at + 5000 > size ? size - at : 5000), 0, 0);
    }
    expect(close(fd), 0, 0);
    free(data);
    free(back);
}

int main(void)
{
    test_dir();
    opening();
    reading();
    writing();
    vectors();
    large();
    return test_end();
}
