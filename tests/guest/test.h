/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every guest test uses. There is one assertion form, expect(): it checks a call's result
 * and its errno together, says what differs, and goes on; must() is for steps without which the
 * rest makes no sense. main() ends with `return test_end();`.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int test_failures;
static long test_checks;

static inline void test_check(const char *file, int line, const char *what, long got, int error,
                              long want, int want_error)
{
    __atomic_add_fetch(&test_checks, 1, __ATOMIC_RELAXED);
    if (got == want && (want != -1 || error == want_error))
        return;
    __atomic_add_fetch(&test_failures, 1, __ATOMIC_RELAXED);
    fprintf(stderr, "%s:%d: %s\n    gave %ld", file, line, what, got);
    if (got == -1)
        fprintf(stderr, " (%s)", strerror(error));
    fprintf(stderr, ", wanted %ld", want);
    if (want == -1)
        fprintf(stderr, " (%s)", strerror(want_error));
    fputc('\n', stderr);
}

/* expect(close(fd), 0, 0);  expect(close(-1), -1, EBADF);  expect(a == b, 1, 0); */
#define expect(call, want, want_error)                                                         \
    do {                                                                                       \
        errno = 0;                                                                             \
        long got_ = (long)(call);                                                              \
        test_check(__FILE__, __LINE__, #call, got_, errno, (long)(want), want_error);          \
    } while (0)

/* int fd = must(open(...)): ends the test if it gives -1. */
#define must(call)                                                                             \
    ({                                                                                         \
        errno = 0;                                                                             \
        __auto_type got_ = (call);                                                             \
        if ((long)got_ == -1) {                                                                \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, strerror(errno));    \
            exit(1);                                                                           \
        }                                                                                      \
        got_;                                                                                  \
    })

static inline int test_end(void)
{
    if (test_failures || !test_checks) {
        fprintf(stderr, "%d of %ld checks failed\n", test_failures, test_checks);
        return 1;
    }
    return 0;
}

__attribute__((unused)) static int test_skip(const char *why)
{
    printf("%s\n", why);
    return 77;
}

/* A fresh folder that becomes the working directory. */
__attribute__((unused)) static void test_dir(void)
{
    const char *base = getenv("TEST_DIR");
    static char path[4096];
    snprintf(path, sizeof(path), "%s/test.XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(path) || chdir(path)) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
}

/* A part in a process of its own, whose failures count here. */
__attribute__((unused)) static void test_process(void (*part)(void), const char *name)
{
    int status = -1;
    pid_t pid = must(fork());

    if (!pid) {
        test_failures = 0;
        part();
        _exit(test_failures != 0);
    }
    must(waitpid(pid, &status, 0));
    if (status)
        fprintf(stderr, "%s: status %x\n", name, status);
    expect(status, 0, 0);
}

__attribute__((unused)) static void test_write_file(const char *path, const char *text)
{
    int fd = must(open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644));
    expect(write(fd, text, strlen(text)), strlen(text), 0);
    expect(close(fd), 0, 0);
}
