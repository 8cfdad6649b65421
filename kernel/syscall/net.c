/* SPDX-License-Identifier: BSD-3-Clause */
/* System calls that make sockets and connect them. Messages: net_message.c. */
#include "abi/errno.h"
#include "fs/core/fd.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "syscall/net.h"
#include "syscall/syscall.h"

int socket_by_fd(int fd, struct file **out)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    if (!socket_of(f)) {
        file_put(f);
        return -ENOTSOCK;
    }
    *out = f;
    return 0;
}

int sock_name_from_user(uaddr_t at, int64_t size, struct sock_name *out)
{
    memset(out, 0, sizeof(*out));
    if (size < 0 || size > SOCK_NAME_MAX)
        return -EINVAL;
    out->size = (uint32_t)size;
    return copy_from_user(out->bytes, at, out->size);
}

int sock_name_to_user(const struct sock_name *name, uaddr_t at, uaddr_t size_at)
{
    int32_t room;
    if (get_user(&room, size_at) < 0)
        return -EFAULT;
    if (room < 0)
        return -EINVAL;
    if (copy_to_user(at, name->bytes, MIN((uint32_t)room, name->size)) < 0)
        return -EFAULT;
    return put_user(size_at, name->size);
}

static uint32_t file_flags(uint32_t type)
{
    return type & SOCK_NONBLOCK ? O_NONBLOCK : 0;
}

static int add_socket(struct socket *s, uint32_t flags)
{
    struct file *f;
    int r = socket_file_new(s, file_flags(flags), &f);
    return r < 0 ? r : fd_add(f, flags & SOCK_CLOEXEC);
}

static int check_flags(uint32_t type)
{
    return type & ~(SOCK_TYPE_MASK | SOCK_CLOEXEC | SOCK_NONBLOCK) ? -EINVAL : 0;
}

int64_t sys_socket(int family, int type, int protocol)
{
    struct socket *s;
    int r = check_flags((uint32_t)type);
    if (r == 0)
        r = socket_new((uint32_t)family, (uint32_t)type & SOCK_TYPE_MASK, (uint32_t)protocol,
                       &s);
    return r < 0 ? r : add_socket(s, (uint32_t)type);
}

int64_t sys_socketpair(int family, int type, int protocol, uaddr_t fds)
{
    struct socket *pair[2];
    struct file *f[2] = {NULL, NULL};
    int32_t fd[2] = {-1, -1};
    int r = check_flags((uint32_t)type);
    if (r == 0)
        r = socket_pair((uint32_t)family, (uint32_t)type & SOCK_TYPE_MASK, (uint32_t)protocol,
                        pair);
    if (r < 0)
        return r;
    r = socket_file_new(pair[0], file_flags((uint32_t)type), &f[0]);
    int second = socket_file_new(pair[1], file_flags((uint32_t)type), &f[1]);
    r = r < 0 ? r : second;
    for (int i = 0; i < 2 && r == 0; i++) {
        fd[i] = fd_reserve(0);
        r = fd[i] < 0 ? fd[i] : 0;
    }
    if (r == 0)
        r = copy_to_user(fds, fd, sizeof(fd));
    for (int i = 0; i < 2; i++) {
        if (r == 0)
            fd_install(fd[i], f[i], (uint32_t)type & SOCK_CLOEXEC);
        else if (fd[i] >= 0)
            fd_unreserve(fd[i]);
        if (r < 0)
            file_put(f[i]);
    }
    return r;
}

int64_t sys_bind(int fd, uaddr_t at, int size)
{
    struct sock_name name;
    struct file *f;
    int r = socket_by_fd(fd, &f);
    if (r < 0)
        return r;
    struct socket *s = socket_of(f);
    r = sock_name_from_user(at, size, &name);
    if (r == 0)
        r = s->ops->bind(s, &name);
    file_put(f);
    return r;
}

int64_t sys_listen(int fd, int backlog)
{
    struct file *f;
    int r = socket_by_fd(fd, &f);
    if (r < 0)
        return r;
    struct socket *s = socket_of(f);
    r = s->ops->listen ? s->ops->listen(s, MIN((uint32_t)backlog, SOMAXCONN)) : -EOPNOTSUPP;
    file_put(f);
    return r;
}

