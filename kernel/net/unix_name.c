/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names of UNIX sockets. In the file system, the node's inode points to its socket, which holds
 * the path, so that the inode stays the one that lookups find. Abstract names stand in a table.
 */
#include "net/unix.h"

#include "abi/errno.h"
#include "fs/core/fd.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define BUCKETS   256u
#define FAMILY    ((uint32_t)sizeof(uint16_t))
#define UNIX_PATH 108u

static struct list table[BUCKETS]; /* unix_lock; zeroed lists are made on first use */

static struct list *bucket_of(const struct sock_name *name)
{
    uint32_t h = 2166136261u;
    for (uint32_t i = FAMILY; i < name->size; i++)
        h = (h ^ name->bytes[i]) * 16777619u;
    struct list *l = &table[h % BUCKETS];
    if (!l->next)
        list_init(l);
    return l;
}

static bool same_name(const struct sock_name *a, const struct sock_name *b)
{
    return a->size == b->size && !memcmp(a->bytes, b->bytes, a->size);
}

/* unix_lock held. */
static struct unix_sock *find_abstract(const struct sock_name *name, uint32_t type)
{
    struct unix_sock *u;
    list_for_each (u, bucket_of(name), name_node) {
        if (u->sock.type == type && same_name(&u->name->name, name))
            return u;
    }
    return NULL;
}

static int check_name(const struct sock_name *name)
{
    bool fits = name->size > FAMILY && name->size <= FAMILY + UNIX_PATH;
    return fits && name->family == AF_UNIX ? 0 : -EINVAL;
}

static bool is_abstract(const struct sock_name *name)
{
    return name->bytes[FAMILY] == 0;
}

/* The name as the file system takes it; *tidy counts up to its NUL. */
static void path_of(const struct sock_name *name, char path[UNIX_PATH + 1],
                    struct sock_name *tidy)
{
    memset(path, 0, UNIX_PATH + 1);
    memcpy(path, name->bytes + FAMILY, name->size - FAMILY);
    memset(tidy, 0, sizeof(*tidy));
    tidy->family = AF_UNIX;
    tidy->size = FAMILY + (uint32_t)strlen(path) + 1;
    memcpy(tidy->bytes + FAMILY, path, tidy->size - FAMILY);
}

static int find_path(const struct sock_name *name, struct unix_sock **out)
{
    char path[UNIX_PATH + 1];
    struct sock_name tidy;
    struct path p;
    path_of(name, path, &tidy);
    int r = path_walk(AT_FDCWD, path, WALK_FOLLOW, &p);
    if (r < 0)
        return r;
    struct inode *i = path_inode(&p);
    r = inode_permission(i, fs_cred(), W_OK);
    if (r == 0 && i->type != S_IFSOCK)
        r = -ECONNREFUSED;
    if (r == 0) {
        spin_lock(&unix_lock);
        struct unix_sock *u = i->ipc;
        *out = u ? unix_of(socket_get(&u->sock)) : NULL;
        spin_unlock(&unix_lock);
        r = *out ? 0 : -ECONNREFUSED;
    }
    path_put(&p);
    return r;
}

int unix_find(const struct sock_name *name, uint32_t type, struct unix_sock **out)
{
    int r = check_name(name);
    if (r < 0)
        return r;
    if (!is_abstract(name)) {
        r = find_path(name, out);
    } else {
        spin_lock(&unix_lock);
        struct unix_sock *u = find_abstract(name, type);
        *out = u ? unix_of(socket_get(&u->sock)) : NULL;
        spin_unlock(&unix_lock);
        r = *out ? 0 : -ECONNREFUSED;
    }
    if (r == 0 && (*out)->sock.type != type) {
        unix_put(*out);
        r = -EPROTOTYPE;
    }
    return r;
}

static int bind_abstract(struct unix_sock *u, const struct sock_name *name)
{
    int r = 0;
    struct net_name *n = net_name_new(name);
    if (!n)
        return -ENOMEM;
    spin_lock(&unix_lock);
    if (u->name)
        r = -EINVAL;
    else if (find_abstract(name, u->sock.type))
        r = -EADDRINUSE;
    else
        u->name = n;
    if (r == 0)
        list_append(bucket_of(name), &u->name_node);
    spin_unlock(&unix_lock);
    if (r < 0)
        net_name_put(n);
    return r;
}

int unix_autobind(struct unix_sock *u)
{
    static _Atomic uint32_t next;
    char text[8];
    int r = -EADDRINUSE;
    for (uint32_t tries = 0; r == -EADDRINUSE && tries <= 0xfffff; tries++) {
        struct sock_name name = {.size = FAMILY + 6, .family = AF_UNIX};
        format_string(text, sizeof(text), "%05x", atomic_fetch_add(&next, 1) & 0xfffff);
        memcpy(name.bytes + FAMILY + 1, text, 5);
        r = bind_abstract(u, &name);
    }
    return r == -EINVAL ? 0 : r; /* somebody else was faster: it has a name */
}

static int bind_path(struct unix_sock *u, const struct sock_name *name)
{
    char path[UNIX_PATH + 1];
    struct sock_name tidy;
    struct path p;
    path_of(name, path, &tidy);
    struct net_name *n = net_name_new(&tidy);
    if (!n)
        return -ENOMEM;
    int r = path_create(AT_FDCWD, path, S_IFSOCK | 0777, 0, NULL);
    if (r == 0)
        r = path_walk(AT_FDCWD, path, 0, &p);
    if (r < 0) {
        net_name_put(n);
        return r == -EEXIST ? -EADDRINUSE : r;
    }
    spin_lock(&unix_lock);
    bool ok = !u->name && path_inode(&p)->type == S_IFSOCK && !path_inode(&p)->ipc;
    if (ok) {
        u->name = n;
        u->path = p;
        path_inode(&p)->ipc = u;
    }
    spin_unlock(&unix_lock);
    if (!ok) {
        net_name_put(n);
        path_put(&p);
    }
    return ok ? 0 : -EINVAL;
}

int unix_bind(struct socket *s, const struct sock_name *name)
{
    struct unix_sock *u = unix_of(s);
    if (name->size == FAMILY && name->family == AF_UNIX)
        return u->name ? -EINVAL : unix_autobind(u);
    int r = check_name(name);
    if (r < 0)
        return r;
    if (u->name)
        return -EINVAL;
    return is_abstract(name) ? bind_abstract(u, name) : bind_path(u, name);
}

void unix_unname(struct unix_sock *u)
{
    spin_lock(&unix_lock);
    struct path p = u->path;
    u->path = (struct path){0};
    if (p.dentry && path_inode(&p)->ipc == u)
        path_inode(&p)->ipc = NULL;
    if (!list_empty(&u->name_node))
        list_remove(&u->name_node);
    spin_unlock(&unix_lock);
    path_put(&p);
}

int unix_name(struct socket *s, bool peer, struct sock_name *out)
{
    struct unix_sock *u = unix_of(s);
    int r = 0;
    memset(out, 0, sizeof(*out));
    spin_lock(&unix_lock);
    struct unix_sock *who = peer ? u->peer : u;
    if (!who) {
        r = -ENOTCONN;
    } else if (who->name) {
        *out = who->name->name;
    } else {
        out->size = FAMILY;
        out->family = AF_UNIX;
    }
    spin_unlock(&unix_lock);
    return r;
}
