# SPDX-License-Identifier: BSD-3-Clause
# Many processes: at once, and one after another without growth of the kernel's memory; many
# threads; a bomb of forks. LIVE, SPAWNS, THREADS and BOMB are how many; the long form is in
# make stress, which has the figures written to $REPORT. TIMEOUT: 1800
. tests/apps/lib.sh

compile "$TMPDIR/scale" <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
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
    fprintf(stderr, "%ld KiB of kernel memory, ", kernel_kb());
    for (int i = 0; i < count; i++)
        good += ends_well(pid[i]);
    printf("%d started, %d ended well\n", started, good);
    return 0;
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

static int spawns(int count)
{
    int bad = one_after_another(300);
    long before = kernel_kb();
    bad += one_after_another(count);
    long grown = kernel_kb() - before;
    printf("%d failed, %s\n", bad, grown < 256 ? "no growth" : "growth");
    fprintf(stderr, "%ld KiB of kernel memory at first, %ld more then, ", before, grown);
    return 0;
}

static pthread_barrier_t all_here;

static void *stay(void *arg)
{
    pthread_barrier_wait(&all_here);
    return arg;
}

static int threads(int count)
{
    int made = 0, joined = 0;
    pthread_attr_t attr;
    pthread_t *thread = calloc((size_t)count, sizeof(*thread));
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 65536);
    pthread_barrier_init(&all_here, NULL, (unsigned)count + 1);
    while (made < count && !pthread_create(&thread[made], &attr, stay, thread))
        made++;
    if (made < count) {
        printf("%d threads only\n", made);
        return 1; /* nobody passes the barrier */
    }
    fprintf(stderr, "%ld KiB of kernel memory, ", kernel_kb());
    pthread_barrier_wait(&all_here);
    for (int i = 0; i < made; i++)
        joined += !pthread_join(thread[i], NULL);
    printf("%d threads, %d joined\n", made, joined);
    return 0;
}

/* Everybody forks until one cannot, at a limit or, without one (0), when there are as many as
 * there may be; who started it goes on. */
static int bomb(int count)
{
    struct rlimit limit = {(rlim_t)count, (rlim_t)count};
    int pipes[2], e = 0;
    _Atomic int *shared =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (count && (setrlimit(RLIMIT_NPROC, &limit) || (!getuid() && setuid(54321))))
        return 1;
    if (pipe(pipes))
        return 1;
    pid_t pid = fork();
    while (!pid) {
        if (shared[0])
            _exit(0);
        shared[1]++;
        if (fork() < 0) {
            e = errno;
            shared[0] = 1;
            _exit(write(pipes[1], &e, sizeof(e)) != sizeof(e));
        }
    }
    close(pipes[1]);
    if (read(pipes[0], &e, sizeof(e)) != sizeof(e))
        return 1;
    while (read(pipes[0], &pid, sizeof(pid)) > 0) { /* until all have gone */
    }
    while (wait(NULL) > 0) {
    }
    pid = fork();
    if (!pid)
        _exit(0);
    printf("a bomb ends in %s, then %s\n", strerror(e),
           ends_well(pid) ? "all is well" : "harm");
    fprintf(stderr, "%d calls of fork, ", shared[1]);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int count);
    } modes[] = {{"live", live}, {"spawn", spawns}, {"threads", threads}, {"bomb", bomb}};
    struct timespec from, to;
    int r = 2;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < 4; i++)
        if (argc > 2 && !strcmp(argv[1], modes[i].name))
            r = modes[i].run(atoi(argv[2]));
    clock_gettime(CLOCK_MONOTONIC, &to);
    long ms = (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
    fprintf(stderr, "%ld ms\n", ms);
    return r;
}
C
extra="--rw $TMPDIR"
[ -z "$REPORT" ] || cat >"$REPORT" <<'E'
# How much there may be

Written by `make stress` on this machine, with the configuration that `occlum try` has.

| what | outcome | figures |
|---|---|---|
E
is() {
    wanted=$1
    shift
    got=$(try "$TMPDIR/scale" "$@" 2>"$TMPDIR/err")
    [ -z "$REPORT" ] || echo "| $* | $got | $(tail -1 "$TMPDIR/err") |" >>"$REPORT"
    [ "$got" = "$wanted" ] && return
    echo "scale $*: $got, wanted $wanted"
    cat "$TMPDIR/err"
    failed=1
}
live=${LIVE:-200} threads=${THREADS:-1000}
is "$live started, $live ended well" live "$live"
is "$threads threads, $threads joined" threads "$threads"
is "0 failed, no growth" spawn "${SPAWNS:-300}"
is "a bomb ends in Resource temporarily unavailable, then all is well" bomb "${BOMB:-100}"
is "a bomb ends in Resource temporarily unavailable, then all is well" bomb 0
exit $failed
