/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inotify: every event, moves with cookies, files that go away, one-shot watches, the queue's
 * end, small buffers. RW: yes
 */
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include "tests/guest/test.h"

static int fd;
static char got[8192];

/* All events that are there: "wd:mask:name" with moves' cookies compared, one after another. */
static const char *events(void)
{
    char buffer[4096] __attribute__((aligned(8)));
    size_t used = 0;
    uint32_t cookie = 0;
    ssize_t n;
    got[0] = 0;
    while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
        for (ssize_t at = 0; at < n;) {
            struct inotify_event *e = (struct inotify_event *)(buffer + at);
            used += (size_t)snprintf(got + used, sizeof(got) - used, "%d:%x:%s ", e->wd,
                                     e->mask, e->len ? e->name : "");
            if (e->mask & IN_MOVED_FROM)
                cookie = e->cookie;
            if (e->mask & IN_MOVED_TO && cookie && e->cookie != cookie)
                used += (size_t)snprintf(got + used, sizeof(got) - used, "COOKIE ");
            expect(e->len % 16, 0, 0);
            at += (ssize_t)(sizeof(*e) + e->len);
        }
    }
    expect(read(fd, buffer, sizeof(buffer)), -1, EAGAIN);
    return got;
}

static void are_at(int line, const char *want)
{
    const char *have = events();
    if (strcmp(have, want))
        fprintf(stderr, "line %d: \"%s\"\n", line, have);
    expect(strcmp(have, want), 0, 0);
}
#define are(want) are_at(__LINE__, want)

static void directory(void)
{
    int wd = must(inotify_add_watch(fd, "d", IN_ALL_EVENTS));
    expect(wd, 1, 0);
    int file = must(open("d/f", O_CREAT | O_RDWR, 0600));
    are("1:100:f 1:20:f ");
    expect(write(file, "abc", 3), 3, 0);
    expect(write(file, "abc", 3), 3, 0);
    are("1:2:f ");
    expect(pread(file, got, 3, 0), 3, 0);
    are("1:1:f ");
    expect(ftruncate(file, 1), 0, 0);
    are("1:2:f ");
    expect(fchmod(file, 0644), 0, 0);
    are("1:4:f ");
    close(file);
    are("1:8:f ");
    file = must(open("d/f", O_RDONLY));
    close(file);
    are("1:20:f 1:10:f ");
    expect(mkdir("d/sub", 0755), 0, 0);
    are("1:40000100:sub ");
    expect(symlink("f", "d/l"), 0, 0);
    expect(mkfifo("d/p", 0600), 0, 0);
    are("1:100:l 1:100:p ");
    expect(link("d/f", "d/g"), 0, 0);
    are("1:100:g ");
    expect(rename("d/g", "d/h"), 0, 0);
    are("1:40:g 1:80:h ");
    expect(rename("d/h", "h"), 0, 0);
    are("1:40:h ");
    expect(rename("h", "d/f2"), 0, 0);
    expect(unlink("d/f2"), 0, 0);
    are("1:80:f2 1:200:f2 ");
    expect(rmdir("d/sub"), 0, 0);
    are("1:40000200:sub ");
    expect(unlink("d/l") | unlink("d/p"), 0, 0);
    are("1:200:l 1:200:p ");
    struct timespec times[2] = {{1, 0}, {2, 0}};
    expect(utimensat(AT_FDCWD, "d/f", times, 0), 0, 0);
    times[0].tv_nsec = UTIME_OMIT;
    expect(utimensat(AT_FDCWD, "d/f", times, 0), 0, 0);
    are("1:4:f 1:2:f ");
}

static void single_file(void)
{
    int wd = must(inotify_add_watch(fd, "d/f", IN_ALL_EVENTS));
    expect(wd, 2, 0);
    expect(link("d/f", "other"), 0, 0);
    are("2:4: ");
    expect(rename("other", "other2"), 0, 0);
    are("2:800: ");
    expect(unlink("other2"), 0, 0);
    are("2:4: ");
    int file = must(open("d/f", O_WRONLY));
    expect(unlink("d/f"), 0, 0);
    are("1:20:f 2:20: 2:4: 1:200:f ");
    close(file);
    events(); /* whether the directory hears of the end differs between kernels */
    expect(strstr(got, "2:8: 2:400: 2:8000: ") != NULL, 1, 0);
    expect(inotify_rm_watch(fd, wd), -1, EINVAL);
}

