/* SPDX-License-Identifier: BSD-3-Clause */
/* Pseudo terminals: names, locks, packet mode, polling, and what closing one side means. */
#include "tests/guest/test.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

static int events(int fd, short wanted)
{
    struct pollfd p = {.fd = fd, .events = wanted};
    return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

#define COMES(condition)                                                                       \
    do {                                                                                       \
        for (int i_ = 0; i_ < 2000 && !(condition); i_++)                                      \
            poll(NULL, 0, 1);                                                                  \
        expect(!!(condition), 1, 0);                                                           \
    } while (0)

static int new_master(char name[64])
{
    int m = must(posix_openpt(O_RDWR | O_NOCTTY));
    expect(grantpt(m), 0, 0);
    expect(ptsname_r(m, name, 64), 0, 0);
    return m;
}

static int listed(const char *name)
{
    DIR *d = opendir("/dev/pts");
    int found = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        found |= !strcmp(e->d_name, name + 9) && e->d_type == DT_CHR;
    if (d)
        closedir(d);
    return found;
}

static void names(void)
{
    char name[64], other[64], tty[64];
    struct stat st, ft;
    unsigned number = 77;
    int lock = -1;
    int m = new_master(name), m2 = new_master(other);
    expect(strncmp(name, "/dev/pts/", 9), 0, 0);
    expect(strcmp(name, other) != 0, 1, 0);
    expect(ioctl(m, TIOCGPTN, &number), 0, 0);
    expect(number == (unsigned)atoi(name + 9), 1, 0);
    expect(ioctl(m, TIOCGPTLCK, &lock), 0, 0);
    expect(lock, 1, 0);
    expect(open(name, O_RDWR | O_NOCTTY), -1, EIO); /* still locked */
    expect(unlockpt(m), 0, 0);
    expect(ioctl(m, TIOCGPTLCK, &lock), 0, 0);
    expect(lock, 0, 0);
    int s = must(open(name, O_RDWR | O_NOCTTY));
    expect(ttyname_r(s, tty, sizeof(tty)), 0, 0);
    expect(strcmp(tty, name), 0, 0);
    expect(stat(name, &st), 0, 0);
    expect(S_ISCHR(st.st_mode) && major(st.st_rdev) == 136 && minor(st.st_rdev) == number, 1,
           0);
    expect(st.st_uid == getuid(), 1, 0);
    expect(fstat(s, &ft), 0, 0);
    expect(ft.st_ino == st.st_ino && ft.st_dev == st.st_dev, 1, 0);
    expect(chmod(name, 0600), 0, 0);
    expect(stat(name, &st), 0, 0);
    expect(st.st_mode & 0777, 0600, 0);
    expect(listed(name), 1, 0);
    expect(ioctl(s, TIOCGPTN, &number), -1, ENOTTY);
    int peer = must(ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY));
    expect(write(peer, "p", 1), 1, 0);
    expect(read(m, tty, 64), 1, 0);
    expect(close(peer) | close(s) | close(m), 0, 0);
    expect(stat(name, &st), -1, ENOENT);
    expect(listed(name), 0, 0);
    expect(listed(other), 1, 0);
    expect(open("/dev/pts/99999", O_RDWR), -1, ENOENT);
    expect(unlink(other), -1, geteuid() ? EACCES : EPERM);
    expect(close(m2), 0, 0);
}

/* The last of the terminal's files is closed. */
static void closed_slave(void)
{
    char name[64], c[16];
    int m = new_master(name);
    expect(unlockpt(m), 0, 0);
    expect(events(m, POLLIN), 0, 0); /* nobody has come yet: no hangup */
    int s = must(open(name, O_RDWR | O_NOCTTY));
    expect(write(s, "last", 4), 4, 0);
    expect(close(s), 0, 0);
    COMES(events(m, POLLIN) == (POLLIN | POLLHUP));
    expect(read(m, c, 16), 4, 0);
    expect(read(m, c, 16), -1, EIO);
    expect(events(m, POLLIN), POLLHUP, 0);
    s = must(open(name, O_RDWR | O_NOCTTY)); /* and somebody comes again */
    expect(events(m, POLLIN), 0, 0);
    expect(write(s, "x", 1), 1, 0);
    expect(read(m, c, 16), 1, 0);
    expect(close(s) | close(m), 0, 0);
}

