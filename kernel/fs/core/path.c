/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The walk: path_resolution(7), openat2(2)'s RESOLVE flags. A link's target is put before what
 * is left of the name, in a buffer of its own, so that the loop never recurses.
 */
#include "abi/errno.h"
#include "fs/core/fd.h"
#include "fs/core/walk.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "sched/task.h"

void path_get(const struct path *p)
{
    mount_get(p->mount);
    dentry_get(p->dentry);
}

void path_put(struct path *p)
{
    dentry_put(p->dentry);
    mount_put(p->mount);
    p->dentry = NULL;
    p->mount = NULL;
}

static bool same_path(const struct path *a, const struct path *b)
{
    return a->dentry == b->dentry && a->mount == b->mount;
}

static struct cred root_cred = {.refs = 1};

const struct cred *fs_cred(void)
{
    return current && current->cred ? current->cred : &root_cred;
}

void fs_current_root(struct path *out)
{
    if (current && current->fs)
        fs_context_root(current->fs, out);
    else
        mount_root_path(out);
}

static void current_cwd(struct path *out)
{
    if (current && current->fs)
        fs_context_cwd(current->fs, out);
    else
        mount_root_path(out);
}

static int start_at_fd(int dirfd, struct path *out)
{
    if (dirfd == AT_FDCWD) {
        current_cwd(out);
        return 0;
    }
    struct file *f = fd_file_any(dirfd);
    if (!f)
        return -EBADF;
    *out = f->path;
    path_get(out);
    file_put(f);
    return 0;
}

int walk_begin(struct walk *w, int dirfd, const struct path *start, const char *name,
               uint32_t flags)
{
    memset(w, 0, sizeof(*w));
    w->flags = flags;
    w->rest = name;
    w->cred = fs_cred();
    if (*name == 0 && !(flags & WALK_EMPTY))
        return -ENOENT;
    if (strnlen(name, PATH_MAX) >= PATH_MAX)
        return -ENAMETOOLONG;
    bool absolute = *name == '/';
    if (absolute && (flags & WALK_BENEATH))
        return -EXDEV;
    if (start && !absolute) {
        w->at = *start;
        path_get(&w->at);
    } else if (absolute && !(flags & WALK_IN_ROOT)) {
        fs_current_root(&w->at);
    } else {
        int r = start_at_fd(dirfd, &w->at);
        if (r < 0)
            return r;
    }
    if (flags & (WALK_BENEATH | WALK_IN_ROOT)) {
        w->boundary = w->at;
        path_get(&w->boundary);
    } else {
        fs_current_root(&w->boundary);
    }
    return 0;
}

void walk_end(struct walk *w)
{
    if (w->at.dentry)
        path_put(&w->at);
    if (w->boundary.dentry)
        path_put(&w->boundary);
    kfree(w->owned);
    w->owned = NULL;
}

int walk_cross(struct walk *w, struct path *p)
{
    while (atomic_load_explicit(&p->dentry->mounts, memory_order_acquire)) {
        struct mount *m = mount_over(p->mount, p->dentry);
        if (!m)
            break;
        if (w->flags & WALK_NO_XDEV) {
            mount_put(m);
            return -EXDEV;
        }
        struct path up = {m, dentry_get(m->root)};
        path_put(p);
        *p = up;
    }
    return 0;
}

/* Replaces w->at by what is above it. */
static int walk_up(struct walk *w)
{
    if (same_path(&w->at, &w->boundary))
        return w->flags & WALK_BENEATH ? -EXDEV : 0;
    while (w->at.dentry == w->at.mount->root && w->at.mount->parent) {
        if (w->flags & WALK_NO_XDEV)
            return -EXDEV;
        struct path up = {w->at.mount->parent, w->at.mount->mountpoint};
        path_get(&up);
        path_put(&w->at);
        w->at = up;
    }
    if (w->at.dentry == w->at.mount->root)
        return 0;
    struct dentry *parent = dentry_parent(w->at.dentry);
    dentry_put(w->at.dentry);
    w->at.dentry = parent;
    return walk_cross(w, &w->at);
}

static int read_target(struct inode *i, char **out)
{
    char *buffer = kmalloc(PATH_MAX);
    if (!buffer)
        return -ENOMEM;
    ssize_t n = i->ops->readlink ? i->ops->readlink(i, buffer, PATH_MAX - 1) : -EINVAL;
    if (n <= 0) {
        kfree(buffer);
        return n < 0 ? (int)n : -ENOENT;
    }
    buffer[n] = 0;
    *out = buffer;
    return 0;
}

