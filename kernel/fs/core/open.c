/* SPDX-License-Identifier: BSD-3-Clause */
/* open(2): from a name to a struct file. Also files without names, and what exec opens. */
#include "abi/errno.h"
#include "fs/core/fd.h"
#include "fs/core/layer.h"
#include "fs/core/notify.h"
#include "fs/core/walk.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "sched/task.h"

#define NOT_KEPT (O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC)

static const struct file_ops path_only_ops;

static int access_of(uint32_t flags)
{
    switch (flags & O_ACCMODE) {
    case O_RDONLY:
        return R_OK;
    case O_WRONLY:
        return W_OK;
    default:
        return R_OK | W_OK;
    }
}

static struct file *file_alloc(const struct path *p, uint32_t flags)
{
    struct file *f = kzalloc(sizeof(*f));
    if (!f)
        return NULL;
    int access = access_of(flags);
    atomic_store(&f->refs, 1);
    atomic_store(&f->flags, (flags & ~NOT_KEPT) | O_LARGEFILE);
    f->state = (access & R_OK ? FILE_READ : 0) | (access & W_OK ? FILE_WRITE : 0) |
               (flags & O_NOCTTY ? FILE_NOCTTY : 0);
    f->path = *p;
    path_get(&f->path);
    f->inode = path_inode(p);
    f->cred = cred_get((struct cred *)(uintptr_t)fs_cred());
    mutex_init(&f->pos_lock, RANK_FILE_POS);
    list_init(&f->epoll_items);
    return f;
}

/* Type, read-only mount and permissions for an existing inode. */
static int may_open(const struct path *p, uint32_t flags, bool created)
{
    struct inode *i = path_inode(p);
    int access = access_of(flags);
    if (flags & O_TRUNC)
        access |= W_OK;
    bool node = i->type == S_IFCHR || i->type == S_IFBLK || i->type == S_IFIFO;
    uint32_t mount_flags = atomic_load_explicit(&p->mount->flags, memory_order_relaxed);
    if (inode_is_link(i))
        return -ELOOP;
    if (inode_is_dir(i) && (access & W_OK))
        return -EISDIR;
    if (i->type == S_IFSOCK)
        return -ENXIO;
    if ((i->type == S_IFCHR || i->type == S_IFBLK) && (mount_flags & MS_NODEV))
        return -EACCES;
    if (!created) {
        int r = inode_permission(i, fs_cred(), access);
        if (r < 0)
            return r;
    }
    if ((access & W_OK) && !node &&
        ((mount_flags & MS_RDONLY) || (i->sb->flags & SUPER_RDONLY)))
        return -EROFS;
    if ((flags & O_NOATIME) && !inode_owner_or_root(i, fs_cred()))
        return -EPERM;
    return 0;
}

static struct spinlock devices_lock = SPINLOCK_INIT(RANK_INODE_DATA);
static struct list devices = LIST_INIT(devices);

void device_register(struct device *d)
{
    spin_lock(&devices_lock);
    list_append(&devices, &d->node);
    spin_unlock(&devices_lock);
}

uint64_t device_number_new(void)
{
    static _Atomic uint32_t next = 21;
    return MAKEDEV(0, atomic_fetch_add(&next, 1));
}

static int open_device(struct file *f)
{
    struct device *found = NULL, *d;
    uint32_t major = DEV_MAJOR(f->inode->rdev), minor = DEV_MINOR(f->inode->rdev);
    spin_lock(&devices_lock);
    list_for_each (d, &devices, node) {
        if (d->major == major && minor >= d->minor && minor - d->minor < MAX(d->count, 1u))
            found = d;
    }
    spin_unlock(&devices_lock);
    if (!found)
        return -ENXIO;
    f->ops = found->ops;
    f->state |= found->state;
    return found->open ? found->open(f) : 0;
}

