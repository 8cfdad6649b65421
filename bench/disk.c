/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files on a disk, timed: `disk NAME...` in the working directory prints "NAME nanoseconds" for
 * each, `disk` alone lists the names, in the order in which they need each other's files.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MIB   (1l << 20)
#define SIZE  (256 * MIB)
#define FILES 3000

static char buffer[MIB];
static volatile char sink;

static long now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000L + ts.tv_nsec;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t draw(void)
{
    static uint64_t state = 88172645463325252ull;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static int open_data(int flags)
{
    int fd = open("data", flags, 0600);
    if (fd < 0)
        die("data");
    return fd;
}

/* ---- contents; a function's result is what the time is divided by ---- */

static long write_all(long chunk, long size, int random, int flags)
{
    int fd = open_data(O_RDWR | O_CREAT | flags);
    for (long i = 0; i < size / chunk; i++) {
        long at = random ? (long)(draw() % (uint64_t)(SIZE / chunk)) : i;
        memcpy(buffer, &i, sizeof(i));
        if (pwrite(fd, buffer, (size_t)chunk, at * chunk) != chunk)
            die("pwrite");
    }
    if (fsync(fd))
        die("fsync");
    close(fd);
    return size / MIB;
}

static long write_128k(void)
{
    return write_all(128 << 10, SIZE, 0, O_TRUNC);
}

static long write_4k(void)
{
    return write_all(4 << 10, SIZE, 0, O_TRUNC);
}

static long write_random_4k(void)
{
    return write_all(4 << 10, SIZE / 4, 1, 0);
}

static long write_random_32k(void)
{
    return write_all(32 << 10, SIZE, 1, 0);
}

static long read_all(long chunk, long size, int random)
{
    int fd = open_data(O_RDONLY);
    for (long i = 0; i < size / chunk; i++) {
        long at = random ? (long)(draw() % (uint64_t)(SIZE / chunk)) : i;
        if (pread(fd, buffer, (size_t)chunk, at * chunk) != chunk)
            die("pread");
    }
    close(fd);
    return size / MIB;
}

static long read_128k(void)
{
    return read_all(128 << 10, SIZE, 0);
}

/* A large file of the image, for the first time: verified inside, in the machine's cache
 * outside. Run in the image's root. */
static long read_image(void)
{
    int fd = open("random", O_RDONLY);
    long size = 0, n;
    if (fd < 0)
        die("random");
    while ((n = read(fd, buffer, 128 << 10)) > 0)
        size += n;
    close(fd);
    return size / MIB ? size / MIB : 1;
}

/* Not in the enclave's cache; outside, the file is in the machine's all the time. */
static void drop_data(void)
{
    int fd = open_data(O_RDONLY);
    if (fsync(fd))
        die("fsync");
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

static void read_and_drop(void)
{
    (void)read_128k();
    if (getenv("BENCH_DROP"))
        drop_data();
}

static void write_before(void)
{
    (void)write_128k();
}

static long read_random_4k(void)
{
    return read_all(4 << 10, SIZE / 4, 1);
}

static long map_and_touch(void)
{
    int fd = open_data(O_RDONLY);
    char *p = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        die("mmap");
    for (long at = 0; at < SIZE; at += 4096)
        sink = p[at];
    munmap(p, SIZE);
    close(fd);
    return SIZE / MIB;
}

static long sync_4k(void)
{
    int fd = open_data(O_RDWR | O_CREAT);
    for (long i = 0; i < 200; i++) {
        if (pwrite(fd, &i, sizeof(i), (long)(draw() % 64) * 4096) != sizeof(i) || fsync(fd))
            die("fsync");
    }
    close(fd);
    return 200;
}

/* ---- names ---- */

static char *name_of(long i)
{
    static char name[32];
    snprintf(name, sizeof(name), "files/%ld", i);
    return name;
}

static long create_files(void)
{
    (void)!mkdir("files", 0700);
    for (long i = 0; i < FILES; i++) {
        int fd = open(name_of(i), O_WRONLY | O_CREAT, 0600);
        if (fd < 0 || write(fd, buffer, 1000) != 1000)
            die("create");
        close(fd);
    }
    return FILES;
}

static long stat_files(void)
{
    struct stat st;
    for (long i = 0; i < FILES; i++)
        if (stat(name_of(i), &st))
            die("stat");
    return FILES;
}

static long open_files(void)
{
    for (long i = 0; i < FILES; i++) {
        int fd = open(name_of(i), O_RDONLY);
        if (fd < 0)
            die("open");
        close(fd);
    }
    return FILES;
}

static long unlink_files(void)
{
    for (long i = 0; i < FILES; i++)
        if (unlink(name_of(i)))
            die("unlink");
    return FILES;
}

static const struct {
    const char *name;
    long (*run)(void);
    void (*prepare)(void); /* so that memory is there */
} all[] = {
    {"write-4K", write_4k, write_before},
    {"write-128K", write_128k, write_before},
    {"write-random-4K", write_random_4k, write_before},
    {"write-random-32K", write_random_32k, write_before},
    {"read-cold-128K", read_128k, read_and_drop},
    {"read-128K", read_128k, write_before},
    {"read-random-4K", read_random_4k, write_before},
    {"map+touch", map_and_touch, write_before},
    {"fsync", sync_4k, NULL},
    {"create", create_files, NULL},
    {"stat", stat_files, NULL},
    {"open+close", open_files, NULL},
    {"unlink", unlink_files, NULL},
};
#define COUNT (sizeof(all) / sizeof(all[0]))

/* The enclave's memory for as much: what the machine asks for a first touch is not meant. */
static void grow(void)
{
    int fd = memfd_create("grow", 0);
    for (long i = 0; fd >= 0 && i < SIZE / MIB; i++)
        (void)!write(fd, buffer, MIB);
    close(fd);
}

/* What needs an image; not in the list. */
static int of_image(const char *name)
{
    if (strcmp(name, "image-cold"))
        return 2;
    grow();
    long start = now_ns(), count = read_image();
    printf("disk-%s %ld\n", name, (now_ns() - start) / count);
    return 0;
}

int main(int argc, char **argv)
{
    memset(buffer, 'x', sizeof(buffer));
    for (size_t k = 0; argc == 1 && k < COUNT; k++)
        puts(all[k].name);
    for (int i = 1; i < argc; i++) {
        size_t k = 0;
        while (k < COUNT && strcmp(all[k].name, argv[i]))
            k++;
        if (k == COUNT)
            return of_image(argv[i]);
        if (all[k].prepare)
            all[k].prepare();
        long start = now_ns(), count = all[k].run();
        printf("disk-%s %ld\n", argv[i], (now_ns() - start) / count);
        fflush(stdout);
    }
    return 0;
}
