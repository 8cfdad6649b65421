/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Job control: controlling terminals, foreground groups, background reads and writes, signals
 * of keys, stopping and continuing, orphaned groups. A child leads a session of its own on a
 * pseudo terminal, as a shell does; it reports by its exit status.
 */
#include "tests/guest/test.h"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>

static int master, slave;

/* Runs a function as the leader of a session on the terminal. */
static void session(const char *name, void (*leader)(void))
{
    int status;
    must(openpty(&master, &slave, NULL, NULL, NULL));
    pid_t child = must(fork());
    if (!child) {
        alarm(30);
        must(setsid());
        must(ioctl(slave, TIOCSCTTY, 0));
        leader();
        _exit(test_end());
    }
    expect(waitpid(child, &status, 0), child, 0);
    if (status)
        fprintf(stderr, "%s: status 0x%x\n", name, status);
    expect(status, 0, 0);
    expect(close(master) | close(slave), 0, 0);
}

/* As shells do it, which may be in the background themselves. */
static void front(pid_t group)
{
    signal(SIGTTOU, SIG_IGN);
    expect(tcsetpgrp(slave, group), 0, 0);
    signal(SIGTTOU, SIG_DFL);
}

static void take_back(void)
{
    front(getpgrp());
}

/* A child in a group of its own. */
static pid_t job(void (*work)(void), int foreground)
{
    pid_t pid = must(fork());
    if (!pid) {
        setpgid(0, 0);
        alarm(30);
        work();
        _exit(0);
    }
    setpgid(pid, pid);
    if (foreground)
        front(pid);
    return pid;
}

static int stopped_by(pid_t pid)
{
    int status = 0;
    return waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) ? WSTOPSIG(status)
                                                                         : -1;
}