/* The operations, by type; then the file system's own word. */
static int open_inode(struct file *f)
{
    struct inode *i = f->inode;
    f->ops = i->file_ops ? i->file_ops : &path_only_ops;
    uint32_t mount_flags = atomic_load_explicit(&f->path.mount->flags, memory_order_relaxed);
    uint32_t none = MS_NOATIME | MS_RDONLY | (inode_is_dir(i) ? MS_NODIRATIME : 0);
    bool atime =
        !(mount_flags & none) && !(i->sb->flags & SUPER_RDONLY) && !(f->flags & O_NOATIME);
    if (i->file_ops && i->type != S_IFREG && i->type != S_IFDIR) { /* a stream of the host */
        f->state |= FILE_STREAM;
        return i->ops->open ? i->ops->open(i, f) : -ENXIO;
    }
    switch (i->type) {
    case S_IFCHR:
        return open_device(f);
    case S_IFIFO:
        return fs_hooks.fifo_open ? fs_hooks.fifo_open(f) : -ENXIO;
    case S_IFREG:
    case S_IFDIR:
        f->state |= FILE_SEEK | (atime ? FILE_ATIME : 0);
        f->state |= mount_flags & MS_STRICTATIME ? FILE_STRICT : 0;
        return i->ops->open ? i->ops->open(i, f) : 0;
    default:
        return -ENXIO; /* block devices: there are none */
    }
}

/* A struct file that open_inode() refused: nothing was opened, so nothing is released. */
static void file_discard(struct file *f)
{
    f->ops = &path_only_ops;
    f->state = 0; /* nobody hears of it */
    file_put(f);
}

static int open_checked(const struct path *p, uint32_t flags, bool created, struct file **out)
{
    int r = 0;
    if (flags & O_PATH) {
        struct file *f = file_alloc(p, flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW));
        if (!f)
            return -ENOMEM;
        f->ops = &path_only_ops;
        f->state = 0;
        atomic_store(&f->flags, flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW));
        *out = f;
        return 0;
    }
    r = may_open(p, flags, created);
    if (r < 0)
        return r;
    struct file *f = file_alloc(p, flags);
    if (!f)
        return -ENOMEM;
    f->state |= flags & O_TRUNC ? FILE_TRUNC : 0;
    r = open_inode(f);
    if (r < 0) {
        file_discard(f);
        return r;
    }
    if ((flags & O_TRUNC) && !created && inode_is_reg(f->inode)) {
        r = path_truncate(p, 0);
        if (r < 0) {
            file_put(f);
            return r;
        }
    }
    notify_dentry(p->dentry, IN_OPEN);
    *out = f;
    return 0;
}

int file_open_path(const struct path *p, uint32_t flags, struct file **out)
{
    return open_checked(p, flags, false, out);
}

int layer_open(struct mount *m, struct dentry *d, uint32_t flags, struct file **out)
{
    struct path p = {m, d};
    struct file *f = file_alloc(&p, flags);
    int r = f ? open_inode(f) : -ENOMEM;
    if (r < 0 && f)
        file_discard(f);
    if (r == 0)
        *out = f;
    return r;
}

/* The last name of an open with O_CREAT: found or made. 1: it is a link, w goes on with it. */
static int find_or_create(struct walk *w, const struct last_name *last, uint32_t flags,
                          const struct inode_init *init, struct dentry **out, bool *created)
{
    struct inode *dir = path_inode(&w->at);
    int r = inode_permission(dir, w->cred, X_OK);
    if (r < 0)
        return r;
    *out = path_known(w->at.dentry, last->buffer);
    if (*out && (*out)->inode)
        return 0;
    dentry_put(*out);
    *out = NULL;
    mutex_lock(&dir->lock);
    r = path_lookup(w->at.dentry, last->buffer, true, out);
    if (r == 0 && !(*out)->inode) {
        dentry_put(*out);
        *out = NULL;
        r = dir_create_locked(&w->at, last->buffer, init, out);
        *created = r == 0;
    }
    mutex_unlock(&dir->lock);
    return r;
}

/* Opening with O_CREAT what somebody else, not the directory's owner, has put into a directory
 * where everybody may: refused for all but files and pipes, which the settings
 * protected_regular and protected_fifos are for (they are 0). */
static bool planted(const struct inode *dir, const struct inode *i, const struct cred *c)
{
    if ((dir->mode & (S_ISVTX | 0002)) != (S_ISVTX | 0002))
        return false;
    return i->type != S_IFREG && i->type != S_IFIFO && i->uid != dir->uid && i->uid != c->fsuid;
}