int64_t sys_accept4(int fd, uaddr_t at, uaddr_t size_at, uint32_t flags)
{
    struct socket *s;
    struct sock_name name;
    struct file *f, *made = NULL;
    if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    int r = socket_by_fd(fd, &f);
    if (r < 0)
        return r;
    int new_fd = fd_reserve(0);
    r = new_fd < 0 ? new_fd : socket_accept(f, &s);
    if (r == 0)
        r = socket_file_new(s, file_flags(flags), &made);
    if (r == 0 && at) {
        if (s->ops->name(s, true, &name) < 0)
            r = -ECONNABORTED;
        else
            r = sock_name_to_user(&name, at, size_at);
    }
    file_put(f);
    if (r == 0) {
        fd_install(new_fd, made, flags & SOCK_CLOEXEC);
        return new_fd;
    }
    file_put(made);
    if (new_fd >= 0)
        fd_unreserve(new_fd);
    return r;
}

int64_t sys_accept(int fd, uaddr_t at, uaddr_t size_at)
{
    return sys_accept4(fd, at, size_at, 0);
}

int64_t sys_connect(int fd, uaddr_t at, int size)
{
    struct sock_name name;
    struct file *f;
    int r = socket_by_fd(fd, &f);
    if (r < 0)
        return r;
    r = sock_name_from_user(at, size, &name);
    if (r == 0)
        r = socket_connect(f, &name);
    file_put(f);
    return r;
}

static int64_t name_call(int fd, uaddr_t at, uaddr_t size_at, bool peer)
{
    struct sock_name name;
    struct file *f;
    int r = socket_by_fd(fd, &f);
    if (r < 0)
        return r;
    struct socket *s = socket_of(f);
    r = s->ops->name(s, peer, &name);
    if (r == 0)
        r = sock_name_to_user(&name, at, size_at);
    file_put(f);
    return r;
}

int64_t sys_getsockname(int fd, uaddr_t at, uaddr_t size_at)
{
    return name_call(fd, at, size_at, false);
}

int64_t sys_getpeername(int fd, uaddr_t at, uaddr_t size_at)
{
    return name_call(fd, at, size_at, true);
}

int64_t sys_shutdown(int fd, int how)
{
    struct file *f;
    int r = socket_by_fd(fd, &f);
    if (r < 0)
        return r;
    struct socket *s = socket_of(f);
    r = how < SHUT_RD || how > SHUT_RDWR ? -EINVAL : s->ops->shutdown(s, how);
    file_put(f);
    return r;
}

int64_t sys_setsockopt(int fd, int level, int name, uaddr_t value, int size)
{
    struct file *f;
    int r = socket_by_fd(fd, &f);
    if (r < 0)
        return r;
    uint32_t n = MIN((uint32_t)size, SOCKET_OPT_MAX);
    uint8_t *copy = kmalloc(MAX(n, 1u));
    if (size < 0)
        r = -EINVAL;
    else if (!copy)
        r = -ENOMEM;
    else if (copy_from_user(copy, value, n) < 0)
        r = -EFAULT;
    if (r == 0)
        r = socket_setopt(socket_of(f), level, name, copy, n);
    kfree(copy);
    file_put(f);
    return r;
}

int64_t sys_getsockopt(int fd, int level, int name, uaddr_t value, uaddr_t size_at)
{
    struct file *f;
    int32_t size = 0;
    int r = socket_by_fd(fd, &f);
    if (r < 0)
        return r;
    if (get_user(&size, size_at) < 0)
        r = -EFAULT;
    else if (size < 0)
        r = -EINVAL;
    uint32_t n = MIN((uint32_t)size, SOCKET_OPT_MAX);
    uint8_t *buffer = r == 0 ? kzalloc(MAX(n, 1u)) : NULL;
    if (r == 0)
        r = buffer ? socket_getopt(socket_of(f), level, name, buffer, &n) : -ENOMEM;
    if (r == 0 && (copy_to_user(value, buffer, n) < 0 || put_user(size_at, n) < 0))
        r = -EFAULT;
    kfree(buffer);
    file_put(f);
    return r;
}
