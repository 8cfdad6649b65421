/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control calls of boundary/hostcalls.h. Arguments are what the header lists, in that
 * order. Not here: confinement. The enclave may do what the user who runs it may do.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "host/terminal.h"
#include "host/vcpu.h"

typedef int64_t hostcall_fn(struct vcpu_host *v, const uint64_t *a);

static int64_t result(int64_t rc)
{
    return rc < 0 ? -errno : rc;
}

static const char *str(uint64_t address)
{
    return (const char *)address;
}

static int64_t do_EXIT(struct vcpu_host *v, const uint64_t *a)
{
    machine_end(v->machine, (uint32_t)a[0], 0, NULL);
    return 0;
}

static int64_t do_CPU_TIME(struct vcpu_host *v, const uint64_t *a)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t do_WAIT(struct vcpu_host *v, const uint64_t *a)
{
    struct host_thread *t = v->thread;

    t->waiting = 1;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    struct ring_wait w = {.timeout_ns = a[0],
                          .min_complete = a[1] > RING_COMPLETIONS ? 1 : (uint32_t)a[1],
                          .gather_ns = a[2]};
    int64_t rc = v->ring.ops->wait(&v->ring, t, &w);
    t->waiting = 0;
    t->kicked = 0;
    if (a[1]) { /* idle: it looks at everything itself now; repeating the tick would not end */
        t->tick_pending = 0;
        vcpu_tick_taken(v);
    }
    return rc < 0 || !a[1] ? rc : do_CPU_TIME(v, a);
}

static int64_t do_KICK(struct vcpu_host *v, const uint64_t *a)
{
    return vcpu_kick(v->machine, a[0]);
}

static int64_t do_INTERRUPT(struct vcpu_host *v, const uint64_t *a)
{
    return vcpu_interrupt(v->machine, a[0]);
}

static int64_t do_TIMER(struct vcpu_host *v, const uint64_t *a)
{
    return vcpu_set_timer(v, a[0]);
}

static int64_t do_START_VCPU(struct vcpu_host *v, const uint64_t *a)
{
    return vcpu_start(v->machine, a[0]);
}

static int64_t do_LOG(struct vcpu_host *v, const uint64_t *a)
{
    return result(write(STDERR_FILENO, str(a[0]), a[1]));
}

static int64_t do_CLOCK(struct vcpu_host *v, const uint64_t *a)
{
    struct host_clock *c = (struct host_clock *)a[0];
    struct timespec mono, real;
    uint32_t low, high;

    clock_gettime(CLOCK_MONOTONIC, &mono);
    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high) : : "rcx");
    clock_gettime(CLOCK_REALTIME, &real);
    c->tsc = (uint64_t)high << 32 | low;
    c->monotonic_ns = (uint64_t)mono.tv_sec * 1000000000u + (uint64_t)mono.tv_nsec;
    c->realtime_ns = (uint64_t)real.tv_sec * 1000000000u + (uint64_t)real.tv_nsec;
    return 0;
}

static int64_t do_AUG(struct vcpu_host *v, const uint64_t *a)
{
    struct dev *dev = v->machine->dev;
    return dev->ops->aug(dev, a[0], a[1]);
}

static int64_t do_RESTRICT(struct vcpu_host *v, const uint64_t *a)
{
    struct dev *dev = v->machine->dev;
    return dev->ops->restrict_perms(dev, a[0], a[1], (uint32_t)a[2]);
}

static int64_t do_EXTEND(struct vcpu_host *v, const uint64_t *a)
{
    struct dev *dev = v->machine->dev;
    return dev->ops->extend(dev, a[0], a[1], (uint32_t)a[2]);
}

static int64_t do_TRIM(struct vcpu_host *v, const uint64_t *a)
{
    struct dev *dev = v->machine->dev;
    return dev->ops->trim(dev, a[0], a[1]);
}

static int64_t do_REMOVE(struct vcpu_host *v, const uint64_t *a)
{
    struct dev *dev = v->machine->dev;
    return dev->ops->remove(dev, a[0], a[1]);
}

static int64_t do_OPENAT(struct vcpu_host *v, const uint64_t *a)
{
    struct open_how how = {.flags = a[2], .mode = a[3], .resolve = a[4]};
    return result(syscall(SYS_openat2, (int)a[0], str(a[1]), &how, sizeof(how)));
}

static int64_t do_CLOSE(struct vcpu_host *v, const uint64_t *a)
{
    return result(close((int)a[0]));
}

static int64_t do_STATX(struct vcpu_host *v, const uint64_t *a)
{
    struct statx *out = (struct statx *)a[4];
    int64_t r = result(statx((int)a[0], str(a[1]), (int)a[2], (unsigned)a[3], out));

    if (!r && v->machine->observer)
        v->machine->observer->found((int)a[0], str(a[1]), out->stx_mode);
    return r;
}

