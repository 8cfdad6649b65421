/* SPDX-License-Identifier: BSD-3-Clause */
/* System V shared memory: between relatives and strangers, permissions, counting, removal. */
#include <setjmp.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

#include "tests/guest/test.h"

#define PAGE 4096UL

static sigjmp_buf jump;

static void on_signal(int sig)
{
    siglongjmp(jump, sig);
}

static int write_to(volatile char *at)
{
    int sig = sigsetjmp(jump, 1);
    if (!sig)
        *at = 1;
    return sig;
}

static unsigned long attached(int id)
{
    struct shmid_ds d;
    expect(shmctl(id, IPC_STAT, &d), 0, 0);
    return d.shm_nattch;
}

static int status_of(pid_t pid)
{
    int status = -1;
    expect(waitpid(pid, &status, 0), pid, 0);
    return status;
}

static void ids(void)
{
    key_t key = 0x7e570000 + (getpid() & 0xffff);
    expect(shmget(key, PAGE, 0), -1, ENOENT);
    expect(shmget(key, 0, IPC_CREAT | 0600), -1, EINVAL);
    int id = must(shmget(key, 3 * PAGE - 100, IPC_CREAT | IPC_EXCL | 0640));
    expect(shmget(key, PAGE, IPC_CREAT | IPC_EXCL | 0600), -1, EEXIST);
    expect(shmget(key, PAGE, 0), id, 0);
    expect(shmget(key, 0, 0), id, 0);
    expect(shmget(key, 4 * PAGE, 0), -1, EINVAL);
    struct shmid_ds d;
    expect(shmctl(id, IPC_STAT, &d), 0, 0);
    expect(d.shm_segsz, 3 * PAGE - 100, 0);
    expect(d.shm_perm.mode & 0777, 0640, 0);
    expect(d.shm_perm.__key, key, 0);
    expect(d.shm_perm.uid == geteuid() && d.shm_perm.cuid == geteuid(), 1, 0);
    expect(d.shm_cpid == getpid() && d.shm_lpid == 0, 1, 0);
    expect(d.shm_nattch == 0 && d.shm_atime == 0 && d.shm_ctime > 0, 1, 0);
    d.shm_perm.mode = 0600;
    expect(shmctl(id, IPC_SET, &d), 0, 0);
    expect(shmctl(id, IPC_STAT, &d), 0, 0);
    expect(d.shm_perm.mode & 0777, 0600, 0);
    expect(shmctl(id, 9999, &d), -1, EINVAL);
    expect(shmctl(-1, IPC_STAT, &d), -1, EINVAL);
    struct shminfo limits;
    expect(shmctl(0, IPC_INFO, (void *)&limits) >= 0, 1, 0);
    expect(limits.shmmin, 1, 0);
    struct shm_info used;
    int highest = shmctl(0, SHM_INFO, (void *)&used), found = 0;
    expect(used.used_ids >= 1, 1, 0);
    for (int i = 0; i <= highest; i++)
        found |= shmctl(i, SHM_STAT, &d) == id;
    expect(found, 1, 0);
    expect(shmctl(id, IPC_RMID, NULL), 0, 0);
    expect(shmctl(id, IPC_STAT, &d), -1, EINVAL);
    expect(shmget(key, PAGE, 0), -1, ENOENT);
}