static int go_to_root(struct walk *w)
{
    if (w->flags & WALK_BENEATH)
        return -EXDEV;
    if (w->flags & WALK_NO_XDEV && w->at.mount != w->boundary.mount)
        return -EXDEV;
    path_get(&w->boundary);
    path_put(&w->at);
    w->at = w->boundary;
    return 0;
}

static int jump(struct walk *w, struct inode *i)
{
    struct path target;
    if (w->flags & (WALK_NO_MAGIC | WALK_BENEATH | WALK_IN_ROOT))
        return w->flags & WALK_NO_MAGIC ? -ELOOP : -EXDEV;
    int r = i->ops->jump(i, &target);
    if (r < 0)
        return r;
    path_put(&w->at);
    w->at = target;
    return 0;
}

int walk_push_link(struct walk *w, const struct path *link)
{
    struct inode *i = path_inode(link);
    char *target = NULL;
    if (++w->links > PATH_MAX_LINKS || (w->flags & WALK_NO_LINKS))
        return -ELOOP;
    if (i->ops->jump)
        return jump(w, i);
    int r = read_target(i, &target);
    if (r < 0)
        return r;
    size_t len = strlen(target), rest = strlen(w->rest);
    char *joined = kmalloc(len + rest + 1);
    if (!joined) {
        kfree(target);
        return -ENOMEM;
    }
    memcpy(joined, target, len);
    memcpy(joined + len, w->rest, rest + 1);
    kfree(target);
    kfree(w->owned);
    w->owned = joined;
    w->rest = joined;
    return *joined == '/' ? go_to_root(w) : 0;
}

/* One component that is neither "." nor "..". */
static int step(struct walk *w, const char *name, size_t len, bool more)
{
    struct path next = {.mount = w->at.mount};
    int r = path_lookup_part(w->at.dentry, name, len, &next.dentry);
    if (r < 0)
        return r;
    if (!next.dentry->inode) {
        dentry_put(next.dentry);
        return -ENOENT;
    }
    mount_get(next.mount);
    r = walk_cross(w, &next);
    if (r < 0)
        goto put;
    bool follow = more || w->need_dir || (w->flags & WALK_FOLLOW);
    if (inode_is_link(path_inode(&next)) && follow) {
        r = walk_push_link(w, &next);
        goto put;
    }
    path_put(&w->at);
    w->at = next;
    return 0;
put:
    path_put(&next);
    return r;
}

static int keep_last(struct last_name *last, const char *name, size_t len, bool slash)
{
    last->buffer = kmalloc(len + 1);
    if (!last->buffer)
        return -ENOMEM;
    memcpy(last->buffer, name, len);
    last->buffer[len] = 0;
    last->is_dot = len == 1 && name[0] == '.';
    last->is_dotdot = len == 2 && name[0] == '.' && name[1] == '.';
    last->trailing_slash = slash;
    return 0;
}

static int may_search(struct walk *w)
{
    struct inode *i = path_inode(&w->at);
    if (!inode_is_dir(i))
        return -ENOTDIR;
    return inode_permission(i, w->cred, X_OK);
}

static int component(struct walk *w, struct last_name *last, bool *done)
{
    const char *name = w->rest;
    size_t len = 0;
    while (name[len] && name[len] != '/')
        len++;
    const char *after = name + len, *next = after;
    while (*next == '/')
        next++;
    bool more = *next != 0;
    if (!more)
        w->need_dir = next != after;
    int r = may_search(w);
    if (r < 0)
        return r;
    if (!more && last) {
        *done = true;
        w->rest = next;
        return keep_last(last, name, len, w->need_dir);
    }
    w->rest = after;
    if (len == 1 && name[0] == '.')
        return 0;
    if (len == 2 && name[0] == '.' && name[1] == '.')
        return walk_up(w);
    return step(w, name, len, more);
}

int walk_run(struct walk *w, struct last_name *last)
{
    bool done = false, any = false;
    if (last)
        memset(last, 0, sizeof(*last));
    while (!done) {
        while (*w->rest == '/')
            w->rest++;
        if (*w->rest == 0)
            break;
        any = true;
        int r = component(w, last, &done);
        if (r < 0)
            return r;
    }
    if (last && !done)
        last->is_root = true;
    if (!last &&
        (any ? w->need_dir || (w->flags & WALK_DIRECTORY) : w->flags & WALK_DIRECTORY) &&
        !inode_is_dir(path_inode(&w->at)))
        return -ENOTDIR;
    return 0;
}

