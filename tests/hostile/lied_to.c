/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program for hosts that lie: uses files of the host, clocks, sleeping, threads and
 * processes, and takes any error. What is none of the host's business must stay right: exit
 * status 99 and a line say what did not.
 */
#include <dirent.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORDS (1u << 17)

static void broken(const char *what)
{
    dprintf(2, "INVARIANT BROKEN: %s\n", what);
    _exit(99);
}

static uint64_t *pattern_new(void)
{
    uint64_t *p =
        mmap(NULL, WORDS * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        exit(3);
    for (size_t i = 0; i < WORDS; i++)
        p[i] = i * 0x9e3779b97f4a7c15u;
    return p;
}

static void pattern_check(const uint64_t *p)
{
    for (size_t i = 0; i < WORDS; i++) {
        if (p[i] != i * 0x9e3779b97f4a7c15u)
            broken("private memory");
    }
}

static void clocks(void)
{
    static __thread struct timespec last;
    struct timespec now, nap = {0, 200000};

    for (int i = 0; i < 20; i++) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec < last.tv_sec ||
            (now.tv_sec == last.tv_sec && now.tv_nsec < last.tv_nsec) || now.tv_nsec < 0 ||
            now.tv_nsec > 999999999)
            broken("the monotonic clock");
        last = now;
        if (i % 10 == 0)
            nanosleep(&nap, NULL);
    }
}

/* Files of the host: bounds of the answers are all that can be expected. */
static void host_files(const char *folder)
{
    char path[512], *buffer = malloc(8192 + 64);
    struct statfs fs;
    struct dirent *d;
    struct stat st;
    DIR *dir = opendir(folder);

    for (int n = 0; dir && n < 40 && (d = readdir(dir)); n++) {
        if (memchr(d->d_name, 0, sizeof(d->d_name)) == NULL || strchr(d->d_name, '/'))
            broken("a directory entry's name");
        if (snprintf(path, sizeof(path), "%s/%s", folder, d->d_name) >= (int)sizeof(path))
            continue;
        (void)!lstat(path, &st);
        ssize_t r = readlink(path, buffer, 4096);
        if (r > 4096)
            broken("readlink's result");
        int fd = open(path, O_RDONLY | O_NONBLOCK);
        memset(buffer + 8192, 0x5a, 64);
        if ((r = read(fd, buffer, 8192)) > 8192)
            broken("read's result");
        for (int i = 0; i < 64; i++) {
            if (buffer[8192 + i] != 0x5a)
                broken("memory after a buffer");
        }
        (void)!fstatfs(fd, &fs);
        close(fd);
    }
    if (dir)
        closedir(dir);
    snprintf(path, sizeof(path), "%s/scratch/file", folder);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    if (fd >= 0) {
        (void)!write(fd, buffer, 5000);
        (void)!fsync(fd);
        (void)!fdatasync(fd);
        (void)!ftruncate(fd, 100);
        (void)!lseek(fd, 0, SEEK_END);
        void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p != MAP_FAILED)
            munmap(p, 4096);
        close(fd);
        (void)!unlink(path);
    }
    free(buffer);
}

static void own_files(void)
{
    static char out[70000], in[70000];
    int fd = open("/tmp/own", O_RDWR | O_CREAT | O_TRUNC, 0600), pair[2];

    for (size_t i = 0; i < sizeof(out); i++)
        out[i] = (char)(i * 7 + i / 256);
    if (fd >= 0) {
        if (write(fd, out, sizeof(out)) == sizeof(out) &&
            (pread(fd, in, sizeof(in), 0) != sizeof(in) || memcmp(in, out, sizeof(in))))
            broken("a file in memory");
        close(fd);
    }
    if (pipe(pair) == 0) {
        if (write(pair[1], out, 4096) != 4096 || read(pair[0], in, 4096) != 4096 ||
            memcmp(in, out, 4096))
            broken("a pipe");
        close(pair[0]);
        close(pair[1]);
    }
    fd = open("/synced", O_RDWR | O_CREAT, 0600); /* in the store */
    for (int i = 0; i < 3; i++)
        (void)!(write(fd, out, 100) + fsync(fd));
    close(fd);
    fd = open("/bin/data", O_RDONLY); /* verified */
    ssize_t r = fd < 0 ? 0 : read(fd, in, sizeof(in));
    for (ssize_t i = 0; i < r; i++) {
        if (in[i] != "0123456789\n"[i % 11])
            broken("a verified file");
    }
    close(fd);
}

/* At most what was asked for, and nothing behind it. */
static void receive(int fd, char *buffer, int datagrams)
{
    char control[64];
    struct sockaddr_in6 from;
    struct iovec part = {buffer, 3000};
    struct msghdr m = {&from, sizeof(from), &part, 1, control, sizeof(control), 0};

    memset(buffer + 3000, 0x5a, 64);
    ssize_t r = datagrams ? recvmsg(fd, &m, 0) : recv(fd, buffer, 3000, 0);
    if (r > 3000 || m.msg_controllen > sizeof(control))
        broken("what was received");
    for (int i = 0; i < 64; i++) {
        if (buffer[3000 + i] != 0x5a)
            broken("memory after what was received");
    }
}

