/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The same program and the same files over and over: what a process finds in its text, data and
 * mappings never depends on what an earlier one did with its own.
 */
#include <link.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include "tests/guest/test.h"

#define PAGE 4096

extern char **environ;
static const char marker[] = "marker:one:";
static char data[3 * PAGE] = "as in the file";
static char zeros[5 * PAGE];
static sigjmp_buf back;

static int run(const char *program, const char *what)
{
    char *argv[] = {"proc_image", (char *)what, NULL};
    pid_t pid = -1;
    int status = -1;
    expect(posix_spawn(&pid, program, NULL, NULL, argv, environ), 0, 0);
    expect(waitpid(pid, &status, 0), pid, 0);
    return status;
}

/* ---- the children ---- */

__attribute__((noinline, aligned(PAGE))) static int answer(void)
{
    __asm__ volatile("");
    return 42;
}

static int dirty(void)
{
    int wrong = strcmp(data, "as in the file") != 0;
    for (size_t i = 0; i < sizeof(zeros); i++)
        wrong |= zeros[i];
    for (size_t i = 64; i < sizeof(data); i++)
        wrong |= data[i];
    wrong |= answer() != 42;
    memset(zeros, 'z', sizeof(zeros));
    memset(data, 'd', sizeof(data));
    /* The program's own text becomes something else; nobody else's does. */
    unsigned char *page = (void *)((uintptr_t)answer & ~(uintptr_t)(PAGE - 1));
    wrong |= mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) != 0;
    memset((void *)answer, 0xcc, 5);
    wrong |= mprotect(page, PAGE, PROT_READ | PROT_EXEC) != 0;
    return wrong;
}

static int child(const char *what)
{
    if (!strcmp(what, "dirty"))
        return dirty();
    return strstr(marker, what) ? 0 : 1;
}

/* ---- files that change ---- */

static size_t contents(const char *path, char **out)
{
    int fd = must(open(path, O_RDONLY));
    struct stat st;
    must(fstat(fd, &st));
    *out = malloc((size_t)st.st_size);
    for (size_t n = 0; n < (size_t)st.st_size;)
        n += (size_t)must(read(fd, *out + n, (size_t)st.st_size - n));
    close(fd);
    return (size_t)st.st_size;
}

static void write_file(const char *path, const char *bytes, size_t size)
{
    int fd = must(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700));
    for (size_t n = 0; n < size;)
        n += (size_t)must(write(fd, bytes + n, size - n));
    close(fd);
}

static void changed_program(void)
{
    char *bytes;
    size_t size = contents("/proc/self/exe", &bytes);
    write_file("program", bytes, size);
    for (int i = 0; i < 3; i++)
        expect(run("./program", "one"), 0, 0);
    for (size_t i = 0; i + sizeof(marker) <= size; i++)
        if (!memcmp(bytes + i, marker, sizeof(marker)))
            memcpy(bytes + i + 7, "two", 3);
    write_file("program", bytes, size);
    for (int i = 0; i < 3; i++)
        expect(run("./program", "two"), 0, 0);
    free(bytes);
}

static int compare(const char *path, size_t size, const char *want)
{
    int fd = must(open(path, O_RDONLY));
    char *p = must(mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0));
    int differ = memcmp(p, want, size);
    close(fd);
    munmap(p, size);
    return differ;
}

/* Mapped, unmapped, changed in place, and mapped again; in this process and in others. */
static void changed_data(void)
{
    static char bytes[5 * PAGE + 100];
    for (int round = 0; round < 6; round++) {
        memset(bytes, 'a' + round, sizeof(bytes));
        write_file("data", bytes, sizeof(bytes));
        expect(compare("data", sizeof(bytes), bytes), 0, 0);
        expect(compare("data", sizeof(bytes), bytes), 0, 0);
        pid_t pid = must(fork());
        if (!pid)
            _exit(compare("data", sizeof(bytes), bytes) ? 1 : 0);
        int status = -1;
        expect(waitpid(pid, &status, 0), pid, 0);
        expect(status, 0, 0);
        int fd = must(open("data", O_WRONLY));
        bytes[3 * PAGE] = '!';
        expect(pwrite(fd, "!", 1, 3 * PAGE), 1, 0);
        close(fd);
        expect(compare("data", sizeof(bytes), bytes), 0, 0);
    }
}

/* A library's file is what read(2) says, also where a process that runs it has its data. */
static int whole(struct dl_phdr_info *info, size_t size, void *arg)
{
    char *bytes;
    (void)size;
    (void)arg;
    if (info->dlpi_name[0] != '/')
        return 0;
    size_t n = contents(info->dlpi_name, &bytes);
    for (int i = 0; i < 3; i++) {
        expect(run("/proc/self/exe", "one"), 0, 0);
        expect(compare(info->dlpi_name, n, bytes), 0, 0);
    }
    free(bytes);
    return 0;
}

/* ---- what is unmapped is gone ---- */

static void on_segv(int sig)
{
    siglongjmp(back, sig);
}

static int faults(volatile char *p)
{
    if (sigsetjmp(back, 1))
        return 1;
    *p;
    return 0;
}

static void gone(void)
{
    static char page[PAGE];
    int faulted = 0;
    struct sigaction sa = {.sa_handler = on_segv}, old;
    write_file("gone", page, sizeof(page));
    sigaction(SIGSEGV, &sa, &old);
    for (int i = 0; i < 40; i++) {
        int fd = must(open("gone", O_RDONLY));
        char *file = must(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
        char *anonymous =
            must(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        faulted += faults(file) + faults(anonymous);
        munmap(file, PAGE);
        munmap(anonymous, PAGE);
        close(fd);
        faulted += 100 * (faults(file) + faults(anonymous));
    }
    sigaction(SIGSEGV, &old, NULL);
    expect(faulted, 40 * 200, 0);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return child(argv[1]);
    test_dir();
    for (int i = 0; i < 10; i++)
        expect(run("/proc/self/exe", "dirty"), 0, 0);
    changed_program();
    changed_data();
    dl_iterate_phdr(whole, NULL);
    gone();
    return test_end();
}