static void the_directory_itself(void)
{
    expect(chmod("d", 0700), 0, 0);
    are("1:40000004: ");
    expect(rename("d", "d2"), 0, 0);
    are("1:800: ");
    expect(rmdir("d2"), 0, 0);
    are("1:400: 1:8000: ");
}

static void masks(void)
{
    test_write_file("m", "m");
    int wd = must(inotify_add_watch(fd, "m", IN_MODIFY | IN_ONESHOT));
    int file = must(open("m", O_WRONLY));
    expect(write(file, "1", 1), 1, 0);
    expect(write(file, "2", 1), 1, 0);
    close(file);
    char want[64];
    snprintf(want, sizeof(want), "%d:2: %d:8000: ", wd, wd);
    are(want);
    wd = must(inotify_add_watch(fd, "m", IN_OPEN));
    expect(inotify_add_watch(fd, "m", IN_ATTRIB | IN_MASK_ADD), wd, 0);
    expect(inotify_add_watch(fd, "m", IN_ATTRIB | IN_MASK_CREATE), -1, EEXIST);
    close(must(open("m", O_RDONLY)));
    expect(chmod("m", 0600), 0, 0);
    snprintf(want, sizeof(want), "%d:20: %d:4: ", wd, wd);
    are(want);
    expect(inotify_add_watch(fd, "m", IN_CLOSE), wd, 0);
    close(must(open("m", O_RDONLY)));
    snprintf(want, sizeof(want), "%d:10: ", wd);
    are(want);
    expect(inotify_rm_watch(fd, wd), 0, 0);
    snprintf(want, sizeof(want), "%d:8000: ", wd);
    are(want);
    expect(inotify_add_watch(fd, "m", IN_OPEN | IN_ONLYDIR), -1, ENOTDIR);
    expect(inotify_add_watch(fd, "none", IN_OPEN), -1, ENOENT);
    expect(inotify_add_watch(fd, "m", 0), -1, EINVAL);
    expect(inotify_add_watch(0, "m", IN_OPEN), -1, EINVAL);
    expect(inotify_add_watch(-1, "m", IN_OPEN), -1, EBADF);
    expect(inotify_init1(1), -1, EINVAL);
}

static void waiting(void)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char small[16];
    int bytes;
    int wd = must(inotify_add_watch(fd, ".", IN_CREATE));
    expect(poll(&p, 1, 0), 0, 0);
    pid_t child = must(fork());
    if (child == 0) {
        test_write_file("from-child", "x");
        _exit(0);
    }
    expect(poll(&p, 1, 10000), 1, 0);
    expect(p.revents, POLLIN, 0);
    expect(ioctl(fd, FIONREAD, &bytes), 0, 0);
    expect(bytes, 32, 0);
    expect(read(fd, small, sizeof(small)), -1, EINVAL);
    char want[64];
    snprintf(want, sizeof(want), "%d:100:from-child ", wd);
    are(want);
    expect(waitpid(child, NULL, 0), child, 0);
    inotify_rm_watch(fd, wd);
    events();
}

static void overflow(void)
{
    char buffer[65536];
    int wd = must(inotify_add_watch(fd, "m", IN_ATTRIB | IN_MODIFY));
    long count = 0, overflows = 0;
    ssize_t n;
    for (int i = 0; i < 9000; i++) { /* two kinds by turns, so that they are not merged */
        must(chmod("m", 0600));
        must(truncate("m", 1));
    }
    while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
        for (ssize_t at = 0; at < n; at += (ssize_t)sizeof(struct inotify_event)) {
            struct inotify_event *e = (struct inotify_event *)(buffer + at);
            count++;
            overflows += e->mask == IN_Q_OVERFLOW && e->wd == -1;
        }
    }
    expect(overflows, 1, 0);
    expect(count > 1000 && count < 18000, 1, 0);
    expect(inotify_rm_watch(fd, wd), 0, 0);
}

int main(void)
{
    test_dir();
    must(mkdir("d", 0755));
    fd = must(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    directory();
    single_file();
    the_directory_itself();
    masks();
    waiting();
    overflow();
    return test_end();
}
