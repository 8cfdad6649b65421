/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hostfs: a directory of the host. Nothing here is trusted: contents, names and attributes are
 * the host's word, checked only to be well-formed. Names and attributes are believed for
 * TTL_NS; a mount that can be written is asked again at every open. LIMIT: appending by us and
 * by the host at once can overwrite; changes by others to a file that is open here show up at
 * the next open.
 */
#include "fs/hostfs/hostfs.h"

#include "abi/errno.h"
#include "enclave/clock.h"
#include "enclave/host.h"
#include "fs/hostfs/node.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define TTL_NS 1000000000ull

static const struct inode_ops *ops_of(uint32_t type)
{
    switch (type) {
    case S_IFDIR:
        return &host_dir_ops;
    case S_IFREG:
        return &host_file_ops_inode;
    case S_IFLNK:
        return &host_link_ops;
    default:
        return &host_other_ops;
    }
}

static bool valid_type(uint32_t type)
{
    return type == S_IFDIR || type == S_IFREG || type == S_IFLNK || type == S_IFCHR ||
           type == S_IFBLK || type == S_IFIFO || type == S_IFSOCK;
}

static struct timespec64 time_of(const struct abi_statx_timestamp *t)
{
    return (struct timespec64){t->tv_sec, t->tv_nsec < 1000000000u ? t->tv_nsec : 0};
}

static bool same_time(struct timespec64 a, struct timespec64 b)
{
    return a.sec == b.sec && a.nsec == b.nsec;
}

int host_node_update(struct host_node *n, const struct abi_statx *x)
{
    struct inode *i = &n->inode;
    if ((x->stx_mode & S_IFMT) != i->type)
        return -EIO;
    struct timespec64 mtime = time_of(&x->stx_mtime);
    uint64_t size = MIN(x->stx_size, (uint64_t)INT64_MAX);
    uint64_t dev = MAKEDEV(x->stx_dev_major, x->stx_dev_minor);
    bool changed = size != i->size || !same_time(mtime, i->mtime) || x->stx_ino != n->host_ino;
    n->host_ino = x->stx_ino;
    n->host_dev = dev;
    i->mode = x->stx_mode & 07777;
    i->uid = x->stx_uid;
    i->gid = x->stx_gid;
    i->nlink = x->stx_nlink;
    i->size = size;
    i->blocks = x->stx_blocks;
    i->atime = time_of(&x->stx_atime);
    i->mtime = mtime;
    i->ctime = time_of(&x->stx_ctime);
    i->btime = time_of(&x->stx_btime);
    if (changed && inode_is_reg(i))
        cache_invalidate(&i->cache);
    n->checked_ns = clock_monotonic_ns();
    return 0;
}

int host_node_refresh(struct host_node *n)
{
    struct abi_statx x;
    int fd, r;
    uint32_t flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
    if (inode_is_dir(&n->inode) || n->users) {
        fd = host_fd_get(n, HOST_READ);
        if (fd < 0)
            return fd;
        r = host_statx(fd, "", flags | AT_EMPTY_PATH, &x);
        host_fd_put(n);
    } else {
        char name[NAME_MAX + 1];
        struct host_node *parent;
        r = host_node_place(n, name, &parent);
        fd = r < 0 ? r : host_fd_get(parent, HOST_READ);
        if (fd >= 0) {
            r = host_statx(fd, name, flags, &x);
            host_fd_put(parent);
        } else {
            r = fd;
        }
        inode_put(parent ? &parent->inode : NULL);
    }
    return r < 0 ? r : host_node_update(n, &x);
}

