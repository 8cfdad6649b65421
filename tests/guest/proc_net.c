/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /proc/net/tcp, tcp6, udp, udp6 and unix: this process's sockets stand there with addresses,
 * states and the inodes that /proc/self/fd shows, and go when they are closed.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/guest/test.h"

struct line {
    char local[40], remote[40];
    unsigned local_port, remote_port, state;
    unsigned long uid, inode;
};

static unsigned long inode_of(int fd)
{
    struct stat st;
    must(fstat(fd, &st));
    return st.st_ino;
}

/* The line of that socket in an INET table. */
static int find(const char *path, int fd, struct line *l)
{
    char text[400];
    unsigned long wanted = inode_of(fd);
    FILE *f = fopen(path, "r");
    if (!f)
        return -1;
    int found = 0, lines = 0;
    while (!found && fgets(text, sizeof(text), f)) {
        int n = sscanf(text,
                       " %*u: %39[0-9A-F]:%X %39[0-9A-F]:%X %X %*X:%*X %*X:%*X %*X %lu %*d %lu",
                       l->local, &l->local_port, l->remote, &l->remote_port, &l->state, &l->uid,
                       &l->inode);
        if (lines++)
            expect(n, 7, 0);
        found = n == 7 && l->inode == wanted;
    }
    fclose(f);
    return found;
}

static int in_unix(unsigned long wanted, const char *path, unsigned *flags, unsigned *state)
{
    char text[400], name[200];
    FILE *f = fopen("/proc/net/unix", "r");
    if (!f)
        return -1;
    int found = 0;
    while (!found && fgets(text, sizeof(text), f)) {
        unsigned long inode;
        unsigned type;
        name[0] = 0;
        if (sscanf(text, "%*[0-9a-f]: %*X %*X %X %X %X %lu %199s", flags, &type, state, &inode,
                   name) >= 4)
            found = inode == wanted && !strcmp(name, path);
    }
    fclose(f);
    return found;
}

static int bound(int family, int type)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    struct sockaddr_in6 b = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int s = must(socket(family, type, 0));
    if (family == AF_INET)
        must(bind(s, (void *)&a, sizeof(a)));
    else
        must(bind(s, (void *)&b, sizeof(b)));
    return s;
}

static unsigned port_of(int s, int peer)
{
    struct sockaddr_in6 a;
    socklen_t size = sizeof(a);
    must(peer ? getpeername(s, (void *)&a, &size) : getsockname(s, (void *)&a, &size));
    return ntohs(a.sin6_port);
}

static void streams(void)
{
    struct line l;
    struct sockaddr_in a;
    socklen_t size = sizeof(a);
    int fresh = must(socket(AF_INET, SOCK_STREAM, 0)), s = bound(AF_INET, SOCK_STREAM);
    expect(find("/proc/net/tcp", fresh, &l), 0, 0);
    expect(find("/proc/net/tcp", s, &l), 0, 0);
    must(listen(s, 5));
    expect(find("/proc/net/tcp", s, &l), 1, 0);
    expect(l.state, 10, 0);
    expect(strcmp(l.local, "0100007F"), 0, 0);
    expect(strcmp(l.remote, "00000000"), 0, 0);
    expect(l.local_port, port_of(s, 0), 0);
    expect(l.remote_port, 0, 0);
    expect(l.uid, geteuid(), 0);
    must(getsockname(s, (void *)&a, &size));
    must(connect(fresh, (void *)&a, size));
    int c = must(accept(s, NULL, NULL));
    expect(find("/proc/net/tcp", fresh, &l), 1, 0);
    expect(l.state, 1, 0);
    expect(l.remote_port, port_of(s, 0), 0);
    expect(l.local_port, port_of(fresh, 0), 0);
    expect(find("/proc/self/net/tcp", c, &l), 1, 0);
    expect(l.state, 1, 0);
    expect(l.local_port, port_of(s, 0), 0);
    expect(l.remote_port, port_of(fresh, 0), 0);
    close(c);
    close(fresh);
    close(s);
}

static void others(void)
{
    struct line l;
    int u = must(socket(AF_INET, SOCK_DGRAM, 0));
    expect(find("/proc/net/udp", u, &l), 0, 0);
    close(u);
    u = bound(AF_INET, SOCK_DGRAM);
    expect(find("/proc/net/udp", u, &l), 1, 0);
    expect(l.state, 7, 0);
    expect(l.local_port, port_of(u, 0), 0);
    close(u);
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 b = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    int have = probe >= 0 && bind(probe, (void *)&b, sizeof(b)) == 0;
    close(probe);
    if (!have)
        return;
    int s = bound(AF_INET6, SOCK_STREAM);
    must(listen(s, 1));
    expect(find("/proc/net/tcp6", s, &l), 1, 0);
    expect(l.state, 10, 0);
    expect(strcmp(l.local, "00000000000000000000000001000000"), 0, 0);
    close(s);
    s = bound(AF_INET6, SOCK_DGRAM);
    expect(find("/proc/net/udp6", s, &l), 1, 0);
    close(s);
}

static void unix_sockets(void)
{
    unsigned flags, state;
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int s = must(socket(AF_UNIX, SOCK_STREAM, 0));
    must(bind(s, (void *)&a, sizeof(a)));
    unsigned long inode = inode_of(s);
    expect(in_unix(inode, "socket", &flags, &state), 1, 0);
    expect(state, 1, 0);
    expect(flags, 0, 0);
    must(listen(s, 1));
    expect(in_unix(inode, "socket", &flags, &state), 1, 0);
    expect(flags, 0x10000, 0);
    int c = must(socket(AF_UNIX, SOCK_STREAM, 0));
    must(connect(c, (void *)&a, sizeof(a)));
    expect(in_unix(inode_of(c), "", &flags, &state), 1, 0);
    expect(state, 3, 0);
    close(c);
    close(s);
    expect(in_unix(inode, "socket", &flags, &state), 0, 0);
    snprintf(a.sun_path, sizeof(a.sun_path), "%cabstract.%d", 0, getpid());
    s = must(socket(AF_UNIX, SOCK_DGRAM, 0));
    char shown[40];
    int n = snprintf(shown, sizeof(shown), "@abstract.%d", getpid());
    must(bind(s, (void *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)));
    expect(in_unix(inode_of(s), shown, &flags, &state), 1, 0);
    close(s);
}

int main(void)
{
    test_dir();
    streams();
    others();
    unix_sockets();
    return test_end();
}
