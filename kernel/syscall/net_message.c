/* SPDX-License-Identifier: BSD-3-Clause */
/* System calls that send and receive on sockets. */
#include "abi/errno.h"
#include "enclave/clock.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "net/control.h"
#include "sched/task.h"
#include "syscall/net.h"
#include "syscall/syscall.h"

#define VECTOR_MAX 1024u

int64_t sys_sendto(int fd, uaddr_t buffer, uint64_t count, uint32_t flags, uaddr_t to, int size)
{
    struct iter it;
    struct message m = {.data = &it};
    struct file *f;
    int64_t r = socket_by_fd(fd, &f);
    if (r < 0)
        return r;
    if (!user_range_ok(buffer, MIN(count, ITER_MAX_BYTES)))
        r = -EFAULT;
    if (r == 0 && to)
        r = sock_name_from_user(to, size, &m.name);
    iter_user(&it, buffer, MIN(count, ITER_MAX_BYTES));
    if (r == 0)
        r = socket_send(f, &m, flags);
    file_put(f);
    return r;
}

int64_t sys_recvfrom(int fd, uaddr_t buffer, uint64_t count, uint32_t flags, uaddr_t from,
                     uaddr_t size_at)
{
    struct iter it;
    struct message m = {.data = &it};
    struct file *f;
    int64_t r = socket_by_fd(fd, &f);
    if (r < 0)
        return r;
    if (!user_range_ok(buffer, MIN(count, ITER_MAX_BYTES)))
        r = -EFAULT;
    iter_user(&it, buffer, MIN(count, ITER_MAX_BYTES));
    if (r == 0)
        r = socket_receive(f, &m, flags);
    scm_free(&m.scm); /* descriptors that nobody asked for are closed */
    if (r >= 0 && from && sock_name_to_user(&m.name, from, size_at) < 0)
        r = -EFAULT;
    file_put(f);
    return r;
}

static int control_from_user(const struct socket *s, const struct abi_msghdr *h,
                             struct scm *out)
{
    if (!h->control || !h->control_size)
        return 0;
    if (h->control_size > CONTROL_MAX)
        return -ENOBUFS;
    uint8_t *copy = kmalloc(h->control_size);
    if (!copy)
        return -ENOBUFS;
    int r = copy_from_user(copy, h->control, h->control_size);
    if (r == 0)
        r = control_parse(s, copy, h->control_size, out);
    kfree(copy);
    return r;
}

static int vector_of(const struct abi_msghdr *h, struct iter *it,
                     struct iter_segment **segments)
{
    *segments = NULL;
    return h->iov_count > VECTOR_MAX ? -EMSGSIZE
                                     : iter_user_vector(it, h->iov, h->iov_count, segments);
}

static int64_t send_message(struct file *f, uaddr_t at, uint32_t flags)
{
    struct abi_msghdr h;
    struct iter it;
    struct iter_segment *segments;
    struct message m = {.data = &it};
    if (get_user(&h, at) < 0)
        return -EFAULT;
    int64_t r = vector_of(&h, &it, &segments);
    if (r == 0 && h.name && h.name_size)
        r = sock_name_from_user(
            h.name, (int32_t)h.name_size < 0 ? -1 : (int64_t)MIN(h.name_size, SOCK_NAME_MAX),
            &m.name);
    if (r == 0)
        r = control_from_user(socket_of(f), &h, &m.scm);
    if (r == 0)
        r = socket_send(f, &m, flags);
    scm_free(&m.scm);
    kfree(segments);
    return r;
}

int64_t sys_sendmsg(int fd, uaddr_t at, uint32_t flags)
{
    struct file *f;
    int64_t r = socket_by_fd(fd, &f);
    if (r < 0)
        return r;
    r = send_message(f, at, flags);
    file_put(f);
    return r;
}

