/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * synced write DIR [COUNT]: appends numbered records to a file, in odd sizes, with a new file
 * and a rename now and then, makes each durable, and only then prints its number. Ends after
 * COUNT records, else never.
 * synced check DIR: reads all of it back and prints the number of the last whole record.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_MAX 9000u

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static size_t record(unsigned n, char *out)
{
    size_t size = 16 + n * 2654435761u % (RECORD_MAX - 16);
    snprintf(out, 16, "%010u %4zu", n, size);
    memset(out + 15, 'a' + n % 26, size - 15);
    return size;
}

/* How many whole records there are, and where they end. */
static unsigned count(int fd, off_t *end)
{
    static char want[RECORD_MAX], got[RECORD_MAX];
    unsigned n = 0;
    *end = 0;
    for (;; n++) {
        size_t size = record(n, want);
        ssize_t r = pread(fd, got, size, *end);
        if (r < 0)
            die("reading the log");
        if ((size_t)r < size || memcmp(want, got, size))
            return n;
        *end += (off_t)size;
    }
}

static void beside(int dir, unsigned n)
{
    char name[32], final[32];
    snprintf(name, sizeof(name), "tmp-%u", n);
    snprintf(final, sizeof(final), "final-%u", n % 50);
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || dprintf(fd, "%u\n", n) < 0 || renameat(dir, name, dir, final))
        die("the file beside");
    close(fd);
}

static void check_beside(int dir, unsigned last)
{
    for (unsigned k = 0; k < 50; k++) {
        char name[32], text[32] = {0};
        snprintf(name, sizeof(name), "final-%u", k);
        int fd = openat(dir, name, O_RDONLY);
        unsigned newest = last >= 10 ? (last - 1) / 10 * 10 : 0;
        if (fd < 0)
            continue;
        if (read(fd, text, sizeof(text) - 1) <= 0 || (unsigned)atoi(text) % 50 != k ||
            (unsigned)atoi(text) > newest + 10) {
            fprintf(stderr, "%s holds '%s' after record %u\n", name, text, last);
            exit(1);
        }
        close(fd);
    }
}

int main(int argc, char **argv)
{
    static char data[RECORD_MAX];
    unsigned count_max = argc == 4 ? (unsigned)atoi(argv[3]) : -1u;
    int dir = argc >= 3 ? open(argv[2], O_RDONLY | O_DIRECTORY) : -1;
    int fd = dir < 0 ? -1 : openat(dir, "log", O_RDWR | O_CREAT, 0600);
    off_t end;
    if (fd < 0)
        die("opening the log");
    unsigned n = count(fd, &end);
    if (!strcmp(argv[1], "check")) {
        check_beside(dir, n);
        printf("%u\n", n);
        return 0;
    }
    for (; n < count_max; n++) {
        size_t size = record(n, data);
        if (pwrite(fd, data, size, end) != (ssize_t)size)
            die("writing");
        end += (off_t)size;
        if (n % 10 == 0)
            beside(dir, n);
        if (fsync(fd))
            die("fsync");
        printf("%u\n", n + 1);
        fflush(stdout);
    }
    return 0;
}
