/* SPDX-License-Identifier: BSD-3-Clause */
/* inotify's system calls; the rest is in fs/core/notify.c. */
#include "abi/errno.h"
#include "fs/core/fd.h"
#include "fs/core/notify.h"
#include "syscall/syscall.h"

int64_t sys_inotify_init1(int flags)
{
    struct file *f;
    if ((uint32_t)flags & ~(O_CLOEXEC | O_NONBLOCK))
        return -EINVAL;
    int r = inotify_new((uint32_t)flags, &f);
    return r < 0 ? r : fd_add(f, (uint32_t)flags & O_CLOEXEC);
}

int64_t sys_inotify_init(void)
{
    return sys_inotify_init1(0);
}

static int add_watch(struct file *f, uaddr_t path, uint32_t mask)
{
    struct path p;
    uint32_t how = mask & IN_DONT_FOLLOW ? 0 : WALK_FOLLOW;
    if (mask & IN_ONLYDIR)
        how |= WALK_DIRECTORY;
    int r = path_walk_user(AT_FDCWD, path, how, &p);
    if (r < 0)
        return r;
    r = inode_permission(path_inode(&p), fs_cred(), R_OK);
    if (r == 0)
        r = inotify_add(f, path_inode(&p), mask);
    path_put(&p);
    return r;
}

int64_t sys_inotify_add_watch(int fd, uaddr_t path, uint32_t mask)
{
    static const uint32_t flags = IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK |
                                  IN_MASK_CREATE | IN_MASK_ADD | IN_ISDIR | IN_ONESHOT;
    static const uint32_t events = IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED;
    if ((mask & ~(flags | events)) || !(mask & (flags | events)))
        return -EINVAL;
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    bool both = (mask & IN_MASK_ADD) && (mask & IN_MASK_CREATE);
    int r = both ? -EINVAL : add_watch(f, path, mask);
    file_put(f);
    return r;
}

int64_t sys_inotify_rm_watch(int fd, int wd)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    int r = inotify_remove(f, wd);
    file_put(f);
    return r;
}