static int ended(pid_t pid)
{
    int status = -1;
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

static void type(const char *text)
{
    expect(write(master, text, strlen(text)), strlen(text), 0);
}

/* ---- controlling terminals ---- */

static void controlling(void)
{
    int sid = 0, group = 0, fd = must(open("/dev/tty", O_RDWR)), other_master, other;
    expect(tcgetsid(slave), getpid(), 0);
    expect(tcgetpgrp(slave), getpgrp(), 0);
    expect(ioctl(master, TIOCGSID, &sid), 0, 0);
    expect(sid, getpid(), 0);
    expect(ioctl(master, TIOCGPGRP, &group), 0, 0);
    expect(group, getpgrp(), 0);
    expect(write(fd, "x", 1), 1, 0);
    struct stat st;
    unsigned tty_nr = 0;
    int foreground = 0;
    FILE *stat = fopen("/proc/self/stat", "r");
    expect(fscanf(stat, "%*d (%*[^)]) %*c %*d %*d %*d %u %d", &tty_nr, &foreground), 2, 0);
    fclose(stat);
    expect(fstat(slave, &st), 0, 0);
    expect(tty_nr == st.st_rdev && foreground == getpgrp(), 1, 0);
    expect(ioctl(slave, TIOCSCTTY, 0), 0, 0); /* once more is nothing */
    must(openpty(&other_master, &other, NULL, NULL, NULL));
    expect(ioctl(other, TIOCSCTTY, 0), -1, EPERM); /* it has one */
    expect(tcgetsid(other), -1, ENOTTY);
    expect(tcgetpgrp(other), -1, ENOTTY);
    expect(tcsetpgrp(other, getpgrp()), -1, ENOTTY);
    expect(tcsetpgrp(slave, 4000000), -1, ESRCH);
    expect(tcsetpgrp(slave, -5), -1, EINVAL);
    pid_t child = must(fork());
    if (!child) { /* a new session has no terminal, and does not get one that is taken */
        must(setsid());
        expect(open("/dev/tty", O_RDWR), -1, ENXIO);
        expect(tcgetpgrp(slave), -1, ENOTTY);
        expect(ioctl(slave, TIOCSCTTY, 0), -1, EPERM);
        _exit(test_end());
    }
    expect(ended(child), 0, 0);
    child = must(fork());
    if (!child) { /* one that gives it up alone */
        expect(ioctl(slave, TIOCNOTTY), 0, 0);
        expect(open("/dev/tty", O_RDWR), -1, ENXIO);
        expect(ioctl(slave, TIOCNOTTY), -1, ENOTTY);
        _exit(test_end());
    }
    expect(ended(child), 0, 0);
    expect(close(must(open("/dev/tty", O_RDWR))), 0, 0);
    signal(SIGHUP, SIG_IGN);
    expect(ioctl(slave, TIOCNOTTY), 0, 0);
    expect(open("/dev/tty", O_RDWR), -1, ENXIO);
    char name[64];
    expect(ttyname_r(other, name, sizeof(name)), 0, 0);
    fd = must(open(name, O_RDWR | O_NOCTTY));
    expect(open("/dev/tty", O_RDWR), -1, ENXIO);
    fd = must(open(name, O_RDWR)); /* opening gives a leader its terminal */
    expect(tcgetsid(fd), getpid(), 0);
}

static volatile sig_atomic_t got[65];
static void count(int sig)
{
    got[sig]++;
}

static void catch (int sig)
{
    struct sigaction a = {.sa_handler = count};
    sigaction(sig, &a, NULL);
}

static void wait_for(int sig)
{
    for (int i = 0; i < 10000 && !got[sig]; i++)
        poll(NULL, 0, 1);
    expect(got[sig] > 0, 1, 0);
}

/* ---- keys ---- */

static int ready[2];

static void wait_ready(void)
{
    char c;
    expect(read(ready[0], &c, 1), 1, 0);
}

static void say_ready(void)
{
    if (write(ready[1], "r", 1) != 1)
        _exit(9);
}

static void sleeper(void)
{
    say_ready();
    for (;;)
        pause();
}

static void keys(void)
{
    char echo[8];
    must(pipe(ready));
    pid_t p = job(sleeper, 1);
    wait_ready();
    type("\003");
    expect(ended(p), SIGINT, 0);
    p = job(sleeper, 1);
    wait_ready();
    type("\034");
    expect(ended(p) & 0x7f, SIGQUIT, 0);
    p = job(sleeper, 1);
    wait_ready();
    type("\032");
    expect(stopped_by(p), SIGTSTP, 0);
    take_back();
    front(p);
    expect(kill(-p, SIGCONT), 0, 0);
    int status = 0;
    expect(waitpid(p, &status, WCONTINUED), p, 0);
    expect(WIFCONTINUED(status), 1, 0);
    type("\003");
    expect(ended(p), SIGINT, 0);
    take_back();
    expect(read(master, echo, 8), 8, 0);
    expect(memcmp(echo, "^C^\\^Z^C", 8), 0, 0);
    /* The size of the window is news for the foreground. */
    catch (SIGWINCH);
    struct winsize w = {30, 100, 0, 0};
    expect(ioctl(master, TIOCSWINSZ, &w), 0, 0);
    wait_for(SIGWINCH);
    int before = got[SIGWINCH];
    expect(ioctl(master, TIOCSWINSZ, &w), 0, 0); /* the same again is none */
    expect(got[SIGWINCH], before, 0);
    catch (SIGINT);
    expect(ioctl(master, TIOCSIG, SIGINT), 0, 0);
    wait_for(SIGINT);
}

/* ---- the background ---- */

static void reader(void)
{
    char c[16];
    ssize_t n = read(slave, c, sizeof(c));
    _exit(n == 5 && !memcmp(c, "line\n", 5) ? 3 : 4);
}

static void writer(void)
{
    _exit(write(slave, "out", 3) == 3 ? 5 : 6);
}

static void setter(void)
{
    struct termios t;
    tcgetattr(slave, &t);
    _exit(tcsetattr(slave, TCSANOW, &t) ? 7 : 8);
}

static void ignorer(void)
{
    char c;
    signal(SIGTTIN, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);
    expect(read(slave, &c, 1), -1, EIO);
    expect(write(slave, "o", 1), 1, 0);
    _exit(test_end());
}

static void background(void)
{
    struct termios t;
    pid_t p = job(reader, 0);
    expect(stopped_by(p), SIGTTIN, 0);
    front(p);
    expect(kill(-p, SIGCONT), 0, 0);
    type("line\n");
    expect(ended(p), 3 << 8, 0);
    take_back();
    p = job(writer, 0); /* may, unless TOSTOP */
    expect(ended(p), 5 << 8, 0);
    expect(tcgetattr(slave, &t), 0, 0);
    t.c_lflag |= TOSTOP;
    expect(tcsetattr(slave, TCSANOW, &t), 0, 0);
    p = job(writer, 0);
    expect(stopped_by(p), SIGTTOU, 0);
    front(p);
    expect(kill(-p, SIGCONT), 0, 0);
    expect(ended(p), 5 << 8, 0);
    take_back();
    p = job(ignorer, 0);
    expect(ended(p), 0, 0);
    t.c_lflag &= ~(tcflag_t)TOSTOP;
    expect(tcsetattr(slave, TCSANOW, &t), 0, 0);
    p = job(setter, 0); /* changing the terminal is never for the background */
    expect(stopped_by(p), SIGTTOU, 0);
    expect(kill(-p, SIGKILL), 0, 0);
    expect(ended(p), SIGKILL, 0);
}

/* ---- orphaned groups ---- */

static int report[2];

/* Its parent ends, so that nobody of its session could continue it. */
static void orphan(void)
{
    char c;
    while (getppid() != 1 && poll(NULL, 0, 1) == 0)
        ;
    int bad = read(slave, &c, 1) != -1 || errno != EIO;
    raise(SIGTSTP); /* does nothing */
    bad |= kill(getpid(), SIGTTIN) != 0;
    c = bad ? 'b' : 'g';
    if (write(report[1], &c, 1) != 1)
        _exit(1);
}

static void parent_of_orphan(void)
{
    pid_t p = must(fork());
    if (!p) {
        setpgid(0, 0);
        alarm(30);
        orphan();
        _exit(0);
    }
    setpgid(p, p);
}

/* Stopped when its parent ends: SIGHUP and SIGCONT. */
static void on_hangup(int sig)
{
    (void)sig;
    if (write(report[1], "h", 1) != 1)
        _exit(1);
    _exit(0);
}

static void parent_of_stopped(void)
{
    int status;
    pid_t p = must(fork());
    if (!p) {
        setpgid(0, 0);
        signal(SIGHUP, on_hangup);
        alarm(30);
        raise(SIGSTOP);
        for (;;)
            pause();
    }
    setpgid(p, p);
    if (waitpid(p, &status, WUNTRACED) != p || !WIFSTOPPED(status))
        _exit(1);
}

static void orphans(void)
{
    char c = 0;
    must(pipe(report));
    expect(ended(job(parent_of_stopped, 0)), 0, 0);
    expect(read(report[0], &c, 1), 1, 0);
    expect(c, 'h', 0);
    expect(ended(job(parent_of_orphan, 0)), 0, 0);
    expect(read(report[0], &c, 1), 1, 0);
    expect(c, 'g', 0);
}

/* ---- the end ---- */

static void hung_up(void)
{
    char c;
    catch (SIGHUP);
    catch (SIGCONT);
    expect(close(master), 0, 0); /* the parent's copy was closed as well */
    wait_for(SIGHUP);
    wait_for(SIGCONT);
    expect(read(slave, &c, 1), 0, 0);
    expect(open("/dev/tty", O_RDWR), -1, ENXIO);
}

/* The leader ends: its foreground group hears SIGHUP, and the terminal is free again. */
static void leader_ends(void)
{
    int status, other, after[2];
    char c = 0;
    must(openpty(&master, &other, NULL, NULL, NULL));
    slave = other;
    must(pipe(report));
    must(pipe(after));
    pid_t leader = must(fork());
    if (!leader) {
        must(setsid());
        must(ioctl(slave, TIOCSCTTY, 0));
        must(pipe(ready));
        pid_t p = must(fork());
        if (!p) {
            setpgid(0, 0);
            signal(SIGHUP, on_hangup);
            alarm(30);
            sleeper();
        }
        setpgid(p, p);
        tcsetpgrp(slave, p);
        wait_ready();
        _exit(0);
    }
    expect(waitpid(leader, &status, 0), leader, 0);
    expect(status, 0, 0);
    expect(read(report[0], &c, 1), 1, 0);
    expect(c, 'h', 0);
    expect(ioctl(master, TIOCGSID, &status), -1, ENOTTY);
    expect(close(master) | close(slave), 0, 0);
}

static void hangup(void)
{
    int status;
    must(openpty(&master, &slave, NULL, NULL, NULL));
    pid_t child = must(fork());
    if (!child) {
        alarm(30);
        must(setsid());
        must(ioctl(slave, TIOCSCTTY, 0));
        hung_up();
        _exit(test_end());
    }
    expect(close(master) | close(slave), 0, 0);
    expect(waitpid(child, &status, 0), child, 0);
    expect(status, 0, 0);
}

int main(void)
{
    session("controlling", controlling);
    session("keys", keys);
    session("background", background);
    session("orphans", orphans);
    hangup();
    leader_ends();
    return test_end();
}
