/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Code that is made while the program runs, with system calls in it: written over, moved,
 * unmapped and mapped again, run by several threads while it is called for the first time.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "tests/guest/test.h"

#define PAGE 4096L
#define RWX  (PROT_READ | PROT_WRITE | PROT_EXEC)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static long call(const void *code)
{
    long (*function)(void);
    memcpy(&function, &code, sizeof(code));
    return function();
}

/* mov $number, %eax; syscall; ret */
static size_t emit(unsigned char *at, unsigned number)
{
    static const unsigned char tail[] = {0x0f, 0x05, 0xc3};
    at[0] = 0xb8;
    memcpy(at + 1, &number, 4);
    memcpy(at + 5, tail, sizeof(tail));
    return 5 + sizeof(tail);
}

static void rewriting(void)
{
    unsigned char *p = must(mmap(NULL, PAGE, RWX, ANON, -1, 0));
    for (int i = 0; i < 50; i++) {
        emit(p, SYS_getpid);
        for (int j = 0; j < 5; j++)
            expect(call(p), getpid(), 0);
        emit(p, SYS_getppid);
        for (int j = 0; j < 5; j++)
            expect(call(p), getppid(), 0);
    }
    /* At every distance from the page's end, and across it. */
    unsigned char *q = must(mmap(NULL, 2 * PAGE, RWX, ANON, -1, 0));
    for (int shift = 1; shift < 16; shift++) {
        emit(q + PAGE - shift, SYS_getpid);
        for (int j = 0; j < 3; j++)
            expect(call(q + PAGE - shift), getpid(), 0);
    }
    expect(munmap(q + PAGE, PAGE), 0, 0);
    size_t size = emit(q, SYS_getpid);
    memmove(q + PAGE - size, q, size);
    for (int j = 0; j < 3; j++)
        expect(call(q + PAGE - size), getpid(), 0);
    expect(munmap(p, PAGE), 0, 0);
    expect(munmap(q, PAGE), 0, 0);
}

/* As a just-in-time compiler does that never has pages writable and executable at once. */
static void protecting(void)
{
    unsigned char *p = must(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, ANON, -1, 0));
    for (int i = 0; i < 20; i++) {
        expect(mprotect(p, PAGE, PROT_READ | PROT_WRITE), 0, 0);
        emit(p, i % 2 ? SYS_getpid : SYS_getppid);
        expect(mprotect(p, PAGE, PROT_READ | PROT_EXEC), 0, 0);
        for (int j = 0; j < 3; j++)
            expect(call(p), i % 2 ? getpid() : getppid(), 0);
    }
    /* Moved: the same bytes at another place. */
    unsigned char *q = must(mmap(NULL, 4 * PAGE, PROT_NONE, ANON, -1, 0));
    q = must(mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q));
    expect(call(q), getpid(), 0);
    expect(munmap(q, 4 * PAGE), 0, 0);
    /* Mapped anew where patched code was. */
    for (int i = 0; i < 20; i++) {
        p = must(mmap(q, PAGE, RWX, ANON | MAP_FIXED, -1, 0));
        memset(p, 0x90, 32);
        emit(p + i, SYS_getpid);
        expect(call(p), getpid(), 0);
        expect(call(p), getpid(), 0);
        expect(munmap(p, PAGE), 0, 0);
    }
}

static void from_file(void)
{
    unsigned char code[8];
    test_dir();
    int fd = must(open("code", O_CREAT | O_RDWR, 0700));
    emit(code, SYS_getpid);
    expect(write(fd, code, 8), 8, 0);
    unsigned char *p = must(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0));
    for (int i = 0; i < 3; i++)
        expect(call(p), getpid(), 0);
    expect(munmap(p, PAGE), 0, 0);
    /* Whatever was done to the mapping, the file is as it was. */
    unsigned char back[8];
    expect(pread(fd, back, 8, 0), 8, 0);
    expect(memcmp(code, back, 8), 0, 0);
    expect(close(fd), 0, 0);
}

static unsigned char *volatile shared;
static volatile int wrong;

static void *run_shared(void *barrier)
{
    for (int round = 0; round < 100; round++) {
        pthread_barrier_wait(barrier);
        for (int i = 0; i < 20; i++)
            if (call(shared) != getpid())
                wrong++;
        pthread_barrier_wait(barrier);
    }
    return NULL;
}

static void in_threads(void)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    pthread_barrier_t barrier;
    unsigned char *p = must(mmap(NULL, PAGE, RWX, ANON, -1, 0));
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, run_shared, &barrier);
    for (int round = 0; round < 100; round++) {
        shared = p + round * 16;
        emit(shared, SYS_getpid);
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    expect(wrong, 0, 0);
}

int main(void)
{
    rewriting();
    protecting();
    from_file();
    in_threads();
    return test_end();
}