int host_node_new(struct host_super *s, struct host_node *parent, const char *name,
                  const struct abi_statx *x, struct host_node **out)
{
    uint32_t type = x->stx_mode & S_IFMT;
    if (!valid_type(type))
        return -EIO;
    struct host_node *n = kzalloc(sizeof(*n));
    if (!n)
        return -ENOMEM;
    n->name = kstrdup(name);
    if (!n->name) {
        kfree(n);
        return -ENOMEM;
    }
    struct inode *i = &n->inode;
    inode_init(i, &s->sb, ops_of(type), x->stx_mode);
    list_init(&n->lru);
    list_init(&n->others);
    n->fd[0] = n->fd[1] = -1;
    if (parent) {
        inode_get(&parent->inode);
        n->parent = parent;
    }
    if (type == S_IFDIR)
        i->file_ops = &host_dir_file_ops;
    else if (type == S_IFREG)
        i->file_ops = &host_file_ops;
    i->cached = type == S_IFREG;
    i->ino = x->stx_ino;
    i->rdev = MAKEDEV(x->stx_rdev_major, x->stx_rdev_minor);
    n->btime_sec = x->stx_btime.tv_sec;
    n->btime_nsec = x->stx_btime.tv_nsec;
    bool own_dev = x->stx_dev_major == s->dev_major && x->stx_dev_minor == s->dev_minor;
    if (parent && !own_dev)
        i->dev = MAKEDEV(0x800u + (x->stx_dev_major & 0x7ff), x->stx_dev_minor);
    int r = host_node_update(n, x);
    if (r == 0 && (!parent || own_dev))
        (void)!inode_hash(i); /* a number seen twice: the second node stands alone */
    *out = n;
    return 0;
}

/* The node that stands for this file already, under whatever name. */
static struct host_node *find_known(struct host_super *s, const struct abi_statx *x)
{
    if (x->stx_dev_major != s->dev_major || x->stx_dev_minor != s->dev_minor)
        return NULL;
    struct inode *i = inode_find(&s->sb, x->stx_ino);
    if (!i)
        return NULL;
    struct host_node *n = host_node(i);
    bool same = i->type == (x->stx_mode & S_IFMT) && n->btime_sec == x->stx_btime.tv_sec &&
                n->btime_nsec == x->stx_btime.tv_nsec && !n->removed;
    if (!same) {
        inode_put(i);
        return NULL;
    }
    return n;
}

static int stat_name(struct inode *dir, const char *name, struct abi_statx *x)
{
    struct host_node *d = host_node(dir);
    int fd = host_fd_get(d, HOST_READ);
    if (fd < 0)
        return fd;
    int r = host_statx(fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, x);
    host_fd_put(d);
    return r;
}

int host_node_of(struct inode *dir, const char *name, const struct abi_statx *x,
                 struct inode **out)
{
    struct host_node *n = find_known(host_super(dir), x);
    int r;
    if (n) {
        r = host_node_update(n, x);
        host_name_add(n, host_node(dir), name);
    } else {
        r = host_node_new(host_super(dir), host_node(dir), name, x, &n);
    }
    if (r == 0)
        *out = &n->inode;
    return r;
}

int host_lookup(struct inode *dir, const char *name, struct inode **out)
{
    struct abi_statx x;
    int r = stat_name(dir, name, &x);
    return r < 0 ? r : host_node_of(dir, name, &x, out);
}

static bool host_revalidate(struct inode *dir, const char *name, struct inode *inode)
{
    struct abi_statx x;
    int r = stat_name(dir, name, &x);
    if (!inode)
        return r == -ENOENT;
    struct host_node *n = host_node(inode);
    if (r < 0 || (x.stx_mode & S_IFMT) != inode->type || x.stx_ino != n->host_ino)
        return false;
    return host_node_update(n, &x) == 0;
}

static int host_getattr(struct inode *i)
{
    struct host_node *n = host_node(i);
    if (n->checked_ns && clock_monotonic_ns() - n->checked_ns < TTL_NS)
        return 0;
    int r = host_node_refresh(n);
    return r == -ENOENT && n->removed ? 0 : r;
}

static void remember_target(struct host_node *n, const char *target, size_t size)
{
    char *copy = kmalloc(size + 1), *none = NULL;
    if (!copy)
        return;
    memcpy(copy, target, size);
    copy[size] = 0;
    if (!atomic_compare_exchange_strong(&n->target, &none, copy))
        kfree(copy);
}

static ssize_t host_readlink_op(struct inode *i, char *buffer, size_t size)
{
    char name[NAME_MAX + 1];
    struct host_node *parent;
    const char *known = atomic_load(&host_node(i)->target);
    if (known) {
        size_t length = MIN(strlen(known), size);
        memcpy(buffer, known, length);
        return (ssize_t)length;
    }
    ssize_t r = host_node_place(host_node(i), name, &parent);
    if (r < 0)
        return r;
    r = host_fd_get(parent, HOST_READ);
    if (r >= 0) {
        r = host_readlink((int)r, name, buffer, size);
        host_fd_put(parent);
    }
    inode_put(&parent->inode);
    if (r > 0 && memchr(buffer, 0, (size_t)r))
        return -EIO;
    if (r > 0 && (size_t)r < size && host_super(i)->read_only)
        remember_target(host_node(i), buffer, (size_t)r);
    return r;
}

