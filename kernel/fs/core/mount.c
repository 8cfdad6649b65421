/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tree of mounts, and file system types. A mount is
 * found by its parent and mount point in one short list; its spinlock is taken only for
 * dentries that have something on them.
 */
#include "fs/core/mount.h"

#include "abi/errno.h"
#include "fs/core/fd.h"
#include "fs/core/layer.h"
#include "fs/core/notify.h"
#include "fs/core/path.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

static struct spinlock mounts_lock = SPINLOCK_INIT(RANK_INODE_DATA);
static struct list mounts = LIST_INIT(mounts);
static struct list types = LIST_INIT(types);
static struct mount *root_mount;
static uint32_t next_id = 20;

struct mount *mount_get(struct mount *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

static void mount_free(struct mount *m)
{
    struct super *sb = m->sb;
    dentry_put(m->root);
    dentry_put(m->mountpoint);
    if (m->parent)
        mount_put(m->parent);
    dentry_forget_super(sb);
    if (atomic_fetch_sub(&sb->mounts, 1) == 1) {
        notify_unmounted(sb);
        cache_settle(sb);
        inode_put(sb->root);
        sb->root = NULL;
    }
    super_put(sb);
    kfree(m->source);
    kfree(m);
}

void mount_put(struct mount *m)
{
    if (m && atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) == 1)
        mount_free(m);
}

void fs_type_register(struct fs_type *type)
{
    list_append(&types, &type->node);
}

struct fs_type *fs_type_next(struct fs_type *prev)
{
    struct list *n = prev ? prev->node.next : types.next;
    return n == &types ? NULL : list_entry(n, struct fs_type, node);
}

struct fs_type *fs_type_find(const char *name)
{
    struct fs_type *t = NULL;
    while ((t = fs_type_next(t)) != NULL) {
        if (strcmp(t->name, name) == 0)
            return t;
    }
    return NULL;
}

struct mount *mount_over(struct mount *m, struct dentry *d)
{
    struct mount *found = NULL, *i;
    spin_lock(&mounts_lock);
    list_for_each (i, &mounts, node) {
        if (i->parent == m && i->mountpoint == d)
            found = i;
    }
    if (found)
        mount_get(found);
    spin_unlock(&mounts_lock);
    return found;
}

bool mount_have_root(void)
{
    return root_mount != NULL;
}

void mount_root_path(struct path *out)
{
    out->mount = mount_get(root_mount);
    out->dentry = dentry_get(root_mount->root);
}

static struct mount *mount_new(struct super *sb, struct dentry *root, uint32_t flags,
                               const char *source)
{
    struct mount *m = kzalloc(sizeof(*m));
    if (!m)
        return NULL;
    m->source = kstrdup(source);
    if (!m->source) {
        kfree(m);
        return NULL;
    }
    m->sb = super_get(sb);
    atomic_fetch_add(&sb->mounts, 1);
    m->root = dentry_get(root);
    atomic_store(&m->flags, flags);
    atomic_store(&m->refs, 1); /* of the list */
    return m;
}

static int attach(struct super *sb, struct dentry *root, const struct path *at, uint32_t flags,
                  const char *source, struct mount **out)
{
    struct mount *m = mount_new(sb, root, flags, source);
    if (!m)
        return -ENOMEM;
    if (at) {
        m->parent = mount_get(at->mount);
        m->mountpoint = dentry_get(at->dentry);
        atomic_fetch_add(&at->dentry->mounts, 1);
    }
    spin_lock(&mounts_lock);
    m->id = next_id++;
    list_append(&mounts, &m->node);
    if (!at)
        root_mount = m;
    spin_unlock(&mounts_lock);
    *out = m;
    return 0;
}

int mount_attach(struct super *sb, struct dentry *root, const struct path *at, uint32_t flags,
                 const char *source)
{
    struct mount *m;
    return attach(sb, root, at, flags, source, &m);
}

/* ---- binding ---- */

#define BIND_MAX 64u
struct binding {
    struct mount *old[BIND_MAX], *copy[BIND_MAX]; /* not counted: nothing detaches meanwhile */
    size_t count;
    struct dentry *top;
};

static bool is_below(struct dentry *d, const struct dentry *top)
{
    dcache_lock_names();
    while (d != top && d->parent != d)
        d = d->parent;
    dcache_unlock_names();
    return d == top;
}

/* A mount below one that has been copied is copied, too; parents come first. */
static int bind_one(struct mount *m, void *arg)
{
    struct binding *b = arg;
    size_t k = 0, own = 0;
    while (own < b->count && b->copy[own] != m)
        own++;
    while (k < b->count && b->old[k] != m->parent)
        k++;
    if (own < b->count || k == b->count || (k == 0 && !is_below(m->mountpoint, b->top)))
        return 0;
    if (b->count == BIND_MAX)
        return -ENOSPC;
    struct path at = {b->copy[k], m->mountpoint};
    int r = attach(m->sb, m->root, &at, atomic_load(&m->flags), m->source, &b->copy[b->count]);
    if (r == 0)
        b->old[b->count++] = m;
    return r;
}

int mount_bind(const struct path *from, const struct path *at, bool recursive)
{
    struct binding *b = kzalloc(sizeof(*b));
    if (!b)
        return -ENOMEM;
    b->top = from->dentry;
    b->old[0] = from->mount;
    int r = attach(from->mount->sb, from->dentry, at, atomic_load(&from->mount->flags),
                   from->mount->source, &b->copy[0]);
    b->count = 1;
    if (r == 0 && recursive)
        r = mount_walk(bind_one, b);
    kfree(b);
    return r;
}

