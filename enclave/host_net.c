/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control calls for sockets. Through the vCPU's bounce area: a name, a small value or a
 * struct msghdr at 0, control bytes at HOST_PATH_BYTES, data at HOST_SYNC_DATA.
 */
#include "enclave/host_net.h"

#include "abi/errno.h"
#include "enclave/host.h"
#include "enclave/hostcall.h"
#include "lib/string.h"

#define VALUE_MAX 4096u
#define NAME_AT   1024u /* behind the struct msghdr */
#define TABLE_MAX (HOST_SYNC_BYTES - HOST_SYNC_DATA)

struct message_header { /* struct msghdr, and the one struct iovec that it points to */
    uint64_t name, name_size, iov, iov_count, control, control_size, flags;
    uint64_t base, size;
};

static int plain(int64_t r)
{
    return r <= 0 ? (int)r : -EIO;
}

static ssize_t bounded(int64_t r, size_t max)
{
    return r <= (int64_t)max ? r : -EIO;
}

int host_socket(uint32_t family, uint32_t type, uint32_t protocol)
{
    int64_t r = hostcall3(HOSTCALL_SOCKET, family, type, protocol);

    return host_new_fd(r);
}

static int with_name(enum hostcall_nr nr, int fd, const void *name, uint32_t size)
{
    if (size > HOST_NAME_MAX)
        return -EINVAL;
    host_copy_out(host_sync_area(), name, size);
    return plain(hostcall3(nr, fd, host_sync_area(), size));
}

int host_bind(int fd, const void *name, uint32_t size)
{
    return with_name(HOSTCALL_BIND, fd, name, size);
}

int host_connect(int fd, const void *name, uint32_t size)
{
    return with_name(HOSTCALL_CONNECT, fd, name, size);
}

int host_listen(int fd, uint32_t backlog)
{
    return plain(hostcall2(HOSTCALL_LISTEN, fd, backlog));
}

ssize_t host_sockname(int fd, bool peer, void *name)
{
    int64_t r =
        hostcall(HOSTCALL_SOCKNAME, (uint64_t)fd, peer, host_sync_area(), HOST_NAME_MAX, 0, 0);

    r = bounded(r, HOST_NAME_MAX);
    memset(name, 0, HOST_NAME_MAX);
    if (r > 0)
        host_copy_in(name, host_sync_area(), (size_t)r);
    return r;
}

ssize_t host_getsockopt(int fd, int level, int option, void *value, uint32_t room)
{
    if (room > VALUE_MAX)
        return -EINVAL;
    host_copy_out(host_sync_area(), value, room); /* some options read it */
    int64_t r = hostcall(HOSTCALL_GETSOCKOPT, (uint64_t)fd, (uint64_t)level, (uint64_t)option,
                         host_sync_area(), room, 0);
    r = bounded(r, room);
    if (r > 0)
        host_copy_in(value, host_sync_area(), (size_t)r);
    return r;
}

int host_setsockopt(int fd, int level, int option, const void *value, uint32_t size)
{
    if (size > VALUE_MAX)
        return -EINVAL;
    host_copy_out(host_sync_area(), value, size);
    return plain(hostcall(HOSTCALL_SETSOCKOPT, (uint64_t)fd, (uint64_t)level, (uint64_t)option,
                          host_sync_area(), size, 0));
}

ssize_t host_ifconf(int fd, void *buffer, uint32_t room)
{
    haddr_t at = host_sync_area() + HOST_SYNC_DATA;

    room = MIN(room, TABLE_MAX);
    ssize_t r = bounded(hostcall3(HOSTCALL_IFCONF, fd, at, room), room);
    if (r > 0)
        host_copy_in(buffer, at, (size_t)r);
    return r;
}

ssize_t host_sendmsg(int fd, const struct host_message *m, uint32_t flags)
{
    haddr_t area = host_sync_area(), control = area + HOST_PATH_BYTES,
            data = area + HOST_SYNC_DATA;
    struct message_header h = {
        .name = m->name_size ? area + NAME_AT : 0,
        .name_size = m->name_size,
        .iov = area + offsetof(struct message_header, base),
        .iov_count = 1,
        .control = m->control_size ? control : 0,
        .control_size = m->control_size,
        .base = data,
        .size = m->data_size,
    };

    if (m->name_size > HOST_NAME_MAX || m->control_size > HOST_PATH_BYTES)
        return -EINVAL;
    if (m->data_size > HOST_MESSAGE_MAX)
        return -EMSGSIZE;
    host_copy_out(area, &h, sizeof(h));
    host_copy_out(area + NAME_AT, m->name, m->name_size);
    host_copy_out(control, m->control, m->control_size);
    host_copy_out(data, m->data, m->data_size);
    return bounded(hostcall3(HOSTCALL_SENDMSG, fd, area, flags), m->data_size);
}