static void attaching(void)
{
    int id = must(shmget(IPC_PRIVATE, 4 * PAGE, 0600));
    expect((long)shmat(id, (void *)123, 0), -1, EINVAL);
    expect((long)shmat(-5, NULL, 0), -1, EINVAL);
    expect((long)shmat(id, NULL, SHM_REMAP), -1, EINVAL);
    char *a = must((char *)shmat(id, NULL, 0));
    expect((unsigned long)a % PAGE, 0, 0);
    expect(a[0] | a[4 * PAGE - 1], 0, 0);
    a[4 * PAGE - 1] = 7;
    expect(attached(id), 1, 0);
    char *b = must((char *)shmat(id, NULL, 0));
    expect(b[4 * PAGE - 1], 7, 0);
    b[0] = 3;
    expect(a[0], 3, 0);
    expect(attached(id), 2, 0);
    expect(shmdt(b), 0, 0);
    expect(attached(id), 1, 0);
    expect(shmdt(a + PAGE), -1, EINVAL);
    expect(shmdt(a + 1), -1, EINVAL);
    expect(shmdt(a), 0, 0);
    expect(shmdt(a), -1, EINVAL);
    expect(attached(id), 0, 0);
    struct shmid_ds d;
    expect(shmctl(id, IPC_STAT, &d), 0, 0);
    expect(d.shm_atime > 0 && d.shm_dtime > 0 && d.shm_lpid == getpid(), 1, 0);
    a = must((char *)shmat(id, NULL, SHM_RDONLY));
    expect(a[0], 3, 0);
    expect(write_to(a), SIGSEGV, 0);
    expect(mprotect(a, PAGE, PROT_READ | PROT_WRITE), -1, EACCES);
    expect(shmdt(a), 0, 0);
    char *hole = must(mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    expect((long)shmat(id, hole, 0), -1, EINVAL);
    expect(shmat(id, hole + PAGE + 5, SHM_RND | SHM_REMAP) == hole + PAGE, 1, 0);
    expect(hole[PAGE], 3, 0);
    expect(shmdt(hole + PAGE), 0, 0);
    expect(munmap(hole, 8 * PAGE), 0, 0);
    expect(shmctl(id, IPC_RMID, NULL), 0, 0);
}

/* A segment that has been removed lives on for those who have it. */
static void removal(void)
{
    struct shmid_ds d;
    int id = must(shmget(IPC_PRIVATE, PAGE, 0600));
    char *a = must((char *)shmat(id, NULL, 0));
    expect(shmctl(id, IPC_RMID, NULL), 0, 0);
    expect(shmctl(id, IPC_STAT, &d), 0, 0);
    expect(d.shm_perm.mode & SHM_DEST, SHM_DEST, 0);
    pid_t pid = must(fork());
    if (!pid) {
        expect(attached(id), 2, 0);
        char *b = must((char *)shmat(id, NULL, 0)); /* Linux allows it */
        b[1] = 5;
        expect(shmdt(b), 0, 0);
        _exit(test_failures != 0);
    }
    expect(status_of(pid), 0, 0);
    expect(a[1], 5, 0);
    expect(attached(id), 1, 0);
    expect(shmdt(a), 0, 0);
    expect(shmctl(id, IPC_STAT, &d), -1, EINVAL);
}

static int stranger(int id)
{
    volatile int *a = must((int *)shmat(id, NULL, 0));
    expect(a[0], 1234, 0);
    expect(attached(id), 2, 0);
    for (int i = 0; i < 1000; i++)
        __atomic_fetch_add(a + 100, 1, __ATOMIC_SEQ_CST);
    a[1] = 5678;
    return test_failures != 0; /* the end detaches */
}

static void strangers(void)
{
    char text[16];
    int id = must(shmget(IPC_PRIVATE, 100000, 0600));
    volatile int *a = must((int *)shmat(id, NULL, 0));
    a[0] = 1234;
    pid_t pid = must(fork());
    if (!pid) {
        snprintf(text, sizeof(text), "%d", id);
        execl("/proc/self/exe", "stranger", text, NULL);
        _exit(3);
    }
    for (int i = 0; i < 1000; i++)
        __atomic_fetch_add(a + 100, 1, __ATOMIC_SEQ_CST);
    expect(status_of(pid), 0, 0);
    expect(a[1], 5678, 0);
    expect(a[100], 2000, 0);
    expect(attached(id), 1, 0);
    expect(shmctl(id, SHM_LOCK, NULL), 0, 0);
    struct shmid_ds d;
    expect(shmctl(id, IPC_STAT, &d), 0, 0);
    expect(d.shm_perm.mode & SHM_LOCKED, SHM_LOCKED, 0);
    expect(shmctl(id, SHM_UNLOCK, NULL), 0, 0);
    expect(shmctl(id, IPC_RMID, NULL), 0, 0);
    expect(shmdt((void *)a), 0, 0);
}

int main(int argc, char **argv)
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGSEGV, &sa, NULL);
    if (argc == 2)
        return stranger(atoi(argv[1]));
    ids();
    attaching();
    removal();
    strangers();
    return test_end();
}
