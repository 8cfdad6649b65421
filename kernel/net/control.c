/* SPDX-License-Identifier: BSD-3-Clause */
/* Ancillary data; see control.h. */
#include "net/control.h"

#include "abi/errno.h"
#include "fs/core/fd.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "sched/task.h"

#define HEADER   ((uint32_t)sizeof(struct abi_cmsghdr))
#define SPACE(n) ((uint32_t)align_up((n), 8))

/* Appends to what an earlier message of the same call brought. */
static int parse_rights(const uint8_t *data, size_t size, struct scm *out)
{
    uint32_t count = (uint32_t)(size / sizeof(int32_t));
    if (count == 0)
        return 0;
    if (count > SCM_MAX_FD || out->file_count + count > SCM_MAX_FD)
        return -EINVAL;
    struct file **files = krealloc(out->files, (out->file_count + count) * sizeof(*files));
    if (!files)
        return -ENOMEM;
    out->files = files;
    for (uint32_t i = 0; i < count; i++) {
        int32_t fd;
        memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
        struct file *f = fd_file_any(fd);
        if (!f)
            return -EBADF;
        files[out->file_count++] = f;
    }
    return 0;
}

static int parse_credentials(const uint8_t *data, size_t size, struct scm *out)
{
    const struct cred *c = fs_cred();
    struct abi_ucred u;
    if (size != sizeof(u))
        return -EINVAL;
    memcpy(&u, data, sizeof(u));
    bool pid = u.pid == current->tgid || cred_can(c, CAP_SYS_ADMIN);
    bool uid =
        cred_can(c, CAP_SETUID) || u.uid == c->uid || u.uid == c->euid || u.uid == c->suid;
    bool gid =
        cred_can(c, CAP_SETGID) || u.gid == c->gid || u.gid == c->egid || u.gid == c->sgid;
    if (!pid || !uid || !gid)
        return -EPERM;
    out->has_cred = true;
    out->cred = u;
    return 0;
}

static int parse_one(const struct abi_cmsghdr *h, const uint8_t *data, struct scm *out)
{
    size_t size = (size_t)h->size - HEADER;
    if (h->level != SOL_SOCKET)
        return 0;
    switch (h->type) {
    case SCM_RIGHTS:
        return parse_rights(data, size, out);
    case SCM_CREDENTIALS:
        return parse_credentials(data, size, out);
    default:
        return -EINVAL;
    }
}

int control_parse(const struct socket *s, const uint8_t *bytes, size_t size, struct scm *out)
{
    int r = 0;
    size_t at = 0;
    while (r == 0 && size - at >= HEADER) {
        struct abi_cmsghdr h;
        memcpy(&h, bytes + at, sizeof(h));
        if (h.size < HEADER || h.size > size - at)
            r = -EINVAL;
        else if (s->family != AF_UNIX && h.level == SOL_SOCKET && h.type == SCM_RIGHTS)
            r = -EINVAL; /* the numbers would be the host's */
        else if (s->family == AF_UNIX)
            r = parse_one(&h, bytes + at + HEADER, out);
        if (r == 0)
            at += (size_t)MIN((uint64_t)SPACE(h.size), (uint64_t)(size - at));
    }
    if (r == 0 && s->family != AF_UNIX && size) {
        out->raw = kmalloc(size);
        r = out->raw ? 0 : -ENOMEM;
        if (r == 0)
            memcpy(out->raw, bytes, size);
        out->raw_size = r == 0 ? (uint32_t)size : 0;
    }
    if (r < 0)
        scm_free(out);
    return r;
}

/* ---- delivery ---- */

struct room {
    uaddr_t at;
    uint64_t left, used;
    uint32_t *flags;
};

static int put(struct room *room, int32_t level, int32_t type, const void *data, uint32_t size)
{
    struct abi_cmsghdr h = {HEADER + size, level, type};
    if (room->left < HEADER) {
        *room->flags |= MSG_CTRUNC;
        return 0;
    }
    if (h.size > room->left) {
        *room->flags |= MSG_CTRUNC;
        h.size = room->left;
    }
    if (copy_to_user(room->at, &h, sizeof(h)) < 0 ||
        copy_to_user(room->at + HEADER, data, h.size - HEADER) < 0)
        return -EFAULT;
    uint64_t space = MIN((uint64_t)SPACE(h.size), room->left);
    room->at += space;
    room->left -= space;
    room->used += space;
    return 0;
}

/* Numbers first, then the copy out, then the files become visible. */
static int put_files(struct room *room, struct scm *scm, bool cloexec)
{
    uint64_t fit = room->left < HEADER ? 0 : (room->left - HEADER) / sizeof(int32_t);
    uint32_t count = 0, max = (uint32_t)MIN(fit, (uint64_t)scm->file_count);
    int32_t *fds = kcalloc(max + 1, sizeof(*fds));
    int r = 0;
    if (!fds)
        return -ENOMEM;
    while (count < max && (fds[count] = fd_reserve(0)) >= 0)
        count++;
    if (count < scm->file_count)
        *room->flags |= MSG_CTRUNC;
    if (count)
        r = put(room, SOL_SOCKET, SCM_RIGHTS, fds, count * (uint32_t)sizeof(*fds));
    for (uint32_t i = 0; i < count; i++) {
        if (r < 0)
            fd_unreserve(fds[i]);
        else
            fd_install(fds[i], file_get(scm->files[i]), cloexec);
    }
    kfree(fds);
    return r;
}

static int put_raw(struct room *room, const struct scm *scm)
{
    uint32_t at = 0;
    int r = 0;
    while (r == 0 && scm->raw_size - at >= HEADER) {
        struct abi_cmsghdr h;
        memcpy(&h, scm->raw + at, sizeof(h));
        if (h.size < HEADER || h.size > scm->raw_size - at)
            break;
        r = put(room, h.level, h.type, scm->raw + at + HEADER, (uint32_t)h.size - HEADER);
        at += MIN(SPACE((uint32_t)h.size), scm->raw_size - at);
    }
    return r;
}

int control_deliver(const struct socket *s, struct scm *scm, uaddr_t buffer, uint64_t *size,
                    uint32_t *flags, bool cloexec)
{
    struct room room = {.at = buffer, .left = *size, .flags = flags};
    int r = 0;
    if (scm->has_cred && atomic_load(&s->pass_cred))
        r = put(&room, SOL_SOCKET, SCM_CREDENTIALS, &scm->cred, sizeof(scm->cred));
    if (r == 0 && scm->file_count)
        r = put_files(&room, scm, cloexec);
    if (r == 0 && scm->raw_size)
        r = put_raw(&room, scm);
    *size = room.used;
    return r;
}