/* The master is closed: hung up. */
static void closed_master(void)
{
    char name[64], c[16];
    int m = new_master(name);
    expect(unlockpt(m), 0, 0);
    int s = must(open(name, O_RDWR | O_NOCTTY));
    expect(close(m), 0, 0);
    expect(read(s, c, 16), 0, 0);
    expect(write(s, "x", 1), -1, EIO);
    expect(events(s, POLLIN | POLLOUT) & (POLLIN | POLLOUT | POLLERR | POLLHUP),
           POLLIN | POLLOUT | POLLERR | POLLHUP, 0);
    expect(ioctl(s, TCGETS, c) == -1 && errno == EIO, 1, 0);
    expect(ioctl(s, TIOCSPGRP, c), -1, ENOTTY);
    expect(open(name, O_RDWR | O_NOCTTY), -1, ENOENT);
    expect(close(s), 0, 0);
}

/* A reader that sleeps is woken by the hangup. */
static void hangup_wakes(void)
{
    char name[64], c[4];
    int m = new_master(name), status;
    expect(unlockpt(m), 0, 0);
    int s = must(open(name, O_RDWR | O_NOCTTY));
    pid_t child = must(fork());
    if (!child) {
        close(m);
        ssize_t r = read(s, c, 4);
        _exit(r == 0 || (r < 0 && errno == EIO) ? 0 : 1);
    }
    expect(write(m, "q", 1), 1, 0); /* no line yet */
    expect(close(m), 0, 0);
    expect(waitpid(child, &status, 0), child, 0);
    expect(status, 0, 0);
    expect(close(s), 0, 0);
}

static void packets(void)
{
    char name[64], c[16];
    int on = 1, m = new_master(name);
    struct termios t;
    expect(unlockpt(m), 0, 0);
    int s = must(open(name, O_RDWR | O_NOCTTY));
    expect(ioctl(m, TIOCPKT, &on), 0, 0);
    on = 0;
    expect(ioctl(m, TIOCGPKT, &on), 0, 0);
    expect(on, 1, 0);
    expect(write(s, "data", 4), 4, 0);
    COMES(events(m, POLLIN) & POLLIN);
    expect(read(m, c, 16), 5, 0);
    expect(c[0] == TIOCPKT_DATA && !memcmp(c + 1, "data", 4), 1, 0);
    expect(tcflow(s, TCOOFF), 0, 0);
    expect(events(m, POLLIN | POLLPRI) & (POLLIN | POLLPRI), POLLIN | POLLPRI, 0);
    expect(read(m, c, 16), 1, 0);
    expect(c[0], TIOCPKT_STOP, 0);
    expect(tcflow(s, TCOON), 0, 0);
    expect(read(m, c, 16), 1, 0);
    expect(c[0], TIOCPKT_START, 0);
    expect(tcgetattr(s, &t), 0, 0);
    t.c_iflag &= ~IXON;
    expect(tcsetattr(s, TCSANOW, &t), 0, 0);
    expect(read(m, c, 16), 1, 0);
    expect(c[0] & TIOCPKT_NOSTOP, TIOCPKT_NOSTOP, 0);
    on = 0;
    expect(ioctl(m, TIOCPKT, &on), 0, 0);
    expect(write(s, "x", 1), 1, 0);
    expect(read(m, c, 16), 1, 0);
    expect(close(s) | close(m), 0, 0);
}

