/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host descriptors of hostfs: opened on demand, kept while in use, and after that among the
 * FDS_KEPT that were used last.
 */
#include "abi/errno.h"
#include "enclave/host.h"
#include "fs/hostfs/node.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define FDS_KEPT 256u

static struct spinlock names_lock = SPINLOCK_INIT(RANK_INODE_DATA);
static struct spinlock fds_lock = SPINLOCK_INIT(RANK_INODE_DATA);
static struct list idle = LIST_INIT(idle); /* nodes with descriptors, oldest first */
static uint32_t idle_count;

/* The path from the mount's root, "." for the root itself. */
static int node_path(struct host_node *n, char *buffer, size_t size, const char **out)
{
    size_t start = size - 1;
    bool fits = true;
    buffer[start] = 0;
    spin_lock(&names_lock);
    for (; n->parent && fits; n = n->parent) {
        size_t len = strlen(n->name);
        bool slash = start != size - 1;
        fits = len + slash < start;
        if (!fits)
            break;
        if (slash)
            buffer[--start] = '/';
        start -= len;
        memcpy(buffer + start, n->name, len);
    }
    spin_unlock(&names_lock);
    if (!fits)
        return -ENAMETOOLONG;
    *out = start == size - 1 ? "." : buffer + start;
    return 0;
}

int host_node_place(struct host_node *n, char name[NAME_MAX + 1], struct host_node **parent)
{
    int r = -ENOENT;
    spin_lock(&names_lock);
    *parent = n->parent;
    if (n->parent) {
        inode_get(&n->parent->inode);
        r = str_copy(name, NAME_MAX + 1, n->name);
    }
    spin_unlock(&names_lock);
    return r;
}

static bool is_name(const struct host_node *at, const char *text,
                    const struct host_node *parent, const char *name)
{
    return at == parent && strcmp(text, name) == 0;
}

/* An unused record for the name that is used now; what it replaces is freed by the caller. */
static void keep_current_locked(struct host_node *n, struct host_name *keep)
{
    keep->parent = n->parent;
    memcpy(keep->text, n->name, strlen(n->name) + 1);
    list_push(&n->others, &keep->link);
    n->other_count++;
}

static void name_free(struct host_name *h)
{
    if (!h)
        return;
    inode_put(&h->parent->inode);
    kfree(h);
}

/* Without memory the old name is used on; the next lookup tries again. */
void host_name_add(struct host_node *n, struct host_node *parent, const char *name)
{
    struct host_name *keep = kmalloc(sizeof(*keep) + NAME_MAX + 1), *surplus = NULL;
    char *copy = kstrdup(name), *unused = copy;
    spin_lock(&names_lock);
    bool known = !n->parent || is_name(n->parent, n->name, parent, name);
    struct host_name *h;
    list_for_each (h, &n->others, link)
        known = known || is_name(h->parent, h->text, parent, name);
    if (!known && keep && copy) {
        keep_current_locked(n, keep);
        keep = NULL;
        inode_get(&parent->inode);
        unused = n->name;
        n->parent = parent;
        n->name = copy;
    }
    if (n->other_count > HOST_NAMES_MAX) {
        surplus = list_entry(n->others.prev, struct host_name, link);
        list_remove(&surplus->link);
        n->other_count--;
    }
    spin_unlock(&names_lock);
    kfree(keep);
    kfree(unused);
    name_free(surplus);
}

void host_name_drop(struct host_node *n, const struct host_node *parent, const char *name)
{
    struct host_name *gone = NULL, *h, *next;
    spin_lock(&names_lock);
    bool used = is_name(n->parent, n->name, parent, name);
    list_for_each_safe (h, next, &n->others, link) {
        if (gone || (!used && !is_name(h->parent, h->text, parent, name)))
            continue;
        gone = h;
        list_remove(&h->link);
        n->other_count--;
    }
    if (gone && used) { /* another name takes its place */
        struct host_node *old = n->parent;
        size_t size = strlen(gone->text) + 1;
        char *text = kmalloc(size);
        if (text) {
            memcpy(text, gone->text, size);
            kfree(n->name);
            n->name = text;
            n->parent = gone->parent;
            gone->parent = old;
        }
    }
    spin_unlock(&names_lock);
    name_free(gone);
}