static int open_last(struct walk *w, const struct last_name *last, uint32_t flags,
                     const struct inode_init *init, struct file **out)
{
    struct path p = {.mount = w->at.mount};
    bool created = false;
    if (last->is_root || last->is_dot || last->is_dotdot)
        return flags & O_EXCL ? -EEXIST : -EISDIR;
    if (last->trailing_slash)
        return -EISDIR;
    int r = find_or_create(w, last, flags, init, &p.dentry, &created);
    if (r < 0)
        return r;
    mount_get(p.mount);
    r = walk_cross(w, &p);
    if (r < 0)
        goto put;
    if ((flags & O_EXCL) && !created)
        r = -EEXIST;
    else if (inode_is_link(path_inode(&p)) && !(flags & O_NOFOLLOW))
        r = walk_push_link(w, &p) < 0 ? -ELOOP : 1;
    else if (inode_is_dir(path_inode(&p)))
        r = -EISDIR;
    else if (!created && planted(path_inode(&w->at), path_inode(&p), w->cred))
        r = -EACCES;
    else
        r = open_checked(&p, flags, created, out);
put:
    path_put(&p);
    return r;
}

static uint32_t create_mode(uint32_t mode)
{
    uint32_t mask = current && current->fs ? atomic_load(&current->fs->umask) : 022;
    return S_IFREG | (mode & 07777 & ~mask);
}

static int open_create(struct walk *w, uint32_t flags, uint32_t mode, struct file **out)
{
    struct inode_init init = {.mode = create_mode(mode)};
    int r = 1;
    while (r == 1) {
        struct last_name last;
        r = walk_run(w, &last);
        if (r == 0 && last.is_root && w->links && !inode_is_dir(path_inode(&w->at)))
            r = open_checked(&w->at, flags, false, out); /* a magic link led to a file */
        else if (r == 0)
            r = open_last(w, &last, flags, &init, out);
        kfree(last.buffer);
    }
    return r;
}

static int open_tmpfile(struct walk *w, uint32_t flags, uint32_t mode, struct file **out)
{
    struct inode_init init = {.mode = create_mode(mode)};
    struct inode *made;
    int r = walk_run(w, NULL);
    if (r < 0)
        return r;
    struct inode *dir = path_inode(&w->at);
    if (!inode_is_dir(dir))
        return -ENOTDIR;
    if (!dir->ops->tmpfile)
        return -EOPNOTSUPP;
    r = dir_may_change(&w->at);
    init = inode_child_init(dir, &init);
    if (r == 0)
        r = dir->ops->tmpfile(dir, &init, &made);
    if (r < 0)
        return r;
    made->linkable = !(flags & O_EXCL);
    char name[32];
    format_string(name, sizeof(name), "#%llu", (unsigned long long)made->ino);
    struct path p = {w->at.mount, dentry_new_root(made, name)};
    if (!p.dentry) {
        inode_put(made);
        return -ENOMEM;
    }
    p.dentry->unlinked = true;
    r = open_checked(&p, flags & ~O_TMPFILE, true, out);
    dentry_put(p.dentry);
    return r;
}

static int check_flags(uint32_t *flags)
{
    if (*flags & O_PATH) {
        *flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        return 0;
    }
    if (*flags & O_TMPFILE_BIT) {
        if ((*flags & O_TMPFILE) != O_TMPFILE || !(access_of(*flags) & W_OK) ||
            (*flags & O_CREAT))
            return -EINVAL;
        return 0;
    }
    return (*flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY) ? -EINVAL : 0;
}

static uint32_t walk_flags(uint32_t flags, uint32_t resolve)
{
    uint32_t w = flags & O_NOFOLLOW ? 0 : WALK_FOLLOW;
    if (flags & O_DIRECTORY)
        w |= WALK_DIRECTORY;
    if (resolve & RESOLVE_NO_XDEV)
        w |= WALK_NO_XDEV;
    if (resolve & RESOLVE_NO_MAGICLINKS)
        w |= WALK_NO_MAGIC;
    if (resolve & RESOLVE_NO_SYMLINKS)
        w |= WALK_NO_LINKS;
    if (resolve & RESOLVE_BENEATH)
        w |= WALK_BENEATH;
    if (resolve & RESOLVE_IN_ROOT)
        w |= WALK_IN_ROOT;
    return w;
}