static void ask(int fd)
{
    char value[64], table[512];
    socklen_t size = 40;
    struct sockaddr_in6 name;
    struct ifconf c = {.ifc_len = 256, .ifc_buf = table};

    memset(value, 0x5a, sizeof(value));
    (void)!getsockopt(fd, IPPROTO_TCP, TCP_INFO, value, &size);
    if (size > 40 || value[40] != 0x5a)
        broken("an option's size");
    size = sizeof(name);
    if (getsockname(fd, (void *)&name, &size) == 0 && size != sizeof(struct sockaddr_in))
        broken("a name's size");
    memset(table, 0x5a, sizeof(table));
    if (ioctl(fd, SIOCGIFCONF, &c) == 0 && (c.ifc_len < 0 || c.ifc_len > 256))
        broken("the table of interfaces");
    if (table[256] != 0x5a)
        broken("memory after the table of interfaces");
}

/* What an ICMP message would say of a datagram that nobody wants. */
static void errors_of(int s, char *buffer)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char control[64];
    struct iovec part = {buffer, 16};
    struct msghdr m = {.msg_name = &a,
                       .msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    int on = 1;
    (void)!setsockopt(s, 0, 11, &on, sizeof(on)); /* IP_RECVERR */
    a.sin_port = htons(1);
    m.msg_namelen = sizeof(a);
    (void)!sendto(s, buffer, 16, MSG_NOSIGNAL, (void *)&a, sizeof(a));
    for (int i = 0; i < 3; i++) {
        m.msg_controllen = sizeof(control);
        ssize_t n = recvmsg(s, &m, MSG_ERRQUEUE);
        if (n > 16 || (n >= 0 && m.msg_controllen > sizeof(control)))
            broken("a queue of errors");
        (void)!recv(s, buffer, 16, MSG_DONTWAIT);
    }
}

/* Sockets of the host: as with its files. Those that connect inside ask it for names only. */
static void host_sockets(int type, int outside)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {0, 20000};
    socklen_t size = sizeof(a);
    char *buffer = calloc(1, 20000);
    int l = socket(AF_INET, type, 0), c = socket(AF_INET, type | SOCK_NONBLOCK, 0), s = l;

    if (outside) {
        (void)!setsockopt(c, SOL_SOCKET, SO_DONTROUTE, &outside, sizeof(outside));
        (void)!setsockopt(l, SOL_SOCKET, SO_DONTROUTE, &outside, sizeof(outside));
    }
    (void)!setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)!bind(l, (void *)&a, sizeof(a));
    (void)!getsockname(l, (void *)&a, &size);
    ask(l);
    if (type == SOCK_STREAM)
        (void)!listen(l, 4);
    (void)!connect(c, (void *)&a, sizeof(a));
    if (type == SOCK_STREAM)
        s = accept(l, NULL, NULL);
    (void)!setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    ask(s);
    for (int i = 0; i < 3; i++) {
        (void)!send(c, buffer, i * 7000, MSG_NOSIGNAL);
        receive(s, buffer, type == SOCK_DGRAM);
    }
    if (type == SOCK_DGRAM)
        errors_of(c, buffer);
    (void)!send(s, buffer, 5000, MSG_NOSIGNAL);
    (void)!shutdown(c, SHUT_WR);
    receive(s, buffer, 0);
    if (s != l)
        close(s);
    receive(c, buffer, 0);
    close(c);
    close(l);
    free(buffer);
}

/* The host never hears of these. */
static void own_sockets(void)
{
    char out[5000], in[5000];
    int pair[2];

    memset(out, 0x77, sizeof(out));
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        return;
    if (send(pair[0], out, sizeof(out), 0) != sizeof(out) ||
        recv(pair[1], in, sizeof(in), MSG_WAITALL) != sizeof(in) || memcmp(in, out, sizeof(in)))
        broken("a UNIX socket");
    close(pair[0]);
    if (recv(pair[1], in, 1, 0) != 0)
        broken("the end of a UNIX socket");
    close(pair[1]);
}

static void *thread(void *arg)
{
    double x = 1;

    for (int i = 0; i < 200000; i++)
        x = x * 1.0000001 + 1e-9;
    clocks();
    return x > 1.0201 && x < 1.0207 ? NULL : (void *)1;
}

static void processes(char *self)
{
    char *argv[] = {self, "child", NULL}, *envp[] = {NULL};
    pid_t pid;
    int status;

    if (posix_spawn(&pid, self, NULL, NULL, argv, envp))
        return;
    if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) != 8)
        broken("a child's status");
}

int main(int argc, char **argv)
{
    struct pollfd in = {.fd = 0, .events = POLLIN};
    struct winsize size;
    uint64_t *pattern;
    pthread_t other;
    void *result = NULL;

    if (argc > 1 && !strcmp(argv[1], "child"))
        return 8;
    pattern = pattern_new();
    for (int round = 0; round < 2; round++) {
        int threaded = !pthread_create(&other, NULL, thread, NULL);
        clocks();
        host_files("/host");
        own_files();
        host_sockets(round ? SOCK_DGRAM : SOCK_STREAM, 1);
        host_sockets(round ? SOCK_DGRAM : SOCK_STREAM, 0);
        own_sockets();
        processes(argv[0]);
        (void)!poll(&in, 1, 1);
        (void)!ioctl(1, TIOCGWINSZ, &size);
        (void)!write(1, "round\n", 6);
        if (threaded && (pthread_join(other, &result) || result))
            broken("floating point");
        pattern_check(pattern);
    }
    return 0;
}
