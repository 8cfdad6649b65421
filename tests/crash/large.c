/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * large write DIR COUNT: COUNT small files, a thousand to a directory, and a sparse file of 200
 * GiB. large check DIR COUNT: all of it is there. large remove DIR COUNT: and none afterwards.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define A_DIRECTORY 1000l
#define SPARSE      (200l << 30)
#define PLACES      5

static char path[4096], text[128];

static void need(int right, const char *what)
{
    if (right)
        return;
    fprintf(stderr, "%s: ", path);
    perror(what);
    exit(1);
}

static const char *name_of(const char *dir, long i)
{
    snprintf(path, sizeof(path), "%s/d%ld/f%ld", dir, i / A_DIRECTORY, i);
    return path;
}

static int text_of(long i)
{
    return snprintf(text, sizeof(text), "file %ld, which is small: %*ld\n", i, (int)(i % 70),
                    i);
}

static void write_files(const char *dir, long count)
{
    for (long i = 0; i < count; i++) {
        if (i % A_DIRECTORY == 0) {
            snprintf(path, sizeof(path), "%s/d%ld", dir, i / A_DIRECTORY);
            need(!mkdir(path, 0700), "mkdir");
        }
        int fd = open(name_of(dir, i), O_WRONLY | O_CREAT | O_EXCL, 0600), n = text_of(i);
        need(fd >= 0, "create");
        need(write(fd, text, (size_t)n) == n, "write");
        close(fd);
    }
}

static void check_files(const char *dir, long count)
{
    char got[sizeof(text) + 1];
    for (long i = 0; i < count; i++) {
        int fd = open(name_of(dir, i), O_RDONLY), n = text_of(i);
        need(fd >= 0, "open");
        need(read(fd, got, sizeof(got)) == n && !memcmp(got, text, (size_t)n), "contents");
        close(fd);
    }
}

static void remove_files(const char *dir, long count)
{
    for (long i = 0; i < count; i++) {
        need(!unlink(name_of(dir, i)), "unlink");
        if (i % A_DIRECTORY != A_DIRECTORY - 1 && i != count - 1)
            continue;
        snprintf(path, sizeof(path), "%s/d%ld", dir, i / A_DIRECTORY);
        need(!rmdir(path), "rmdir");
    }
}

/* ---- the sparse one ---- */

static int open_sparse(const char *dir, int flags)
{
    snprintf(path, sizeof(path), "%s/sparse", dir);
    int fd = open(path, flags, 0600);
    need(fd >= 0, "open");
    return fd;
}

static long place(int i)
{
    return SPARSE / PLACES * (i + 1) - 4096;
}

static void write_sparse(const char *dir)
{
    int fd = open_sparse(dir, O_RDWR | O_CREAT);
    need(!ftruncate(fd, SPARSE), "ftruncate");
    for (int i = 0; i < PLACES; i++) {
        int n = text_of(i);
        need(pwrite(fd, text, (size_t)n, place(i)) == n, "pwrite");
    }
    need(!fsync(fd), "fsync");
    close(fd);
}

static void check_sparse(const char *dir)
{
    int fd = open_sparse(dir, O_RDONLY);
    struct stat st;
    char got[sizeof(text)];
    need(!fstat(fd, &st) && st.st_size == SPARSE, "size");
    need(st.st_blocks <= PLACES * 64, "blocks");
    for (int i = 0; i < PLACES; i++) {
        int n = text_of(i);
        need(pread(fd, got, (size_t)n, place(i)) == n && !memcmp(got, text, (size_t)n), "data");
        need(pread(fd, got, 8, place(i) - 100000) == 8 && !memcmp(got, "\0\0\0\0\0\0\0", 8),
             "hole");
        long from = i ? place(i - 1) + 4096 : 0;
        need(lseek(fd, from, SEEK_DATA) == place(i), "SEEK_DATA");
    }
    close(fd);
}

int main(int argc, char **argv)
{
    long count = argc == 4 ? atol(argv[3]) : 0;
    if (count && !strcmp(argv[1], "write")) {
        write_files(argv[2], count);
        write_sparse(argv[2]);
    } else if (count && !strcmp(argv[1], "check")) {
        check_files(argv[2], count);
        check_sparse(argv[2]);
    } else if (count && !strcmp(argv[1], "remove")) {
        remove_files(argv[2], count);
        snprintf(path, sizeof(path), "%s/sparse", argv[2]);
        need(!unlink(path), "unlink");
    } else {
        return 2;
    }
    return 0;
}
