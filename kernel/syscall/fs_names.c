/* SPDX-License-Identifier: BSD-3-Clause */
/* System calls that change names: mkdir, unlink, rename, link, symlink, mknod. */
#include "abi/errno.h"
#include "fs/core/fd.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "syscall/syscall.h"

static int64_t create_at(int dirfd, uaddr_t path, uint32_t mode, uint64_t rdev)
{
    char *name;
    int r = strdup_from_user(path, PATH_MAX, &name);
    if (r < 0)
        return r;
    r = path_create(dirfd, name, mode, rdev, NULL);
    kfree(name);
    return r;
}

int64_t sys_mkdirat(int dirfd, uaddr_t path, uint32_t mode)
{
    return create_at(dirfd, path, S_IFDIR | (mode & (0777 | S_ISVTX)), 0);
}

int64_t sys_mkdir(uaddr_t path, uint32_t mode)
{
    return sys_mkdirat(AT_FDCWD, path, mode);
}

int64_t sys_mknodat(int dirfd, uaddr_t path, uint32_t mode, uint64_t dev)
{
    uint32_t type = mode & S_IFMT ? mode & S_IFMT : S_IFREG;
    if (type == S_IFDIR)
        return -EPERM;
    if (type != S_IFREG && type != S_IFCHR && type != S_IFBLK && type != S_IFIFO &&
        type != S_IFSOCK)
        return -EINVAL;
    if ((type == S_IFCHR || type == S_IFBLK) && !cred_can(fs_cred(), CAP_MKNOD))
        return -EPERM;
    bool device = type == S_IFCHR || type == S_IFBLK;
    return create_at(dirfd, path, type | (mode & 07777), device ? dev : 0);
}

int64_t sys_mknod(uaddr_t path, uint32_t mode, uint64_t dev)
{
    return sys_mknodat(AT_FDCWD, path, mode, dev);
}

static int64_t unlink_at(int dirfd, uaddr_t path, bool directory)
{
    char *name;
    int r = strdup_from_user(path, PATH_MAX, &name);
    if (r < 0)
        return r;
    r = path_unlink(dirfd, name, directory);
    kfree(name);
    return r;
}

int64_t sys_unlinkat(int dirfd, uaddr_t path, uint32_t flags)
{
    if (flags & ~AT_REMOVEDIR)
        return -EINVAL;
    return unlink_at(dirfd, path, flags & AT_REMOVEDIR);
}

int64_t sys_unlink(uaddr_t path)
{
    return unlink_at(AT_FDCWD, path, false);
}

int64_t sys_rmdir(uaddr_t path)
{
    return unlink_at(AT_FDCWD, path, true);
}

/* Two names from the program. */
static int two_names(uaddr_t a, uaddr_t b, char **first, char **second)
{
    int r = strdup_from_user(a, PATH_MAX, first);
    if (r < 0)
        return r;
    r = strdup_from_user(b, PATH_MAX, second);
    if (r < 0)
        kfree(*first);
    return r;
}

int64_t sys_renameat2(int olddirfd, uaddr_t old, int newdirfd, uaddr_t new_name, uint32_t flags)
{
    char *from, *to;
    if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
        return -EINVAL;
    if ((flags & RENAME_EXCHANGE) && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)))
        return -EINVAL;
    if ((flags & RENAME_WHITEOUT) && !cred_can(fs_cred(), CAP_MKNOD))
        return -EPERM;
    int r = two_names(old, new_name, &from, &to);
    if (r < 0)
        return r;
    r = path_rename(olddirfd, from, newdirfd, to, flags);
    kfree(from);
    kfree(to);
    return r;
}

int64_t sys_renameat(int olddirfd, uaddr_t old, int newdirfd, uaddr_t new_name)
{
    return sys_renameat2(olddirfd, old, newdirfd, new_name, 0);
}

int64_t sys_rename(uaddr_t old, uaddr_t new_name)
{
    return sys_renameat2(AT_FDCWD, old, AT_FDCWD, new_name, 0);
}

int64_t sys_linkat(int olddirfd, uaddr_t old, int newdirfd, uaddr_t new_name, int flags)
{
    char *from, *to;
    if (flags & ~(int)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    int r = two_names(old, new_name, &from, &to);
    if (r < 0)
        return r;
    uint32_t how = flags & AT_SYMLINK_FOLLOW ? WALK_FOLLOW : 0;
    if (flags & AT_EMPTY_PATH)
        how |= WALK_EMPTY;
    r = path_link(olddirfd, from, newdirfd, to, how);
    kfree(from);
    kfree(to);
    return r;
}

int64_t sys_link(uaddr_t old, uaddr_t new_name)
{
    return sys_linkat(AT_FDCWD, old, AT_FDCWD, new_name, 0);
}

int64_t sys_symlinkat(uaddr_t target, int dirfd, uaddr_t path)
{
    char *to, *name;
    int r = two_names(target, path, &to, &name);
    if (r < 0)
        return r;
    r = *to ? path_create(dirfd, name, S_IFLNK | 0777, 0, to) : -ENOENT;
    kfree(to);
    kfree(name);
    return r;
}

int64_t sys_symlink(uaddr_t target, uaddr_t path)
{
    return sys_symlinkat(target, AT_FDCWD, path);
}