static int64_t do_GETDENTS(struct vcpu_host *v, const uint64_t *a)
{
    if (v->machine->observer)
        v->machine->observer->listed((int)a[0]);
    return result(syscall(SYS_getdents64, (int)a[0], a[1], a[2]));
}

static int64_t do_READLINK(struct vcpu_host *v, const uint64_t *a)
{
    int64_t n = result(readlinkat((int)a[0], str(a[1]), (char *)a[2], a[3]));

    if (n >= 0 && v->machine->observer)
        v->machine->observer->link_read((int)a[0], str(a[1]), (const char *)a[2], (size_t)n);
    return n;
}

static int64_t do_MKDIR(struct vcpu_host *v, const uint64_t *a)
{
    return result(mkdirat((int)a[0], str(a[1]), (mode_t)a[2]));
}

static int64_t do_UNLINK(struct vcpu_host *v, const uint64_t *a)
{
    return result(unlinkat((int)a[0], str(a[1]), (int)a[2]));
}

static int64_t do_RENAME(struct vcpu_host *v, const uint64_t *a)
{
    return result(renameat2((int)a[0], str(a[1]), (int)a[2], str(a[3]), (unsigned)a[4]));
}

static int64_t do_LINK(struct vcpu_host *v, const uint64_t *a)
{
    return result(linkat((int)a[0], str(a[1]), (int)a[2], str(a[3]), (int)a[4]));
}

static int64_t do_SYMLINK(struct vcpu_host *v, const uint64_t *a)
{
    return result(symlinkat(str(a[0]), (int)a[1], str(a[2])));
}

static int64_t do_MKNOD(struct vcpu_host *v, const uint64_t *a)
{
    return result(mknodat((int)a[0], str(a[1]), (mode_t)a[2], (dev_t)a[3]));
}

static int64_t do_TRUNCATE(struct vcpu_host *v, const uint64_t *a)
{
    return result(ftruncate((int)a[0], (off_t)a[1]));
}

static int64_t do_PREAD(struct vcpu_host *v, const uint64_t *a)
{
    struct iovec to = {(void *)a[1], a[2]};
    return result(preadv2((int)a[0], &to, 1, (off_t)a[3], RWF_NOWAIT));
}

static int64_t do_PWRITE(struct vcpu_host *v, const uint64_t *a)
{
    return result(pwrite((int)a[0], (const void *)a[1], a[2], (off_t)a[3]));
}

static int64_t do_FALLOCATE(struct vcpu_host *v, const uint64_t *a)
{
    return result(fallocate((int)a[0], (int)a[1], (off_t)a[2], (off_t)a[3]));
}

static int64_t do_SEEK(struct vcpu_host *v, const uint64_t *a)
{
    return result(lseek((int)a[0], (off_t)a[1], (int)a[2]));
}

/* A descriptor of O_PATH, for what cannot be opened, has its file's attributes by this name. */
struct fd_name {
    char text[32];
};

static struct fd_name name_of(uint64_t fd)
{
    struct fd_name n;

    snprintf(n.text, sizeof(n.text), "/proc/self/fd/%d", (int)fd);
    return n;
}

static int64_t do_CHMOD(struct vcpu_host *v, const uint64_t *a)
{
    if (fchmod((int)a[0], (mode_t)a[1]) == 0)
        return 0;
    return errno != EBADF ? -errno : result(chmod(name_of(a[0]).text, (mode_t)a[1]));
}

static int64_t do_CHOWN(struct vcpu_host *v, const uint64_t *a)
{
    return result(fchownat((int)a[0], "", (uid_t)a[1], (gid_t)a[2], AT_EMPTY_PATH));
}

static int64_t do_UTIMENS(struct vcpu_host *v, const uint64_t *a)
{
    return result(syscall(SYS_utimensat, (int)a[0], a[1], a[2], (int)a[3]));
}

static int64_t do_STATFS(struct vcpu_host *v, const uint64_t *a)
{
    return result(fstatfs((int)a[0], (struct statfs *)a[1]));
}

static int64_t do_GETXATTR(struct vcpu_host *v, const uint64_t *a)
{
    ssize_t r = fgetxattr((int)a[0], str(a[1]), (void *)a[2], a[3]);

    if (r < 0 && errno == EBADF)
        r = getxattr(name_of(a[0]).text, str(a[1]), (void *)a[2], a[3]);
    return result(r);
}

static int64_t do_LISTXATTR(struct vcpu_host *v, const uint64_t *a)
{
    ssize_t r = flistxattr((int)a[0], (char *)a[1], a[2]);

    if (r < 0 && errno == EBADF)
        r = listxattr(name_of(a[0]).text, (char *)a[1], a[2]);
    return result(r);
}