static void host_free(struct inode *i)
{
    struct host_node *n = host_node(i);
    host_fd_close_all(n);
    host_names_free(n);
    if (n->parent)
        inode_put(&n->parent->inode);
    kfree(n->name);
    kfree(atomic_load(&n->target));
    kfree(n);
}

const struct inode_ops host_dir_ops = {
    .lookup = host_lookup,
    .create = host_create,
    .link = host_link_name,
    .unlink = host_unlink_name,
    .rename = host_rename_name,
    .getattr = host_getattr,
    .setattr = host_setattr,
    .open = host_open_dir,
    .getxattr = host_get_xattr,
    .setxattr = host_set_xattr,
    .listxattr = host_list_xattr,
    .revalidate = host_revalidate,
    .free = host_free,
};

const struct inode_ops host_file_ops_inode = {
    .getattr = host_getattr,
    .setattr = host_setattr,
    .open = host_open,
    .getxattr = host_get_xattr,
    .setxattr = host_set_xattr,
    .listxattr = host_list_xattr,
    .read_pages = host_read_pages,
    .free = host_free,
};

const struct inode_ops host_link_ops = {
    .readlink = host_readlink_op,
    .getattr = host_getattr,
    .setattr = host_setattr,
    .free = host_free,
};

const struct inode_ops host_other_ops = {
    .getattr = host_getattr,
    .setattr = host_setattr,
    .free = host_free,
};

static int host_statfs_op(struct super *sb, struct abi_statfs *out)
{
    struct host_super *s = container_of(sb, struct host_super, sb);
    int r = host_statfs(s->root_fd, out);
    out->f_type = (int64_t)sb->magic;
    return r;
}

static void host_super_free(struct super *sb)
{
    struct host_super *s = container_of(sb, struct host_super, sb);
    if (s->root_fd >= 0)
        host_close(s->root_fd);
    if (s->scratch)
        pages_free(s->scratch, CACHE_BATCH_MAX);
    kfree(s);
}

static const struct super_ops host_super_ops = {
    .statfs = host_statfs_op,
    .free = host_super_free,
};

static int mount_root(struct host_super *s, const char *source)
{
    struct abi_statx x;
    struct host_node *root;
    int r = host_openat(AT_FDCWD, source, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0);
    if (r < 0)
        return r;
    s->root_fd = r;
    r = host_statx(s->root_fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, &x);
    if (r == 0 && (x.stx_mode & S_IFMT) != S_IFDIR)
        r = -ENOTDIR;
    if (r < 0)
        return r;
    s->dev_major = x.stx_dev_major;
    s->dev_minor = x.stx_dev_minor;
    r = host_node_new(s, NULL, "", &x, &root);
    if (r == 0)
        s->sb.root = &root->inode;
    return r;
}

static int hostfs_mount(const struct config_mount *config, const char *source,
                        const char *options, struct super **out)
{
    struct host_super *s = kzalloc(sizeof(*s));
    (void)options;
    if (!s)
        return -ENOMEM;
    super_init(&s->sb, &host_super_ops, "hostfs");
    s->sb.magic = 0x484f5354;
    s->sb.flags = SUPER_WHITEOUT;
    s->read_only = config->flags & CONFIG_MOUNT_RDONLY;
    s->sb.entry_ttl_ns = TTL_NS;
    s->sb.negative_ttl_ns = s->read_only ? TTL_NS : UINT64_MAX;
    s->root_fd = -1;
    mutex_init(&s->scratch_lock, RANK_IO);
    s->scratch = pages_alloc(CACHE_BATCH_MAX);
    int r = s->scratch ? mount_root(s, source) : -ENOMEM;
    if (r < 0) {
        log_always("the host's directory %s cannot be mounted: error %d", source, -r);
        super_put(&s->sb);
        return r;
    }
    *out = &s->sb;
    return 0;
}

void hostfs_register(void)
{
    static struct fs_type type = {
        .name = "hostfs", .user_mountable = true, .mount = hostfs_mount};
    fs_type_register(&type);
}
