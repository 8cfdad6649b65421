/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What sockets, pipes and terminals refuse without the capability that it takes, whoever the
 * user is: each is dropped by a process that is root, and lacks it after a change of user.
 */
#include <arpa/inet.h>
#include <linux/capability.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tests/guest/test.h"

static void without(unsigned capability)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2];
    must(syscall(SYS_capget, &h, d));
    d[capability / 32].effective &= ~(1u << capability % 32);
    must(syscall(SYS_capset, &h, d));
}

static int bind_port(uint16_t port)
{
    int s = must(socket(AF_INET, SOCK_STREAM, 0)), on = 1;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
    int r = bind(s, (void *)&a, sizeof(a)), e = errno;
    close(s);
    errno = e;
    return r;
}

static int set_option(int family, int name)
{
    int s = must(socket(family, SOCK_DGRAM, 0)), value = 4096;
    int r = setsockopt(s, SOL_SOCKET, name, &value, sizeof(value)), e = errno;
    close(s);
    errno = e;
    return r;
}

static ssize_t send_as(pid_t pid, uid_t uid, gid_t gid)
{
    int pair[2];
    struct ucred u = {pid, uid, gid};
    char byte = 'x', control[CMSG_SPACE(sizeof(u))] = {0};
    struct iovec v = {&byte, 1};
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_CREDENTIALS;
    c->cmsg_len = CMSG_LEN(sizeof(u));
    memcpy(CMSG_DATA(c), &u, sizeof(u));
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    ssize_t r = sendmsg(pair[0], &m, 0);
    int e = errno;
    close(pair[0]);
    close(pair[1]);
    errno = e;
    return r;
}

static int raw_socket(void)
{
    int s = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    return s < 0 ? s : close(s);
}

static int grow_pipe(void)
{
    int p[2];
    must(pipe(p));
    int r = fcntl(p[1], F_SETPIPE_SZ, 1 << 22), e = errno;
    close(p[0]);
    close(p[1]);
    errno = e;
    return r < 0 ? r : 0;
}

static long lowest_port(void)
{
    char text[32];
    long port = 1024;
    FILE *f = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "r");
    if (f && fgets(text, sizeof(text), f))
        port = strtol(text, NULL, 10);
    if (f)
        fclose(f);
    return port;
}

static void part(void (*run)(void))
{
    int status;
    pid_t child = must(fork());
    if (!child) {
        test_failures = 0;
        run();
        _exit(test_failures > 0);
    }
    must(waitpid(child, &status, 0));
    expect(status, 0, 0);
}

static void other_user(void)
{
    must(setresuid(1234, 1234, 1234));
    if (lowest_port() > 81)
        expect(bind_port(81), -1, EACCES);
    expect(raw_socket(), -1, EPERM);
    expect(set_option(AF_INET, SO_SNDBUFFORCE), -1, EPERM);
    expect(set_option(AF_INET, SO_RCVBUFFORCE), -1, EPERM);
    expect(set_option(AF_UNIX, SO_RCVBUFFORCE), -1, EPERM);
    expect(set_option(AF_INET, SO_MARK), -1, EPERM);
    expect(grow_pipe(), -1, EPERM);
    expect(send_as(getpid(), 1234, getgid()), 1, 0);
    expect(send_as(getpid(), 0, getgid()), -1, EPERM);
    expect(send_as(getppid(), 1234, getgid()), -1, EPERM);
}

static void no_bind(void)
{
    without(CAP_NET_BIND_SERVICE);
    if (lowest_port() > 81)
        expect(bind_port(81), -1, EACCES);
    without(CAP_NET_RAW);
    expect(raw_socket(), -1, EPERM);
    without(CAP_NET_ADMIN);
    expect(set_option(AF_INET, SO_SNDBUFFORCE), -1, EPERM);
    expect(set_option(AF_INET, SO_MARK), -1, EPERM);
}

static void no_resource(void)
{
    without(CAP_SYS_RESOURCE);
    expect(grow_pipe(), -1, EPERM);
}

static void no_other_name(void)
{
    expect(send_as(getppid(), 77, 78), 1, 0);
    without(CAP_SETGID);
    expect(send_as(getpid(), 77, getgid()), 1, 0);
    expect(send_as(getpid(), 77, 78), -1, EPERM);
    without(CAP_SETUID);
    expect(send_as(getpid(), 77, getgid()), -1, EPERM);
    expect(send_as(getppid(), getuid(), getgid()), 1, 0);
    without(CAP_SYS_ADMIN);
    expect(send_as(getppid(), getuid(), getgid()), -1, EPERM);
}

/* A terminal that another session has is taken by force only with the capability. */
static void take_terminal(void)
{
    int master, slave, status, ready[2];
    char byte;
    must(openpty(&master, &slave, NULL, NULL, NULL));
    must(pipe(ready));
    pid_t owner = must(fork());
    if (!owner) {
        must(setsid());
        expect(ioctl(slave, TIOCSCTTY, 0), 0, 0);
        must(write(ready[1], "x", 1));
        close(ready[1]);
        while (read(master, &byte, 1) < 0 && errno == EINTR)
            ;
        _exit(0);
    }
    expect(read(ready[0], &byte, 1), 1, 0);
    must(setsid());
    pid_t taker = must(fork());
    if (!taker) {
        must(setsid());
        without(CAP_SYS_ADMIN);
        expect(ioctl(slave, TIOCSCTTY, 1), -1, EPERM);
        _exit(test_failures > 0);
    }
    must(waitpid(taker, &status, 0));
    expect(status, 0, 0);
    expect(write(slave, "\n", 1), 1, 0);
    must(waitpid(owner, &status, 0));
}

int main(void)
{
    if (geteuid() != 0)
        return test_skip("capabilities are root's to drop");
    part(other_user);
    part(no_bind);
    part(no_resource);
    part(no_other_name);
    part(take_terminal);
    return test_end();
}
