/* SPDX-License-Identifier: BSD-3-Clause */
/* The file system context of processes: root, working directory, umask. */
#include "abi/errno.h"
#include "fs/core/fd.h"
#include "mm/kmalloc.h"

int fs_context_new(struct fs_context **out)
{
    struct fs_context *c = kzalloc(sizeof(*c));
    if (!c)
        return -ENOMEM;
    atomic_store(&c->refs, 1);
    atomic_store(&c->umask, 022);
    spin_init(&c->lock, RANK_FD_TABLE);
    mount_root_path(&c->root);
    mount_root_path(&c->cwd);
    *out = c;
    return 0;
}

struct fs_context *fs_context_get(struct fs_context *c)
{
    atomic_fetch_add(&c->refs, 1);
    return c;
}

int fs_context_clone(struct fs_context *c, struct fs_context **out)
{
    struct fs_context *n = kzalloc(sizeof(*n));
    if (!n)
        return -ENOMEM;
    atomic_store(&n->refs, 1);
    atomic_store(&n->umask, atomic_load(&c->umask));
    spin_init(&n->lock, RANK_FD_TABLE);
    fs_context_root(c, &n->root);
    fs_context_cwd(c, &n->cwd);
    *out = n;
    return 0;
}

void fs_context_put(struct fs_context *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    path_put(&c->root);
    path_put(&c->cwd);
    kfree(c);
}

void fs_context_root(struct fs_context *c, struct path *out)
{
    spin_lock(&c->lock);
    *out = c->root;
    path_get(out);
    spin_unlock(&c->lock);
}

void fs_context_cwd(struct fs_context *c, struct path *out)
{
    spin_lock(&c->lock);
    *out = c->cwd;
    path_get(out);
    spin_unlock(&c->lock);
}

static void replace(struct fs_context *c, struct path *slot, const struct path *p)
{
    struct path old;
    path_get(p);
    spin_lock(&c->lock);
    old = *slot;
    *slot = *p;
    spin_unlock(&c->lock);
    path_put(&old);
}

void fs_context_set_root(struct fs_context *c, const struct path *p)
{
    replace(c, &c->root, p);
}

void fs_context_set_cwd(struct fs_context *c, const struct path *p)
{
    replace(c, &c->cwd, p);
}
