/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large files, read and mapped in sequence by several threads while others truncate, overwrite,
 * unlink and drop them from memory: nobody sees a byte that was never there. RW: yes
 */
#include <pthread.h>
#include <sys/mman.h>

#include "tests/guest/test.h"

#define SIZE    (6l << 20)
#define CHUNK   (128l << 10)
#define THREADS 4

static unsigned char page[4096];

/* A page of version `v` says so in each word, and where it lies. */
static void make_page(long index, int version)
{
    for (int i = 0; i < 4096; i += 8)
        *(uint64_t *)(page + i) = (uint64_t)index << 16 | (uint64_t)version;
}

/* The oldest version that the page at `index` shows, or -1; a write and a read at the same time
 * may mix two. */
static int version_of(const void *at, long index)
{
    const uint64_t *p = at;
    int oldest = 0xffff;
    for (int i = 0; i < 512; i++) {
        if ((long)(p[i] >> 16) != index)
            return -1;
        oldest = (int)(p[i] & 0xffff) < oldest ? (int)(p[i] & 0xffff) : oldest;
    }
    return oldest;
}

static void write_all(int fd, int version)
{
    for (long i = 0; i < SIZE / 4096; i++) {
        make_page(i, version);
        if (pwrite(fd, page, 4096, i * 4096) != 4096)
            must(-1);
    }
}

static void drop(int fd)
{
    must(fsync(fd));
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

static long wrong_in(const char *data, long at, long size, int most)
{
    long wrong = 0;
    for (long i = 0; i < size; i += 4096) {
        int v = version_of(data + i, (at + i) / 4096);
        wrong += v < 1 || v > most;
    }
    return wrong;
}

static long read_through(int fd, long chunk, int most)
{
    static _Thread_local char buffer[CHUNK];
    long wrong = 0;
    for (long at = 0; at < SIZE; at += chunk) {
        ssize_t n = pread(fd, buffer, (size_t)chunk, at);
        wrong += n != chunk ? 1 : wrong_in(buffer, at, chunk, most);
    }
    return wrong;
}

static void test_cold(void)
{
    int fd = must(open("cold", O_RDWR | O_CREAT, 0600));
    write_all(fd, 1);
    drop(fd);
    expect(read_through(fd, CHUNK, 1), 0, 0);
    drop(fd);
    expect(read_through(fd, 4096, 1), 0, 0);
    drop(fd);
    char *p = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
    expect(p != MAP_FAILED, 1, 0);
    expect(wrong_in(p, 0, SIZE, 1), 0, 0);
    expect(munmap(p, SIZE), 0, 0);
    drop(fd);
    p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
    expect(p != MAP_FAILED, 1, 0);
    expect(wrong_in(p, 0, SIZE, 1), 0, 0);
    expect(munmap(p, SIZE), 0, 0);
    close(fd);
}

/* The last page's rest is zero, and what lies behind the end is not there. */
static void test_end_of_file(void)
{
    int fd = must(open("end", O_RDWR | O_CREAT, 0600));
    write_all(fd, 1);
    expect(ftruncate(fd, SIZE / 2 + 100), 0, 0);
    drop(fd);
    char *p = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
    expect(p != MAP_FAILED, 1, 0);
    expect(wrong_in(p, 0, SIZE / 2, 1), 0, 0);
    long rest = 0;
    for (long i = 100; i < 4096; i++)
        rest += p[SIZE / 2 + i] != 0;
    expect(rest, 0, 0);
    expect(p[SIZE / 2 + 99] != 0 || p[SIZE / 2 + 98] != 0 || p[SIZE / 2 + 97] != 0, 1, 0);
    munmap(p, SIZE);
    close(fd);
}

static struct {
    int fd, most;
    _Atomic int stop;
    _Atomic long wrong;
} shared;

static void *reader(void *arg)
{
    long chunk = arg ? CHUNK : 16384;
    while (!shared.stop)
        shared.wrong += read_through(shared.fd, chunk, shared.most);
    return NULL;
}

static void *dropper(void *arg)
{
    (void)arg;
    while (!shared.stop) {
        (void)posix_fadvise(shared.fd, 0, 0, POSIX_FADV_DONTNEED);
        usleep(1000);
    }
    return NULL;
}

/* What was read before a write must not come back after it. */
static void test_changing(void)
{
    pthread_t t[THREADS];
    shared.fd = must(open("changing", O_RDWR | O_CREAT, 0600));
    shared.most = 8;
    write_all(shared.fd, 1);
    drop(shared.fd);
    for (int i = 0; i < THREADS; i++)
        must(-pthread_create(&t[i], NULL, i ? reader : dropper, i == 1 ? NULL : &shared));
    for (int v = 2; v <= shared.most; v++) {
        write_all(shared.fd, v);
        must(fsync(shared.fd));
    }
    shared.stop = 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    expect(shared.wrong, 0, 0);
    drop(shared.fd);
    long old = 0;
    for (long i = 0; i < SIZE / 4096; i++) {
        must(pread(shared.fd, page, 4096, i * 4096));
        old += version_of(page, i) != shared.most;
    }
    expect(old, 0, 0);
    close(shared.fd);
}

/* Who reads ahead meets a file that is cut off, or gone. */
static void test_cut_off(void)
{
    for (int round = 0; round < 8; round++) {
        int fd = must(open("cut", O_RDWR | O_CREAT | O_TRUNC, 0600));
        write_all(fd, 1);
        drop(fd);
        char *buffer = malloc(SIZE / 2);
        expect(pread(fd, buffer, SIZE / 2, 0), SIZE / 2, 0);
        expect(wrong_in(buffer, 0, SIZE / 2, 1), 0, 0);
        if (round % 2) {
            expect(ftruncate(fd, SIZE / 2), 0, 0);
            expect(ftruncate(fd, SIZE), 0, 0);
            long other = 0;
            expect(pread(fd, buffer, SIZE / 2, SIZE / 2), SIZE / 2, 0);
            for (long i = 0; i < SIZE / 2; i++)
                other += buffer[i] != 0;
            expect(other, 0, 0);
        } else {
            expect(unlink("cut"), 0, 0);
        }
        free(buffer);
        close(fd);
    }
}

int main(void)
{
    test_dir();
    test_cold();
    test_end_of_file();
    test_changing();
    test_cut_off();
    return test_end();
}
