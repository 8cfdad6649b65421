/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mount(2) and umount2(2). There is one tree for all processes, and mounts in it are private:
 * what that allows of propagation is granted. LIMIT: shared and unbindable mounts are refused.
 */
#include "abi/errno.h"
#include "fs/core/fd.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "syscall/syscall.h"

static int attach_root(struct super *sb, const struct path *at, uint32_t flags,
                       const char *source)
{
    struct dentry *root = dentry_new_root(inode_get(sb->root), "/");
    if (!root)
        return -ENOMEM;
    int r = mount_attach(sb, root, at, flags, source);
    dentry_put(root);
    return r;
}

static int mount_new_super(const char *type_name, const char *source, const char *options,
                           const struct path *at, uint32_t flags)
{
    struct super *sb;
    struct config_mount config = {.flags = flags & MS_RDONLY ? CONFIG_MOUNT_RDONLY : 0};
    struct fs_type *type = fs_type_find(type_name);
    if (!type || !type->user_mountable)
        return -ENODEV;
    if (!inode_is_dir(path_inode(at)))
        return -ENOTDIR;
    int r = type->mount(&config, source, options, &sb);
    if (r < 0)
        return r;
    r = attach_root(sb, at, flags & MOUNT_FLAGS, *source ? source : type_name);
    super_put(sb);
    return r;
}

static int bind_or_move(const char *source, const struct path *at, uint64_t flags)
{
    struct path from;
    int r = path_walk(AT_FDCWD, source, WALK_FOLLOW, &from);
    if (r < 0)
        return r;
    if (flags & MS_MOVE)
        r = mount_move(&from, at);
    else if (inode_is_dir(path_inode(&from)) != inode_is_dir(path_inode(at)))
        r = -ENOTDIR;
    else
        r = mount_bind(&from, at, flags & MS_REC);
    path_put(&from);
    return r;
}

static bool is_mount_root(const struct path *at)
{
    return at->dentry == at->mount->root;
}

static int change_propagation(const struct path *at, uint64_t flags)
{
    uint64_t kind = flags & MS_PROPAGATION;
    if (flags & ~(uint64_t)(MS_PROPAGATION | MS_REC | MS_SILENT))
        return -EINVAL;
    if ((kind & (kind - 1)) || !is_mount_root(at))
        return -EINVAL;
    return kind == MS_PRIVATE || kind == MS_SLAVE ? 0 : -EINVAL;
}

/* With MS_BIND the flags of this one mount; else the file system's options as well. */
static int remount(const struct path *at, uint64_t flags, const char *options)
{
    struct super *sb = at->mount->sb;
    if (!is_mount_root(at))
        return -EINVAL;
    if (!(flags & MS_BIND) && *options) {
        int r = sb->ops->remount ? sb->ops->remount(sb, options) : -EINVAL;
        if (r < 0)
            return r;
    }
    atomic_store(&at->mount->flags, (uint32_t)flags & MOUNT_FLAGS);
    return 0;
}

static int do_mount(const char *source, const char *type, const char *options,
                    const struct path *at, uint64_t flags)
{
    if ((flags >> 16) == 0xc0ed) /* the magic number of old */
        flags &= 0xffff;
    if (flags & MS_REMOUNT)
        return remount(at, flags, options);
    if (flags & (MS_BIND | MS_MOVE))
        return bind_or_move(source, at, flags);
    if (flags & MS_PROPAGATION)
        return change_propagation(at, flags);
    return mount_new_super(type, source, options, at, (uint32_t)flags);
}

static int optional_string(uaddr_t from, size_t max, char **out)
{
    if (from)
        return strdup_from_user(from, max, out);
    *out = kstrdup("");
    return *out ? 0 : -ENOMEM;
}

int64_t sys_mount(uaddr_t source, uaddr_t target, uaddr_t type, uint64_t flags, uaddr_t data)
{
    char *text[3] = {NULL, NULL, NULL};
    struct path at;
    int r = path_walk_user(AT_FDCWD, target, WALK_FOLLOW, &at);
    if (r < 0)
        return r;
    if (!cred_can(fs_cred(), CAP_SYS_ADMIN))
        r = -EPERM;
    if (r == 0)
        r = optional_string(source, PATH_MAX, &text[0]);
    if (r == 0)
        r = optional_string(type, 64, &text[1]);
    if (r == 0)
        r = optional_string(data, PATH_MAX, &text[2]);
    if (r == 0)
        r = do_mount(text[0], text[1], text[2], &at, flags);
    for (int i = 0; i < 3; i++)
        kfree(text[i]);
    path_put(&at);
    return r;
}

int64_t sys_umount2(uaddr_t target, uint32_t flags)
{
    static const uint32_t known = MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW;
    struct path at;
    if ((flags & ~known) || ((flags & MNT_EXPIRE) && (flags & (MNT_FORCE | MNT_DETACH))))
        return -EINVAL;
    if (!cred_can(fs_cred(), CAP_SYS_ADMIN))
        return -EPERM;
    uint32_t how = flags & UMOUNT_NOFOLLOW ? 0 : WALK_FOLLOW;
    int r = path_walk_user(AT_FDCWD, target, how, &at);
    if (r < 0)
        return r;
    r = mount_detach(&at, flags);
    path_put(&at);
    return r;
}
