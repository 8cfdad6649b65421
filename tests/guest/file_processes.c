/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files between processes: record locks and flock, a position that parent and child share,
 * FIFOs that wait for their other side, SIGPIPE, epoll and eventfd across a fork.
 * RW: yes
 */
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>

#include "test.h"

static int wait_for(pid_t pid)
{
    int status = -1;
    must(waitpid(pid, &status, 0));
    return status;
}

static void record_locks(void)
{
    int ready[2], go[2];
    char c;
    int fd = must(open("locked", O_CREAT | O_RDWR, 0600));
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10};
    must(pipe(ready));
    must(pipe(go));
    pid_t pid = must(fork());
    if (pid == 0) {
        expect(fcntl(fd, F_SETLK, &l), 0, 0);
        expect(write(ready[1], "r", 1), 1, 0);
        expect(read(go[0], &c, 1), 1, 0);
        _exit(test_failures); /* which lets go of the lock */
    }
    expect(read(ready[0], &c, 1), 1, 0);
    expect(fcntl(fd, F_SETLK, &l), -1, EAGAIN);
    struct flock test = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
    expect(fcntl(fd, F_GETLK, &test), 0, 0);
    expect(test.l_type == F_WRLCK && test.l_pid == pid && test.l_start == 10, 1, 0);
    l.l_start = 20;
    expect(fcntl(fd, F_SETLK, &l), 0, 0);
    l.l_start = 10;
    expect(write(go[1], "g", 1), 1, 0);
    expect(fcntl(fd, F_SETLKW, &l), 0, 0);
    expect(wait_for(pid), 0, 0);
    expect(flock(fd, LOCK_EX), 0, 0);
    pid = must(fork());
    if (pid == 0) { /* the same open file: the lock is the child's, too */
        expect(flock(fd, LOCK_EX | LOCK_NB), 0, 0);
        int other = must(open("locked", O_RDWR));
        expect(flock(other, LOCK_SH | LOCK_NB), -1, EWOULDBLOCK);
        _exit(test_failures);
    }
    expect(wait_for(pid), 0, 0);
    expect(close(fd), 0, 0);
}

static void shared_position(void)
{
    char text[16] = {0};
    int fd = must(open("position", O_CREAT | O_RDWR | O_TRUNC, 0600));
    pid_t pid = must(fork());
    if (pid == 0) {
        expect(write(fd, "child ", 6), 6, 0);
        _exit(test_failures);
    }
    expect(wait_for(pid), 0, 0);
    expect(write(fd, "parent", 6), 6, 0);
    expect(unlink("position"), 0, 0);
    expect(pread(fd, text, 15, 0), 12, 0);
    expect(strcmp(text, "child parent"), 0, 0);
    expect(close(fd), 0, 0);
}

static void fifos(void)
{
    char c;
    expect(mkfifo("fifo", 0600), 0, 0);
    expect(open("fifo", O_WRONLY | O_NONBLOCK), -1, ENXIO);
    pid_t pid = must(fork());
    if (pid == 0) {
        int w = must(open("fifo", O_WRONLY));
        expect(write(w, "x", 1), 1, 0);
        _exit(test_failures);
    }
    int r = must(open("fifo", O_RDONLY));
    expect(read(r, &c, 1), 1, 0);
    expect(wait_for(pid), 0, 0);
    expect(read(r, &c, 1), 0, 0);
    struct pollfd p = {r, POLLIN, 0};
    expect(poll(&p, 1, 0), 1, 0);
    expect(p.revents & POLLHUP, POLLHUP, 0);
    expect(close(r), 0, 0);
    expect(unlink("fifo"), 0, 0);
}

static void broken_pipe(void)
{
    int fds[2];
    must(pipe(fds));
    close(fds[0]);
    pid_t pid = must(fork());
    if (pid == 0) {
        expect(write(fds[1], "x", 1), -1, EPIPE);
        _exit(1);
    }
    int status = wait_for(pid);
    expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE, 1, 0);
    signal(SIGPIPE, SIG_IGN);
    expect(write(fds[1], "x", 1), -1, EPIPE);
    close(fds[1]);
}

static void events(void)
{
    uint64_t v = 0;
    struct epoll_event e = {.events = EPOLLIN, .data = {.u64 = 5}}, got[2];
    int ev = must(eventfd(0, EFD_SEMAPHORE)), ep = must(epoll_create1(0));
    expect(epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e), 0, 0);
    pid_t pid = must(fork());
    if (pid == 0) {
        v = 2;
        expect(write(ev, &v, 8), 8, 0);
        _exit(test_failures);
    }
    expect(epoll_wait(ep, got, 2, -1), 1, 0);
    expect(got[0].data.u64, 5, 0);
    expect(wait_for(pid), 0, 0);
    expect(read(ev, &v, 8), 8, 0);
    expect(v, 1, 0);
    expect(epoll_wait(ep, got, 2, 0), 1, 0);
    expect(read(ev, &v, 8), 8, 0);
    expect(epoll_wait(ep, got, 2, 0), 0, 0);
    expect(close(ev), 0, 0);
    expect(close(ep), 0, 0);
}

int main(void)
{
    test_dir();
    record_locks();
    shared_position();
    fifos();
    broken_pipe();
    events();
    return test_end();
}