static int64_t do_SETXATTR(struct vcpu_host *v, const uint64_t *a)
{
    int r = a[2] ? fsetxattr((int)a[0], str(a[1]), (void *)a[2], a[3], (int)a[4])
                 : fremovexattr((int)a[0], str(a[1]));

    if (r && errno == EBADF)
        r = a[2] ? setxattr(name_of(a[0]).text, str(a[1]), (void *)a[2], a[3], (int)a[4])
                 : removexattr(name_of(a[0]).text, str(a[1]));
    return result(r);
}

static int64_t do_FLOCK(struct vcpu_host *v, const uint64_t *a)
{
    return result(flock((int)a[0], (int)a[1] | LOCK_NB));
}

static int64_t do_IOCTL(struct vcpu_host *v, const uint64_t *a)
{
    int64_t rc = result(ioctl((int)a[0], a[1], a[2]));

    if (!rc && a[1] >= TCSETS && a[1] <= TCSETSF)
        terminal_touched();
    return rc;
}

static int64_t do_FLUSH(struct vcpu_host *v, const uint64_t *a)
{
    return result(fdatasync((int)a[0]));
}

static int64_t do_FORGET(struct vcpu_host *v, const uint64_t *a)
{
    return result(madvise((void *)a[0], a[1], MADV_DONTNEED));
}

static int64_t do_SOCKET(struct vcpu_host *v, const uint64_t *a)
{
    return result(socket((int)a[0], (int)a[1] | SOCK_CLOEXEC, (int)a[2]));
}

static int64_t do_BIND(struct vcpu_host *v, const uint64_t *a)
{
    return result(bind((int)a[0], (const struct sockaddr *)a[1], (socklen_t)a[2]));
}

static int64_t do_LISTEN(struct vcpu_host *v, const uint64_t *a)
{
    return result(listen((int)a[0], (int)a[1]));
}

static int64_t do_CONNECT(struct vcpu_host *v, const uint64_t *a)
{
    return result(connect((int)a[0], (const struct sockaddr *)a[1], (socklen_t)a[2]));
}

static int64_t do_SOCKNAME(struct vcpu_host *v, const uint64_t *a)
{
    struct sockaddr *name = (struct sockaddr *)a[2];
    socklen_t size = (socklen_t)a[3];
    int rc = a[1] ? getpeername((int)a[0], name, &size) : getsockname((int)a[0], name, &size);

    return rc < 0 ? -errno : (int64_t)size;
}

static int64_t do_GETSOCKOPT(struct vcpu_host *v, const uint64_t *a)
{
    socklen_t size = (socklen_t)a[4];
    int rc = getsockopt((int)a[0], (int)a[1], (int)a[2], (void *)a[3], &size);

    return rc < 0 ? -errno : (int64_t)size;
}

static int64_t do_SETSOCKOPT(struct vcpu_host *v, const uint64_t *a)
{
    return result(
        setsockopt((int)a[0], (int)a[1], (int)a[2], (const void *)a[3], (socklen_t)a[4]));
}

static int64_t do_SENDMSG(struct vcpu_host *v, const uint64_t *a)
{
    int flags = (int)a[2] | MSG_DONTWAIT | MSG_NOSIGNAL;

    return result(sendmsg((int)a[0], (const struct msghdr *)a[1], flags));
}

static int64_t do_IFCONF(struct vcpu_host *v, const uint64_t *a)
{
    struct ifconf c = {.ifc_len = (int)a[2], .ifc_buf = (char *)a[1]};

    return ioctl((int)a[0], SIOCGIFCONF, &c) < 0 ? -errno : c.ifc_len;
}

static int64_t do_REPLY(struct vcpu_host *v, const uint64_t *a)
{
    host_control_reply(v->machine, a);
    return 0;
}

static int64_t do_MAPPED(struct vcpu_host *v, const uint64_t *a)
{
    if (v->machine->mapped)
        v->machine->mapped(str(a[0]), a[1], a[2]);
    return 0;
}

static hostcall_fn *const table[HOSTCALL_COUNT] = {
#define X(name, args, hostile) [HOSTCALL_##name] = do_##name,
    HOSTCALLS(X)
#undef X
};

void hostcall_serve(struct vcpu_host *v)
{
    struct hostcall *call = &v->shared->call;
    uint32_t nr = call->nr;

    if (nr >= HOSTCALL_COUNT) {
        call->result = -ENOSYS;
        return;
    }
    v->calls[nr]++;
    do { /* a tick may interrupt what blocks; closing is done even then */
        call->result = table[nr](v, call->arg);
    } while (call->result == -EINTR && nr != HOSTCALL_CLOSE && !host_stopping);
}