/* More than fits: writers wait, and go on when there is room. */
static void much(void)
{
    static char block[65536], got[65536];
    char name[64];
    int m = new_master(name), status;
    struct termios t;
    expect(unlockpt(m), 0, 0);
    int s = must(open(name, O_RDWR | O_NOCTTY));
    expect(tcgetattr(s, &t), 0, 0);
    cfmakeraw(&t);
    expect(tcsetattr(s, TCSANOW, &t), 0, 0);
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (char)(i * 7 >> 3);
    pid_t child = must(fork());
    if (!child)
        _exit(write(s, block, sizeof(block)) == sizeof(block) ? 0 : 1);
    size_t n = 0;
    while (n < sizeof(got))
        n += (size_t)must(read(m, got + n, sizeof(got) - n));
    expect(memcmp(got, block, sizeof(got)), 0, 0);
    expect(waitpid(child, &status, 0), child, 0);
    expect(status, 0, 0);
    child = must(fork());
    if (!child) {
        size_t done = 0;
        while (done < sizeof(block)) {
            ssize_t r = write(m, block + done, sizeof(block) - done);
            if (r <= 0)
                _exit(1);
            done += (size_t)r;
        }
        _exit(0);
    }
    for (n = 0; n < sizeof(got);)
        n += (size_t)must(read(s, got + n, sizeof(got) - n));
    expect(memcmp(got, block, sizeof(got)), 0, 0);
    expect(waitpid(child, &status, 0), child, 0);
    expect(status, 0, 0);
    expect(close(s) | close(m), 0, 0);
}

static void wakes_epoll(void)
{
    char name[64], c[8];
    int m = new_master(name), ep = must(epoll_create1(0)), status;
    expect(unlockpt(m), 0, 0);
    int s = must(open(name, O_RDWR | O_NOCTTY));
    struct epoll_event e = {.events = EPOLLIN | EPOLLET};
    expect(epoll_ctl(ep, EPOLL_CTL_ADD, s, &e), 0, 0);
    expect(epoll_wait(ep, &e, 1, 0), 0, 0);
    pid_t child = must(fork());
    if (!child)
        _exit(write(m, "go\n", 3) == 3 ? 0 : 1);
    expect(epoll_wait(ep, &e, 1, 10000), 1, 0);
    expect(e.events & EPOLLIN, EPOLLIN, 0);
    expect(read(s, c, 8), 3, 0);
    expect(waitpid(child, &status, 0), child, 0);
    expect(close(ep) | close(s) | close(m), 0, 0);
}

/* Numbers come again; nothing is left behind. */
static void many(void)
{
    char name[64];
    int fds[64];
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 64; i += 2) {
            fds[i] = new_master(name);
            expect(unlockpt(fds[i]), 0, 0);
            fds[i + 1] = must(open(name, O_RDWR | O_NOCTTY));
        }
        expect(atoi(name + 9) < 4096, 1, 0);
        for (int i = 0; i < 64; i++)
            close(fds[i]);
    }
}

static void bad_addresses(void)
{
    char name[64];
    int m = new_master(name);
    expect(unlockpt(m), 0, 0);
    int s = must(open(name, O_RDWR | O_NOCTTY));
    expect(ioctl(s, TCGETS, 1L), -1, EFAULT);
    expect(ioctl(s, TCSETS, 1L), -1, EFAULT);
    expect(ioctl(s, TIOCGWINSZ, 1L), -1, EFAULT);
    expect(ioctl(m, TIOCGPTN, 1L), -1, EFAULT);
    expect(write(s, (void *)1, 5), -1, EFAULT);
    expect(ioctl(s, 0x5499, 0), -1, ENOTTY);
    expect(write(m, "abc\n", 4), 4, 0);
    COMES(events(s, POLLIN) == POLLIN);
    expect(read(s, (void *)1, 5), -1, EFAULT);
    expect(close(s) | close(m), 0, 0);
}

int main(void)
{
    struct statfs fs;
    if (statfs("/dev/pts", &fs) || fs.f_type != 0x1cd1)
        return test_skip("no /dev/pts");
    names();
    closed_slave();
    closed_master();
    hangup_wakes();
    packets();
    much();
    wakes_epoll();
    many();
    bad_addresses();
    return test_end();
}