void host_names_free(struct host_node *n)
{
    while (!list_empty(&n->others))
        name_free(list_entry(list_pop(&n->others), struct host_name, link));
}

/* *which becomes what the descriptor is good for. */
static int open_dir(int root, const char *path, int *which, uint64_t resolve)
{
    uint32_t flags = O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int r = host_openat(root, path, flags | O_RDONLY, 0, resolve);

    if (r != -EACCES || *which == HOST_LIST) {
        *which = HOST_LIST;
        return r;
    }
    return host_openat(root, path, flags | O_PATH, 0, resolve);
}

static int open_node(struct host_node *n, int *which)
{
    static const uint64_t resolve =
        RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
    const char *path;
    if (n->removed)
        return -ESTALE; /* its name may lead to something else by now */
    uint32_t flags = O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    char *buffer = kmalloc(PATH_MAX);
    if (!buffer)
        return -ENOMEM;
    int root = host_super(&n->inode)->root_fd;
    int r = node_path(n, buffer, PATH_MAX, &path);
    if (r == 0 && inode_is_dir(&n->inode)) {
        r = open_dir(root, path, which, resolve);
    } else if (r == 0 && !inode_is_reg(&n->inode)) { /* never opened, only held */
        r = host_openat(root, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, resolve);
    } else if (r == 0 && *which == HOST_READ) {
        r = host_openat(root, path, flags | O_RDONLY, 0, resolve);
    } else if (r == 0) {
        r = host_openat(root, path, flags | O_RDWR, 0, resolve);
        if (r == -EACCES)
            r = host_openat(root, path, flags | O_WRONLY, 0, resolve);
    }
    kfree(buffer);
    return r;
}

/* Takes the oldest idle node's descriptors if there are too many. */
static bool evict_one(int closing[2])
{
    bool found = false;
    spin_lock(&fds_lock);
    if (idle_count > FDS_KEPT) {
        struct host_node *n = list_entry(idle.next, struct host_node, lru);
        list_remove(&n->lru);
        idle_count--;
        memcpy(closing, n->fd, sizeof(n->fd));
        n->fd[0] = n->fd[1] = -1;
        found = true;
    }
    spin_unlock(&fds_lock);
    return found;
}

static void close_both(const int fds[2])
{
    for (int i = 0; i < 2; i++) {
        if (fds[i] >= 0)
            host_close(fds[i]);
    }
}

/* Counts a user in; the node is then not idle. */
static void use_locked(struct host_node *n)
{
    n->users++;
    if (!list_empty(&n->lru)) {
        list_remove(&n->lru);
        idle_count--;
    }
}

int host_fd_get(struct host_node *n, int which)
{
    spin_lock(&fds_lock);
    int fd = n->fd[which];
    if (fd < 0 && which == HOST_READ)
        fd = n->fd[HOST_WRITE];
    if (fd >= 0)
        use_locked(n);
    spin_unlock(&fds_lock);
    if (fd >= 0)
        return fd;
    int opened = open_node(n, &which);
    if (opened < 0)
        return opened;
    spin_lock(&fds_lock);
    use_locked(n);
    fd = n->fd[which];
    if (fd < 0)
        fd = n->fd[which] = opened;
    spin_unlock(&fds_lock);
    if (fd != opened)
        host_close(opened);
    return fd;
}

void host_fd_adopt(struct host_node *n, int which, int fd)
{
    spin_lock(&fds_lock);
    n->fd[which] = fd;
    if (n->users == 0 && list_empty(&n->lru)) {
        list_append(&idle, &n->lru);
        idle_count++;
    }
    spin_unlock(&fds_lock);
}

void host_fd_put(struct host_node *n)
{
    int closing[2];
    spin_lock(&fds_lock);
    if (--n->users == 0) {
        list_append(&idle, &n->lru);
        idle_count++;
    }
    bool many = idle_count > FDS_KEPT;
    spin_unlock(&fds_lock);
    if (many && evict_one(closing))
        close_both(closing);
}

void host_fd_close_all(struct host_node *n)
{
    int closing[2];
    spin_lock(&fds_lock);
    if (!list_empty(&n->lru)) {
        list_remove(&n->lru);
        idle_count--;
    }
    memcpy(closing, n->fd, sizeof(closing));
    n->fd[0] = n->fd[1] = -1;
    spin_unlock(&fds_lock);
    close_both(closing);
}