/* Moves the mount whose root `from` is. */
int mount_move(const struct path *from, const struct path *to)
{
    struct mount *m = from->mount, *old_parent = NULL;
    struct dentry *old_place = NULL;
    if (from->dentry != m->root || !m->parent ||
        inode_is_dir(path_inode(from)) != inode_is_dir(path_inode(to)))
        return -EINVAL;
    spin_lock(&mounts_lock);
    int r = m->detached ? -EINVAL : 0;
    for (struct mount *up = to->mount; up && r == 0; up = up->parent)
        r = up == m ? -ELOOP : 0;
    if (r == 0) {
        old_parent = m->parent;
        old_place = m->mountpoint;
        atomic_fetch_sub(&old_place->mounts, 1);
        atomic_fetch_add(&to->dentry->mounts, 1);
        m->parent = mount_get(to->mount);
        m->mountpoint = dentry_get(to->dentry);
        list_remove(&m->node); /* behind its new parent */
        list_append(&mounts, &m->node);
    }
    spin_unlock(&mounts_lock);
    dentry_put(old_place);
    mount_put(old_parent);
    return r;
}

int layer_mount(struct super *sb, struct dentry *root, uint32_t flags, struct mount **out)
{
    *out = mount_new(sb, root, flags, "none");
    return *out ? 0 : -ENOMEM;
}

static struct mount *child_of_locked(const struct mount *m)
{
    struct mount *i;
    list_for_each (i, &mounts, node) {
        if (i->parent == m)
            return i;
    }
    return NULL;
}

/* Off the list, with all that is mounted on it; each is put by the caller. */
static void detach_locked(struct mount *m, struct list *gone)
{
    struct mount *top = m, *deepest;
    for (;;) {
        deepest = top;
        while ((m = child_of_locked(deepest)) != NULL)
            deepest = m;
        deepest->detached = true;
        list_remove(&deepest->node);
        if (deepest->mountpoint)
            atomic_fetch_sub(&deepest->mountpoint->mounts, 1);
        list_append(gone, &deepest->node);
        if (deepest == top)
            return;
    }
}

static struct mount *over_root_locked(const struct mount *m)
{
    struct mount *i, *found = NULL;
    list_for_each (i, &mounts, node) {
        if (i->parent == m && i->mountpoint == m->root)
            found = i;
    }
    return found;
}

bool mount_root_settle(void)
{
    struct mount *old = root_mount, *top = root_mount, *next, *parent;
    struct list gone = LIST_INIT(gone);
    spin_lock(&mounts_lock);
    while ((next = over_root_locked(top)) != NULL)
        top = next;
    struct dentry *place = top->mountpoint;
    parent = top->parent;
    if (top != old) {
        atomic_fetch_sub(&place->mounts, 1);
        top->mountpoint = NULL;
        top->parent = NULL;
        root_mount = top;
        detach_locked(old, &gone);
    }
    spin_unlock(&mounts_lock);
    if (top == old)
        return false;
    dentry_put(place);
    mount_put(parent);
    while (!list_empty(&gone))
        mount_put(list_entry(list_pop(&gone), struct mount, node));
    return true;
}

int mount_detach(const struct path *at, uint32_t flags)
{
    struct mount *m = at->mount;
    struct list gone = LIST_INIT(gone);
    bool lazy = flags & MNT_DETACH;
    if (at->dentry != m->root)
        return -EINVAL;
    if (m == root_mount)
        return -EBUSY;
    dentry_forget_super(m->sb);
    if (m->sb->ops->sync) /* dirty inodes hold their file system */
        (void)!m->sb->ops->sync(m->sb);
    spin_lock(&mounts_lock);
    /* references: the list's, and the caller's path */
    bool busy = !lazy && (child_of_locked(m) || atomic_load(&m->refs) > 2);
    int r = m->detached ? -EINVAL : busy ? -EBUSY : 0;
    if (r == 0 && (flags & MNT_EXPIRE) && !m->expires) {
        m->expires = true;
        r = -EAGAIN;
    }
    if (r == 0)
        detach_locked(m, &gone);
    spin_unlock(&mounts_lock);
    while (!list_empty(&gone)) {
        m = list_entry(list_pop(&gone), struct mount, node);
        mount_put(m);
    }
    return r;
}

int mount_walk(int (*each)(struct mount *m, void *arg), void *arg)
{
    int r = 0;
    struct mount *m = NULL;
    for (unsigned index = 0; r == 0; index++) {
        unsigned n = 0;
        struct mount *i, *next = NULL;
        spin_lock(&mounts_lock);
        list_for_each (i, &mounts, node) {
            if (n++ == index) {
                next = mount_get(i);
                break;
            }
        }
        spin_unlock(&mounts_lock);
        mount_put(m);
        m = next;
        if (!m)
            return 0;
        r = each(m, arg);
    }
    mount_put(m);
    return r;
}

static int sync_one(struct mount *m, void *arg)
{
    (void)arg;
    if (m->sb->ops->sync)
        (void)!m->sb->ops->sync(m->sb);
    return 0;
}

void mount_sync_all(void)
{
    (void)!mount_walk(sync_one, NULL);
}
