/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads all of a verified file system whose image may be damaged. Whatever it gets is right or
 * an I/O error. `make FOLDER` writes the files; `read FOLDER ROUNDS` checks them: 0 all right,
 * 5 some errors, 99 something wrong. `run` calls code of many pages: 0, or a signal, never 98.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES 48

static int errors;
static sigjmp_buf at_bus;

static size_t size_of(unsigned file)
{
    return file % 5 == 0 ? file * 3 : 5000 + file * file * 37;
}

static void fill(unsigned file, char *p, size_t n)
{
    uint32_t x = file * 2654435761u + 1;

    for (size_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        p[i] = (char)(x >> 24);
    }
}

static void wrong(const char *what, unsigned file)
{
    printf("WRONG: %s of file %u: %s\n", what, file, strerror(errno));
    exit(99);
}

/* The only failure there may be. */
static int failed(const char *what, unsigned file)
{
    if (errno != EIO)
        wrong(what, file);
    return ++errors;
}

static void bus(int number)
{
    siglongjmp(at_bus, 1);
}

static void check_mapped(unsigned file, int fd, const char *want, size_t size)
{
    char *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);

    if (p == MAP_FAILED) {
        failed("mmap", file);
        return;
    }
    for (size_t at = 0; at < size; at += 4096) {
        size_t n = size - at < 4096 ? size - at : 4096;
        if (sigsetjmp(at_bus, 1))
            errors++;
        else if (memcmp(p + at, want + at, n))
            wrong("mapped bytes", file);
    }
    munmap(p, size);
}

static void check_file(unsigned file, char *want, char *got)
{
    char name[32], target[32] = "";
    size_t size = size_of(file);
    struct stat st;

    snprintf(name, sizeof(name), "f%u", file);
    fill(file, want, size);
    if (lstat(name, &st))
        failed("lstat", file);
    else if ((size_t)st.st_size != size || !S_ISREG(st.st_mode))
        wrong("size", file);
    int fd = open(name, O_RDONLY);
    if (fd < 0) {
        failed("open", file);
    } else {
        for (size_t at = 0; at < size; at += 4096) {
            size_t n = size - at < 4096 ? size - at : 4096;
            ssize_t r = pread(fd, got, n, (off_t)at);
            if (r < 0)
                failed("read", file);
            else if ((size_t)r != n || memcmp(got, want + at, n))
                wrong("bytes", file);
        }
        if (size)
            check_mapped(file, fd, want, size);
        close(fd);
    }
    snprintf(name, sizeof(name), "l%u", file);
    if (readlink(name, target, sizeof(target) - 1) < 0)
        failed("readlink", file);
    else if (target[0] != 'f' || (unsigned)atoi(target + 1) != file)
        wrong("link", file);
}

static void check_folder(void)
{
    DIR *dir = opendir(".");
    struct dirent *d;
    int count = 0;

    if (!dir) {
        failed("opendir", 0);
        return;
    }
    for (errno = 0; (d = readdir(dir)) != NULL; errno = 0)
        count += (d->d_name[0] == 'f') + (d->d_name[0] == 'l');
    if (errno)
        failed("readdir", 0);
    else if (count != 2 * FILES)
        wrong("number", (unsigned)count);
    closedir(dir);
}

static void make(void)
{
    char name[32], target[32], *p = malloc(1 << 20);

    for (unsigned file = 0; file < FILES; file++) {
        snprintf(name, sizeof(name), "f%u", file);
        snprintf(target, sizeof(target), "l%u", file);
        fill(file, p, size_of(file));
        int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        if (write(fd, p, size_of(file)) != (ssize_t)size_of(file) || symlink(name, target))
            exit(1);
        close(fd);
    }
}

/* Code of some pages: each function is padded to one, and knows its number. */
#define F(n)                                                                                   \
    __attribute__((noinline, aligned(4096))) static uint32_t f##n(uint32_t x)                  \
    {                                                                                          \
        __asm__ volatile(".fill 3000, 1, 0x90" ::: "memory");                                  \
        return (x ^ n) * 2654435761u + n;                                                      \
    }
#define TEN(d) F(d##0) F(d##1) F(d##2) F(d##3) F(d##4) F(d##5) F(d##6) F(d##7) F(d##8) F(d##9)
TEN(1)
TEN(2) TEN(3) TEN(4)
#undef F
#define F(n) x = f##n(x), y = (y ^ n) * 2654435761u + n;

    static int run(void)
{
    uint32_t x = 1, y = 1;

    TEN(1) TEN(2) TEN(3) TEN(4) return x == y ? 0 : 98;
}

int main(int argc, char **argv)
{
    char *want = malloc(1 << 20), *got = malloc(8192);

    if (argc > 1 && !strcmp(argv[1], "run"))
        return run();
    if (argc < 3)
        return 2;
    signal(SIGBUS, bus);
    if (chdir(argv[2]))
        return errno == EIO ? 5 : 99;
    if (!strcmp(argv[1], "make")) {
        make();
        return 0;
    }
    for (int round = argc > 3 ? atoi(argv[3]) : 1; round; round--) {
        for (unsigned file = 0; file < FILES; file++)
            check_file(file, want, got);
        check_folder();
    }
    printf("%d errors\n", errors);
    return errors ? 5 : 0;
}
