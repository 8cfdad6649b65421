/* SPDX-License-Identifier: BSD-3-Clause */
/* System V message queues: types, sizes, waiting at both ends, removal. */
#include <sched.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/time.h>

#include "tests/guest/test.h"

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

struct text {
    long type;
    char text[8200];
};

static struct text out, in;

static int put(int id, long type, const char *text, int flags)
{
    out.type = type;
    memcpy(out.text, text, strlen(text) + 1);
    return msgsnd(id, &out, strlen(text) + 1, flags);
}

/* Whether the next message of that type is that one. */
static int next_is(int id, long type, int flags, long got_type, const char *text)
{
    memset(&in, 0, sizeof(in));
    ssize_t n = msgrcv(id, &in, sizeof(in.text), type, flags | IPC_NOWAIT);
    return n == (ssize_t)strlen(text) + 1 && in.type == got_type && !strcmp(in.text, text);
}

static int status_of(pid_t pid)
{
    int status = -1;
    expect(waitpid(pid, &status, 0), pid, 0);
    return status;
}

static void types(void)
{
    key_t key = 0x35600000 + (getpid() & 0xffff);
    struct msqid_ds d;
    expect(msgget(key, 0), -1, ENOENT);
    int id = must(msgget(key, IPC_CREAT | IPC_EXCL | 0600));
    expect(msgget(key, IPC_CREAT | IPC_EXCL | 0600), -1, EEXIST);
    expect(msgget(key, 0), id, 0);
    expect(put(id, 0, "x", 0), -1, EINVAL);
    expect(put(id, -1, "x", 0), -1, EINVAL);
    expect(msgsnd(id, &out, 8193, 0), -1, EINVAL);
    expect(msgsnd(-1, &out, 1, 0), -1, EINVAL);
    expect(msgrcv(id, &in, 10, 0, IPC_NOWAIT), -1, ENOMSG);
    expect(put(id, 5, "five", 0), 0, 0);
    expect(put(id, 3, "three", 0), 0, 0);
    expect(put(id, 4, "four", 0), 0, 0);
    expect(put(id, 3, "three again", 0), 0, 0);
    expect(msgctl(id, IPC_STAT, &d), 0, 0);
    expect(d.msg_qnum == 4 && d.msg_cbytes == 5 + 6 + 5 + 12, 1, 0);
    expect(d.msg_lspid == getpid() && d.msg_lrpid == 0 && d.msg_stime > 0, 1, 0);
    expect(next_is(id, 4, 0, 4, "four"), 1, 0);
    expect(next_is(id, 4, 0, 4, "four"), 0, 0);
    expect(next_is(id, -4, 0, 3, "three"), 1, 0);
    expect(next_is(id, 5, MSG_EXCEPT, 3, "three again"), 1, 0);
    expect(next_is(id, 0, 0, 5, "five"), 1, 0);
    expect(put(id, 1, "a long one", 0), 0, 0);
    expect(msgrcv(id, &in, 4, 0, IPC_NOWAIT), -1, E2BIG);
    expect(msgrcv(id, &in, 4, 0, IPC_NOWAIT | MSG_NOERROR), 4, 0);
    expect(memcmp(in.text, "a lo", 4), 0, 0);
    expect(msgrcv(id, &in, 4, 0, IPC_NOWAIT), -1, ENOMSG);
    expect(msgrcv(id, &in, 4, 0, MSG_COPY), -1, EINVAL);
    out.type = 1;
    expect(msgsnd(id, &out, 0, 0), 0, 0);
    expect(msgrcv(id, &in, 0, 0, 0), 0, 0);
    expect(put(id, 7, "stays", 0), 0, 0);
    ssize_t n = msgrcv(id, &in, 100, 0, MSG_COPY | IPC_NOWAIT);
    if (n >= 0 || errno != ENOSYS) {
        expect(n, 6, 0);
        expect(msgrcv(id, &in, 100, 1, MSG_COPY | IPC_NOWAIT), -1, ENOMSG);
    }
    expect(next_is(id, 0, 0, 7, "stays"), 1, 0);
    struct msginfo info;
    expect(msgctl(0, IPC_INFO, (void *)&info) >= 0, 1, 0);
    expect(info.msgmax, 8192, 0);
    expect(msgctl(id, IPC_RMID, NULL), 0, 0);
    expect(msgctl(id, IPC_RMID, NULL), -1, EINVAL);
}

static void limits(void)
{
    struct msqid_ds d;
    int id = must(msgget(IPC_PRIVATE, 0600)), n = 0;
    out.type = 1;
    while (n < 100 && !msgsnd(id, &out, 4096, IPC_NOWAIT))
        n++;
    expect(n, 4, 0);
    expect(msgsnd(id, &out, 4096, IPC_NOWAIT), -1, EAGAIN);
    expect(msgctl(id, IPC_STAT, &d), 0, 0);
    expect(d.msg_qbytes, 16384, 0);
    d.msg_qbytes = 4096;
    expect(msgctl(id, IPC_SET, &d), 0, 0);
    expect(msgrcv(id, &in, 4096, 0, 0), 4096, 0);
    expect(msgsnd(id, &out, 1, IPC_NOWAIT), -1, EAGAIN);
    expect(msgctl(id, IPC_RMID, NULL), 0, 0);
}

static void on_alarm(int sig)
{
}

static void waiting(void)
{
    int id = must(msgget(IPC_PRIVATE, 0600)), ready[2];
    char c;
    must(pipe(ready));
    pid_t pid = must(fork());
    if (!pid) {
        expect(msgrcv(id, &in, 100, 2, 0), 6, 0);
        expect(strcmp(in.text, "right"), 0, 0);
        out.type = 9;
        expect(write(ready[1], "x", 1), 1, 0);
        for (int i = 0; i < 20; i++)
            expect(msgsnd(id, &out, 4096, 0), 0, 0); /* waits for room */
        expect(write(ready[1], "y", 1), 1, 0);
        ssize_t n = msgrcv(id, &in, 100, 77, 0); /* EINVAL: it has been removed before */
        _exit(test_failures || n != -1 || (errno != EIDRM && errno != EINVAL));
    }
    expect(put(id, 1, "wrong", 0), 0, 0);
    expect(put(id, 2, "right", 0), 0, 0);
    expect(read(ready[0], &c, 1), 1, 0);
    for (int i = 0; i < 20; i++)
        expect(msgrcv(id, &in, 4096, 9, 0), 4096, 0);
    expect(read(ready[0], &c, 1), 1, 0);
    expect(next_is(id, 0, 0, 1, "wrong"), 1, 0);
    struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &sa, NULL);
    struct itimerval it = {{0, 0}, {0, 20000}};
    setitimer(ITIMER_REAL, &it, NULL);
    expect(msgrcv(id, &in, 100, 0, 0), -1, EINTR);
    expect(msgctl(id, IPC_RMID, NULL), 0, 0);
    expect(status_of(pid), 0, 0);
}

int main(void)
{
    types();
    limits();
    waiting();
    return test_end();
}
