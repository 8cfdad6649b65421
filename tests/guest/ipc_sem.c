/* SPDX-License-Identifier: BSD-3-Clause */
/* System V semaphores: values, waiting, several at once, undoing, time, removal. */
#include <sched.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/time.h>
#include <time.h>

#include "tests/guest/test.h"

union semun {
    int val;
    struct semid_ds *buf;
    unsigned short *array;
    struct seminfo *info;
};

static int get(int id, int num, int command)
{
    return semctl(id, num, command);
}

static int set(int id, int num, int value)
{
    union semun u = {.val = value};
    return semctl(id, num, SETVAL, u);
}

static int op(int id, int num, int by, int flags)
{
    struct sembuf b = {(unsigned short)num, (short)by, (short)flags};
    return semop(id, &b, 1);
}

static int status_of(pid_t pid)
{
    int status = -1;
    expect(waitpid(pid, &status, 0), pid, 0);
    return status;
}

/* Until `count` wait for it to grow (GETNCNT) or to become zero (GETZCNT). */
static void until_waiting(int id, int num, int command, int count)
{
    while (get(id, num, command) != count)
        sched_yield();
}

static void values(void)
{
    key_t key = 0x5e3a0000 + (getpid() & 0xffff);
    unsigned short all[4] = {1, 2, 3, 4}, back[4] = {0};
    union semun u;
    struct semid_ds d;
    expect(semget(key, 1, 0), -1, ENOENT);
    expect(semget(key, 0, IPC_CREAT | 0600), -1, EINVAL);
    expect(semget(key, 40000, IPC_CREAT | 0600), -1, EINVAL);
    int id = must(semget(key, 4, IPC_CREAT | IPC_EXCL | 0600));
    expect(semget(key, 4, IPC_CREAT | IPC_EXCL | 0600), -1, EEXIST);
    expect(semget(key, 5, 0), -1, EINVAL);
    expect(semget(key, 0, 0), id, 0);
    expect(get(id, 0, GETVAL), 0, 0);
    u.array = all;
    expect(semctl(id, 0, SETALL, u), 0, 0);
    u.array = back;
    expect(semctl(id, 0, GETALL, u), 0, 0);
    expect(memcmp(all, back, sizeof(all)), 0, 0);
    expect(set(id, 1, 40000), -1, ERANGE);
    expect(set(id, 4, 1), -1, EINVAL);
    expect(set(id, 1, 9), 0, 0);
    expect(get(id, 1, GETVAL), 9, 0);
    expect(get(id, 1, GETPID), getpid(), 0);
    u.buf = &d;
    expect(semctl(id, 0, IPC_STAT, u), 0, 0);
    expect(d.sem_nsems == 4 && d.sem_ctime > 0 && d.sem_otime == 0, 1, 0);
    expect(op(id, 1, -3, 0), 0, 0);
    expect(semctl(id, 0, IPC_STAT, u), 0, 0);
    expect(d.sem_otime > 0, 1, 0);
    expect(op(id, 1, 32767, 0), -1, ERANGE);
    expect(op(id, 4, 1, 0), -1, EFBIG);
    expect(op(-1, 0, 1, 0), -1, EINVAL);
    expect(semop(id, NULL, 0), -1, EINVAL);
    expect(op(id, 0, -2, IPC_NOWAIT), -1, EAGAIN);
    expect(op(id, 0, 0, IPC_NOWAIT), -1, EAGAIN);
    struct seminfo info;
    u.info = &info;
    expect(semctl(0, 0, IPC_INFO, u) >= 0, 1, 0);
    expect(info.semvmx, 32767, 0);
    expect(semctl(id, 0, IPC_RMID), 0, 0);
    expect(get(id, 0, GETVAL), -1, EINVAL);
}

static void together(void)
{
    int id = must(semget(IPC_PRIVATE, 3, 0600));
    struct sembuf two[2] = {{0, 2, 0}, {1, -1, IPC_NOWAIT}};
    expect(semop(id, two, 2), -1, EAGAIN);
    expect(get(id, 0, GETVAL), 0, 0);
    struct sembuf chain[3] = {{0, 1, 0}, {0, -1, 0}, {0, 0, 0}};
    expect(semop(id, chain, 3), 0, 0);
    struct sembuf many[501] = {{0}};
    expect(semop(id, many, 501), -1, E2BIG);
    expect(semop(id, many, 100), 0, 0);
    expect(semctl(id, 0, IPC_RMID), 0, 0);
}

