# SPDX-License-Identifier: BSD-3-Clause
# Many processes: at once, and one after another without growth of the kernel's memory. LIVE and
# SPAWNS are how many; the long form is in make stress. TIMEOUT: 900
. tests/apps/lib.sh

compile "$TMPDIR/scale" <<'C'
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int ends_well(pid_t pid)
{
    int status = -1;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static pid_t start(const char *program, const char *what)
{
    char *argv[] = {(char *)program, (char *)what, NULL};
    pid_t pid = -1;
    return posix_spawn(&pid, program, NULL, NULL, argv, environ) ? -1 : pid;
}

/* All at once, every tenth by fork; they wait for the end of the input. */
static int live(int count)
{
    int pipes[2], started = 0, good = 0;
    pid_t *pid = calloc((size_t)count, sizeof(*pid));
    if (pipe2(pipes, O_CLOEXEC) || dup2(pipes[0], 0))
        return 1;
    for (int i = 0; i < count; i++) {
        pid[i] = i % 10 ? start("/bin/cat", NULL) : fork();
        if (!pid[i]) {
            char c;
            close(pipes[1]);
            _exit(read(0, &c, 1) != 0);
        }
        started += pid[i] > 0;
    }
    close(pipes[1]);
    for (int i = 0; i < count; i++)
        good += ends_well(pid[i]);
    printf("%d started, %d ended well\n", started, good);
    return 0;
}

static long kernel_kb(void)
{
    char line[100];
    long kb = -1;
    FILE *f = fopen("/proc/meminfo", "r");
    while (f && fgets(line, sizeof(line), f))
        sscanf(line, "Slab: %ld", &kb);
    if (f)
        fclose(f);
    return kb;
}

static int one_after_another(int count)
{
    int bad = 0;
    for (int i = 0; i < count; i++) {
        pid_t pid;
        if (i % 4 == 0) {
            bad += !ends_well(start("/bin/true", NULL));
            continue;
        }
        pid = i % 4 == 1 ? vfork() : fork();
        if (!pid && i % 4 == 3)
            _exit(0);
        if (!pid) {
            execl("/bin/true", "true", NULL);
            _exit(1);
        }
        bad += !ends_well(pid);
    }
    return bad;
}

int main(int argc, char **argv)
{
    int count = argc > 2 ? atoi(argv[2]) : 0;
    if (!strcmp(argv[1], "live"))
        return live(count);
    int bad = one_after_another(300);
    long before = kernel_kb();
    bad += one_after_another(count);
    long grown = kernel_kb() - before;
    printf("%d failed, %s\n", bad, grown < 256 ? "no growth" : "growth");
    fprintf(stderr, "%ld KiB at first, %ld more after %d\n", before, grown, count);
    return 0;
}
C
extra="--rw $TMPDIR"
is() {
    wanted=$1
    shift
    got=$(try "$TMPDIR/scale" "$@" 2>"$TMPDIR/err")
    [ "$got" = "$wanted" ] && return
    echo "scale $*: $got, wanted $wanted"
    cat "$TMPDIR/err"
    failed=1
}
live=${LIVE:-200}
is "$live started, $live ended well" live "$live"
is "0 failed, no growth" spawn "${SPAWNS:-300}"
exit $failed