int64_t sys_sendmmsg(int fd, uaddr_t at, uint32_t count, uint32_t flags)
{
    struct file *f;
    uint32_t done = 0;
    int64_t r = socket_by_fd(fd, &f);
    if (r < 0)
        return r;
    for (; done < MIN(count, VECTOR_MAX); done++, at += sizeof(struct abi_mmsghdr)) {
        r = send_message(f, at, flags);
        if (r >= 0 && put_user(at + offsetof(struct abi_mmsghdr, size), (uint32_t)r) < 0)
            r = -EFAULT;
        if (r < 0)
            break;
    }
    file_put(f);
    return done ? done : r;
}

/* Everything about a message but its bytes goes to the program. */
static int64_t finish_receive(const struct socket *s, uaddr_t at, struct abi_msghdr *h,
                              struct message *m, uint32_t flags)
{
    uint64_t room = h->control ? h->control_size : 0;
    int r = control_deliver(s, &m->scm, h->control, &room, &m->flags, flags & MSG_CMSG_CLOEXEC);
    if (r < 0)
        return r;
    if (h->name && copy_to_user(h->name, m->name.bytes, MIN(h->name_size, m->name.size)) < 0)
        return -EFAULT;
    if (put_user(at + offsetof(struct abi_msghdr, name_size), m->name.size) < 0 ||
        put_user(at + offsetof(struct abi_msghdr, control_size), room) < 0 ||
        put_user(at + offsetof(struct abi_msghdr, flags),
                 m->flags | (flags & MSG_CMSG_CLOEXEC)) < 0)
        return -EFAULT;
    return 0;
}

static int64_t receive_message(struct file *f, uaddr_t at, uint32_t flags)
{
    struct abi_msghdr h;
    struct iter it;
    struct iter_segment *segments;
    struct message m = {.data = &it};
    if (get_user(&h, at) < 0)
        return -EFAULT;
    if (h.name && (int32_t)h.name_size < 0)
        return -EINVAL;
    int64_t r = vector_of(&h, &it, &segments);
    if (r == 0)
        r = socket_receive(f, &m, flags);
    if (r >= 0) {
        int64_t e = finish_receive(socket_of(f), at, &h, &m, flags);
        r = e < 0 ? e : r;
    }
    scm_free(&m.scm);
    kfree(segments);
    return r;
}

int64_t sys_recvmsg(int fd, uaddr_t at, uint32_t flags)
{
    struct file *f;
    int64_t r = socket_by_fd(fd, &f);
    if (r < 0)
        return r;
    r = receive_message(f, at, flags);
    file_put(f);
    return r;
}

/* The timeout is looked at between messages only, as on Linux. */
int64_t sys_recvmmsg(int fd, uaddr_t at, uint32_t count, uint32_t flags, uaddr_t timeout)
{
    struct file *f;
    struct timespec64 t = {0};
    uint32_t done = 0;
    if (timeout && get_user(&t, timeout) < 0)
        return -EFAULT;
    if (timeout && (t.sec < 0 || t.nsec < 0 || t.nsec >= 1000000000))
        return -EINVAL;
    uint64_t end = clock_monotonic_ns() +
                   (uint64_t)MIN(t.sec, (int64_t)INT32_MAX) * 1000000000u + (uint64_t)t.nsec;
    int64_t r = socket_by_fd(fd, &f);
    if (r < 0)
        return r;
    for (; done < MIN(count, VECTOR_MAX); at += sizeof(struct abi_mmsghdr)) {
        bool wait = !(done && (flags & MSG_WAITFORONE));
        r = receive_message(f, at, (flags & ~MSG_WAITFORONE) | (wait ? 0 : MSG_DONTWAIT));
        if (r >= 0 && put_user(at + offsetof(struct abi_mmsghdr, size), (uint32_t)r) < 0)
            r = -EFAULT;
        if (r < 0)
            break;
        done++;
        if (timeout && clock_monotonic_ns() >= end)
            break;
    }
    file_put(f);
    return done ? done : r;
}