int file_open(int dirfd, const char *name, uint32_t flags, uint32_t mode, uint32_t resolve,
              struct file **out)
{
    struct walk w;
    int r = check_flags(&flags);
    if (r < 0)
        return r;
    uint32_t how = walk_flags(flags, resolve);
    bool create = (flags & O_CREAT) && !(flags & O_PATH);
    if (create)
        how = (how & ~(WALK_FOLLOW | WALK_DIRECTORY)) | WALK_PARENT | WALK_CREATE;
    r = walk_begin(&w, dirfd, NULL, name, how);
    if (r == 0 && create) {
        r = open_create(&w, flags, mode, out);
    } else if (r == 0 && (flags & O_TMPFILE_BIT)) {
        r = open_tmpfile(&w, flags, mode, out);
    } else if (r == 0) {
        r = walk_run(&w, NULL);
        if (r == 0)
            r = open_checked(&w.at, flags, false, out);
    }
    walk_end(&w);
    return r;
}

int file_open_exec(int dirfd, const char *name, uint32_t at_flags, struct file **out)
{
    struct path p;
    uint32_t how = at_flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW;
    if (at_flags & AT_EMPTY_PATH)
        how |= WALK_EMPTY;
    int r = path_walk(dirfd, name, how, &p);
    if (r < 0)
        return r;
    struct inode *i = path_inode(&p);
    if (inode_is_link(i))
        r = -ELOOP;
    else if (!inode_is_reg(i) || (atomic_load(&p.mount->flags) & MS_NOEXEC))
        r = -EACCES;
    else
        r = inode_permission(i, fs_cred(), X_OK);
    if (r == 0) {
        struct file *f = file_alloc(&p, O_RDONLY);
        r = f ? open_inode(f) : -ENOMEM;
        if (r == 0)
            *out = f;
        else if (f)
            file_discard(f);
    }
    path_put(&p);
    return r;
}

/* ---- files without names ---- */

static void anonymous_inode_free(struct inode *i)
{
    kfree(i);
}

static const struct inode_ops anonymous_inode_ops = {.free = anonymous_inode_free};
static void anonymous_super_free(struct super *sb)
{
    (void)sb; /* static, and its first reference is never put */
}

static const struct super_ops anonymous_super_ops = {.free = anonymous_super_free};
static struct super anonymous_super;
static struct mount anonymous_mount;

struct super *super_anonymous(void)
{
    static _Atomic uint32_t state;
    uint32_t expected = 0;
    if (likely(atomic_load(&state) == 2))
        return &anonymous_super;
    if (atomic_compare_exchange_strong(&state, &expected, 1)) {
        super_init(&anonymous_super, &anonymous_super_ops, "anon_inodefs");
        anonymous_super.magic = 0x09041934;
        anonymous_mount.sb = &anonymous_super;
        atomic_store(&anonymous_mount.refs, 1);
        atomic_store(&state, 2);
    }
    while (atomic_load(&state) != 2)
        __asm__ volatile("pause");
    return &anonymous_super;
}

struct mount *mount_anonymous(void)
{
    super_anonymous();
    return &anonymous_mount;
}

int inode_new_anonymous(uint32_t mode, struct inode **out)
{
    struct inode *i = kzalloc(sizeof(*i));
    if (!i)
        return -ENOMEM;
    struct super *sb = super_anonymous();
    inode_init(i, sb, &anonymous_inode_ops, mode);
    i->ino = atomic_fetch_add(&sb->next_ino, 1);
    i->uid = fs_cred()->fsuid;
    i->gid = fs_cred()->fsgid;
    i->atime = i->mtime = i->ctime = i->btime = fs_now();
    *out = i;
    return 0;
}

int file_new_anonymous(struct inode *inode, const char *name, uint32_t flags,
                       const struct file_ops *ops, void *private, struct file **out)
{
    struct path p = {mount_anonymous(), dentry_new_root(inode, name)};
    if (!p.dentry) {
        inode_put(inode);
        return -ENOMEM;
    }
    struct file *f = file_alloc(&p, flags);
    dentry_put(p.dentry); /* the file has its own reference */
    if (!f)
        return -ENOMEM;
    atomic_fetch_and(&f->flags, ~O_LARGEFILE);
    f->ops = ops;
    f->private = private;
    f->state |= ops->seek ? FILE_SEEK : FILE_STREAM;
    *out = f;
    return 0;
}
