#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Out of memory, in both ways: pages of programs, and room in the kernel for those that are not
# in place. A process is killed, with a word on the log; the enclave and the others go on. So
# they do after a fork bomb.
. tests/cli/lib/instance

compiler=${CC:-gcc}
"$compiler" -O1 -static -x c - -o "$work/hog" <<'C' || fail "the compiler"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int killed(pid_t pid)
{
    int status = 0;
    return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
           WTERMSIG(status) == SIGKILL;
}

static char *eat(size_t mib, char value)
{
    char *p = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        exit(9);
    for (size_t i = 0; i < mib << 20; i += 4096)
        p[i] = value;
    return p;
}

/* Everybody forks until one cannot; the one that started it goes on. */
static int bomb(void)
{
    int pipes[2], e = 0;
    volatile int *over =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t first = pipe(pipes) ? -1 : fork();
    while (!first) {
        if (*over)
            _exit(0);
        if (fork() < 0) {
            e = errno;
            *over = 1;
            _exit(write(pipes[1], &e, sizeof(e)) != sizeof(e));
        }
    }
    close(pipes[1]);
    if (read(pipes[0], &e, sizeof(e)) != sizeof(e))
        return 1;
    while (read(pipes[0], &first, sizeof(first)) > 0) {
    }
    while (wait(NULL) > 0) {
    }
    printf("a bomb ends in %s\n", strerror(e));
    return 0;
}

int main(void)
{
    char *mine = eat(20, 1);
    for (int i = 0; i < 3; i++) {
        pid_t pid = fork();
        if (!pid) {
            eat(1024, 2);
            _exit(0);
        }
        printf("touching more than there is: %s\n", killed(pid) ? "killed" : "not killed");
    }
    /* More to exchange than the kernel can hold. */
    char *much = eat(60, 3);
    int pipes[2], dead = 0;
    pid_t pid[4];
    if (pipe(pipes))
        return 1;
    for (int i = 0; i < 4; i++) {
        pid[i] = fork();
        if (!pid[i]) {
            char c;
            for (size_t k = 0; k < 60u << 20; k += 4096)
                much[k]++;
            if (read(pipes[0], &c, 1) != 1)
                _exit(1);
            for (size_t k = 0; k < 60u << 20; k += 4096)
                if (much[k] != 4)
                    _exit(2);
            _exit(0);
        }
        if (pid[i] < 0 && errno != ENOMEM && errno != EAGAIN)
            return 2;
    }
    if (write(pipes[1], "1234", 4) != 4)
        return 3;
    for (int i = 0; i < 4; i++) {
        int status = 0;
        if (pid[i] < 0) {
            dead++;
            continue;
        }
        if (waitpid(pid[i], &status, 0) != pid[i] || (status && status != SIGKILL))
            printf("status %x\n", status);
        dead += status != 0;
    }
    printf("four times more than the kernel can hold: %s\n", dead ? "some went" : "all lived");
    for (size_t k = 0; k < 60u << 20; k += 4096)
        if (much[k] != 3)
            return 4;
    for (size_t k = 0; k < 20u << 20; k += 4096)
        if (mine[k] != 1)
            return 5;
    pid_t last = fork();
    if (!last)
        _exit(7);
    int status;
    printf("then: %d\n", waitpid(last, &status, 0) == last ? WEXITSTATUS(status) : -1);
    return bomb();
}
C
new_instance memory
cp "$work/hog" image/bin/
sed -i '/"user_space_size"/c "user_space_size": "32MB", "user_space_max_size": "192MB",
/"default_stack_size"/c "default_stack_size": "8MB"' Occlum.json
sed -i 's/"user_space_size"/"kernel_space_heap_max_size": "128MB", "max_num_of_threads": 40, &/
s/"192MB",/"192MB"/' Occlum.json
build
export OCCLUM_LOG_LEVEL=error
"$occlum" run /bin/hog >out 2>err </dev/null || { cat out err; fail "status $?"; }
cat >wanted <<'O'
touching more than there is: killed
touching more than there is: killed
touching more than there is: killed
four times more than the kernel can hold: some went
then: 7
a bomb ends in Resource temporarily unavailable
O
cmp -s out wanted || { diff out wanted; fail "other output"; }
words=$(grep -c "out of memory: process [0-9]* is killed" err)
[ "$words" -ge 3 ] || { cat err; fail "$words words on the log"; }
exit 0

# The same in the smallest enclave that there is.
sed -i 's/"user_space_size"/"enclave_size": "64GB", &/' Occlum.json
build
"$occlum" run /bin/hog >out 2>err </dev/null || { cat out err; fail "64 GiB: status $?"; }
cmp -s out wanted || { diff out wanted; fail "64 GiB: other output"; }