static int walk_whole(struct walk *w, int begun, struct last_name *last, struct path *out)
{
    int r = begun < 0 ? begun : walk_run(w, last);
    if (r == 0) {
        *out = w->at;
        w->at = (struct path){0};
    }
    walk_end(w);
    return r;
}

int path_walk(int dirfd, const char *name, uint32_t flags, struct path *out)
{
    struct walk w;
    return walk_whole(&w, walk_begin(&w, dirfd, NULL, name, flags), NULL, out);
}

int path_walk_from(const struct path *start, const char *name, uint32_t flags, struct path *out)
{
    struct walk w;
    return walk_whole(&w, walk_begin(&w, AT_FDCWD, start, name, flags), NULL, out);
}

int path_walk_parent(int dirfd, const char *name, uint32_t flags, struct path *out,
                     struct last_name *last)
{
    struct walk w;
    memset(last, 0, sizeof(*last));
    return walk_whole(&w, walk_begin(&w, dirfd, NULL, name, flags | WALK_PARENT), last, out);
}

int path_walk_user(int dirfd, uaddr_t name, uint32_t flags, struct path *out)
{
    char *text;
    int r = strdup_from_user(name, PATH_MAX, &text);
    if (r < 0)
        return r;
    r = path_walk(dirfd, text, flags, out);
    kfree(text);
    return r;
}

/* Puts `text` in front of what has been written from the end of the buffer. */
static bool prepend(char *buffer, size_t *start, const char *text, size_t len)
{
    (void)buffer;
    if (len > *start)
        return false;
    *start -= len;
    memcpy(buffer + *start, text, len);
    return true;
}

ssize_t path_text_from(const struct path *p, const struct path *root, char *buffer, size_t size,
                       uint32_t *flags)
{
    const struct mount *m = p->mount;
    struct dentry *d = p->dentry;
    size_t start = size;
    bool fits = prepend(buffer, &start, "", 1), any = false;
    *flags = d->unlinked ? PATH_TEXT_DELETED : 0;
    dcache_lock_names();
    while (fits && !(d == root->dentry && m == root->mount)) {
        if (d == m->root) {
            if (!m->parent)
                break;
            d = m->mountpoint;
            m = m->parent;
            continue;
        }
        if (d->parent == d)
            break;
        fits = prepend(buffer, &start, d->name, d->name_len) && prepend(buffer, &start, "/", 1);
        any = true;
        d = d->parent;
    }
    bool reached = d == root->dentry && m == root->mount;
    if (fits && !any && !reached && d->name_len > 1)
        fits = prepend(buffer, &start, d->name, d->name_len); /* "pipe:[7]" */
    else if (fits && !any)
        fits = prepend(buffer, &start, "/", 1);
    dcache_unlock_names();
    if (!fits)
        return -ERANGE;
    if (!reached)
        *flags |= PATH_TEXT_UNREACHABLE;
    memmove(buffer, buffer + start, size - start);
    return (ssize_t)(size - start - 1);
}

const char *dentry_text(struct dentry *d, char *buffer, size_t size)
{
    size_t start = size;
    bool fits = prepend(buffer, &start, "", 1), any = false;
    dcache_lock_names();
    for (; fits && d->parent != d; d = d->parent) {
        fits = prepend(buffer, &start, d->name, d->name_len) && prepend(buffer, &start, "/", 1);
        any = true;
    }
    dcache_unlock_names();
    return fits && any ? buffer + start : "/";
}

ssize_t path_text(const struct path *p, char *buffer, size_t size)
{
    static const char deleted[] = " (deleted)";
    struct path root;
    uint32_t flags;
    fs_current_root(&root);
    ssize_t n = path_text_from(p, &root, buffer, size, &flags);
    path_put(&root);
    if (n < 0 || !(flags & PATH_TEXT_DELETED))
        return n;
    if ((size_t)n + sizeof(deleted) > size)
        return -ERANGE;
    memcpy(buffer + n, deleted, sizeof(deleted));
    return n + (ssize_t)sizeof(deleted) - 1;
}