static void waiting(void)
{
    int id = must(semget(IPC_PRIVATE, 2, 0600));
    pid_t pid = must(fork());
    if (!pid) {
        struct sembuf both[2] = {{0, -2, 0}, {1, 1, 0}};
        _exit(semop(id, both, 2) != 0);
    }
    until_waiting(id, 0, GETNCNT, 1);
    expect(get(id, 0, GETZCNT), 0, 0);
    expect(op(id, 0, 1, 0), 0, 0);
    until_waiting(id, 0, GETNCNT, 1);
    expect(get(id, 1, GETVAL), 0, 0);
    expect(op(id, 0, 1, 0), 0, 0);
    expect(status_of(pid), 0, 0);
    expect(get(id, 0, GETVAL) == 0 && get(id, 1, GETVAL) == 1, 1, 0);
    expect(get(id, 0, GETPID), pid, 0);
    pid = must(fork());
    if (!pid)
        _exit(op(id, 1, 0, 0) != 0);
    until_waiting(id, 1, GETZCNT, 1);
    expect(op(id, 1, -1, 0), 0, 0);
    expect(status_of(pid), 0, 0);
    pid = must(fork());
    if (!pid) {
        expect(op(id, 0, -1, 0), -1, EIDRM);
        _exit(test_failures != 0);
    }
    until_waiting(id, 0, GETNCNT, 1);
    expect(semctl(id, 0, IPC_RMID), 0, 0);
    expect(status_of(pid), 0, 0);
}

static void on_alarm(int sig)
{
}

static void time_and_signals(void)
{
    int id = must(semget(IPC_PRIVATE, 1, 0600));
    struct sembuf b = {0, -1, 0};
    struct timespec t = {0, 20000000}, bad = {0, -1}, none = {0, 0};
    expect(semtimedop(id, &b, 1, &t), -1, EAGAIN);
    expect(semtimedop(id, &b, 1, &none), -1, EAGAIN);
    expect(semtimedop(id, &b, 1, &bad), -1, EINVAL);
    struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &sa, NULL);
    struct itimerval it = {{0, 0}, {0, 20000}};
    setitimer(ITIMER_REAL, &it, NULL);
    expect(semop(id, &b, 1), -1, EINTR);
    expect(get(id, 0, GETNCNT), 0, 0);
    expect(semctl(id, 0, IPC_RMID), 0, 0);
}

static void undoing(void)
{
    int id = must(semget(IPC_PRIVATE, 2, 0600));
    expect(set(id, 0, 5), 0, 0);
    pid_t pid = must(fork());
    if (!pid) {
        expect(op(id, 0, -3, SEM_UNDO), 0, 0);
        expect(op(id, 1, 2, SEM_UNDO), 0, 0);
        expect(op(id, 0, -1, 0), 0, 0);
        expect(get(id, 0, GETVAL), 1, 0);
        _exit(test_failures != 0);
    }
    expect(status_of(pid), 0, 0);
    expect(get(id, 0, GETVAL), 4, 0);
    expect(get(id, 1, GETVAL), 0, 0);
    pid = must(fork());
    if (!pid) { /* killed while it holds the lock */
        expect(op(id, 0, -4, SEM_UNDO), 0, 0);
        raise(SIGKILL);
    }
    expect(WTERMSIG(status_of(pid)), SIGKILL, 0);
    expect(get(id, 0, GETVAL), 4, 0);
    pid = must(fork());
    if (!pid) {
        expect(op(id, 0, -4, SEM_UNDO), 0, 0);
        expect(set(id, 0, 1), 0, 0); /* forgets what was to be undone */
        _exit(test_failures != 0);
    }
    expect(status_of(pid), 0, 0);
    expect(get(id, 0, GETVAL), 1, 0);
    pid = must(fork());
    if (!pid) {
        expect(op(id, 0, 1, SEM_UNDO), 0, 0);
        expect(semctl(id, 0, IPC_RMID), 0, 0);
        _exit(test_failures != 0);
    }
    expect(status_of(pid), 0, 0);
    expect(get(id, 0, GETVAL), -1, EINVAL);
}

/* A lock between processes that count in shared pages would do the same; here the value counts.
 */
static void contention(void)
{
    int id = must(semget(IPC_PRIVATE, 2, 0600));
    expect(set(id, 0, 1), 0, 0);
    for (int i = 0; i < 4; i++) {
        if (must(fork()))
            continue;
        for (int n = 0; n < 200; n++) {
            expect(op(id, 0, -1, SEM_UNDO), 0, 0);
            expect(set(id, 1, get(id, 1, GETVAL) + 1), 0, 0);
            expect(op(id, 0, 1, SEM_UNDO), 0, 0);
        }
        _exit(test_failures != 0);
    }
    for (int i = 0; i < 4; i++) {
        int status = -1;
        must(wait(&status));
        expect(status, 0, 0);
    }
    expect(get(id, 1, GETVAL), 800, 0);
    expect(get(id, 0, GETVAL), 1, 0);
    expect(semctl(id, 0, IPC_RMID), 0, 0);
}

int main(void)
{
    values();
    together();
    waiting();
    time_and_signals();
    undoing();
    contention();
    return test_end();
}
