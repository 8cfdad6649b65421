/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Walks a directory, see tree.h. Sorted at every level, so that the same tree gives the same
 * image wherever it lies. Does not follow symbolic links and does not leave what it was given.
 */
#include "image/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define DEPTH_MAX 512

/* Inodes with several names, hashed by device and inode. */
struct tree_links {
    struct tree_inode **slots;
    size_t count, room; /* room is a power of two */
};

struct walk {
    struct tree *tree;
    const struct tree_clamp *clamp;
};

/* ---- hard links --------------------------------------------------------- */

static size_t link_slot(const struct tree_links *links, dev_t dev, ino_t ino)
{
    size_t slot = ((uint64_t)ino * 0x9e3779b97f4a7c15ull + dev) & (links->room - 1);

    while (links->slots[slot] &&
           (links->slots[slot]->host_ino != ino || links->slots[slot]->host_dev != dev))
        slot = (slot + 1) & (links->room - 1);
    return slot;
}

static int links_grow(struct tree_links *links)
{
    struct tree_links bigger = {.room = links->room ? links->room * 2 : 256,
                                .count = links->count};

    bigger.slots = calloc(bigger.room, sizeof(*bigger.slots));
    if (!bigger.slots)
        return -1;
    for (size_t i = 0; i < links->room; i++) {
        struct tree_inode *inode = links->slots[i];

        if (inode)
            bigger.slots[link_slot(&bigger, inode->host_dev, inode->host_ino)] = inode;
    }
    free(links->slots);
    *links = bigger;
    return 0;
}

static struct tree_inode *link_find(const struct tree_links *links, const struct stat *st)
{
    return links->room ? links->slots[link_slot(links, st->st_dev, st->st_ino)] : NULL;
}

static struct err *link_remember(struct tree_links *links, struct tree_inode *inode)
{
    if (links->count * 2 >= links->room && links_grow(links))
        return err_sys(ENOMEM, "walking the tree");
    links->slots[link_slot(links, inode->host_dev, inode->host_ino)] = inode;
    links->count++;
    return NULL;
}

/* ---- inodes and entries ------------------------------------------------- */

static struct tree_inode *inode_new(struct tree *tree)
{
    struct tree_inode *inode = calloc(1, sizeof(*inode));

    if (!inode)
        return NULL;
    inode->ino = (uint32_t)++tree->inode_count;
    *tree->tail = inode;
    tree->tail = &inode->next;
    return inode;
}

static struct err *entry_add(struct tree_inode *dir, const char *name, struct tree_inode *inode)
{
    if (dir->entry_count == dir->entry_room) {
        size_t room = dir->entry_room ? dir->entry_room * 2 : 8;
        struct tree_entry *entries = realloc(dir->entries, room * sizeof(*entries));

        if (!entries)
            return err_sys(ENOMEM, "walking the tree");
        dir->entries = entries;
        dir->entry_room = room;
    }
    char *copy = strdup(name);

    if (!copy)
        return err_sys(ENOMEM, "walking the tree");
    dir->entries[dir->entry_count++] = (struct tree_entry){.name = copy, .inode = inode};
    return NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tree_entry *)a)->name, ((const struct tree_entry *)b)->name);
}

static struct err *entry_add_dots(struct tree_inode *dir, struct tree_inode *parent)
{
    struct err *err = entry_add(dir, ".", dir);

    dir->nlink = 2;
    return err ? err : entry_add(dir, "..", parent);
}

static void fill_inode(struct tree_inode *inode, const struct stat *st,
                       const struct tree_clamp *clamp)
{
    inode->mode = st->st_mode;
    inode->uid = st->st_uid;
    inode->gid = st->st_gid;
    inode->size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
    inode->host_dev = st->st_dev;
    inode->host_ino = st->st_ino;
    inode->mtime = st->st_mtim.tv_sec;
    inode->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
    if (clamp->set && inode->mtime >= clamp->epoch) {
        inode->mtime = clamp->epoch;
        inode->mtime_ns = 0;
    }
    if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
        uint32_t major_nr = major(st->st_rdev), minor_nr = minor(st->st_rdev);

        inode->rdev = (minor_nr & 0xff) | major_nr << 8 | (minor_nr & ~0xffu) << 12;
    }
}

static struct err *read_link(int dirfd, const char *name, struct tree_inode *inode)
{
    char target[4097];
    ssize_t n = readlinkat(dirfd, name, target, sizeof(target));

    if (n < 0)
        return err_sys(errno, "its target");
    if (n == 0 || n == sizeof(target))
        return err_new("its target is empty or too long");
    inode->link = strndup(target, (size_t)n);
    inode->size = (uint64_t)n;
    return inode->link ? NULL : err_sys(ENOMEM, "its target");
}

/* ---- the walk ----------------------------------------------------------- */

static struct err *walk_directory(struct walk *walk, int fd, struct tree_inode *dir, int depth);

static struct err *walk_subdirectory(struct walk *walk, int dirfd, const char *name,
                                     struct tree_inode *dir, struct tree_inode *parent,
                                     int depth)
{
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return err_sys(errno, "cannot be opened");
    struct err *err = entry_add_dots(dir, parent);

    parent->nlink++;
    if (!err && depth >= DEPTH_MAX)
        err = err_new("more than %d directories deep", DEPTH_MAX);
    if (!err)
        err = walk_directory(walk, fd, dir, depth + 1);
    close(fd);
    return err;
}

/* One name of `dir`; its inode is new unless it is a further link of one we met. */
static struct err *walk_name(struct walk *walk, int dirfd, const char *name,
                             struct tree_inode *dir, int depth, struct tree_inode **out)
{
    struct tree *tree = walk->tree;
    struct stat st;
    struct err *err;

    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
        return err_sys(errno, "cannot be read");
    int linked = st.st_nlink > 1 && !S_ISDIR(st.st_mode);

    *out = linked ? link_find(tree->links, &st) : NULL;
    if (*out) {
        (*out)->nlink++;
        return NULL;
    }
    struct tree_inode *inode = inode_new(tree);

    if (!inode)
        return err_sys(ENOMEM, "walking the tree");
    *out = inode;
    fill_inode(inode, &st, walk->clamp);
    inode->nlink = 1;
    tree->bytes += inode->size;
    err = linked ? link_remember(tree->links, inode) : NULL;
    if (!err)
        err = tree_read_xattrs(dirfd, name, inode);
    if (!err && S_ISLNK(st.st_mode))
        err = read_link(dirfd, name, inode);
    if (!err && S_ISDIR(st.st_mode))
        err = walk_subdirectory(walk, dirfd, name, inode, dir, depth);
    return err;
}

/* The directory's names, sorted; "." and ".." are there already. */
static struct err *read_names(int fd, struct tree_inode *dir)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    struct err *err = NULL;
    struct dirent *entry;

    if (!stream) {
        err = err_sys(errno, "cannot be read");
        if (copy >= 0)
            close(copy);
        return err;
    }
    for (errno = 0; !err && (entry = readdir(stream)); errno = 0)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            err = entry_add(dir, entry->d_name, NULL);
    if (!err && errno)
        err = err_sys(errno, "cannot be read");
    closedir(stream);
    qsort(dir->entries, dir->entry_count, sizeof(*dir->entries), by_name);
    return err;
}

static struct err *walk_directory(struct walk *walk, int fd, struct tree_inode *dir, int depth)
{
    struct err *err = read_names(fd, dir);

    for (size_t i = 0; !err && i < dir->entry_count; i++) {
        struct tree_entry *entry = &dir->entries[i];

        if (entry->inode)
            continue;
        err = err_at(walk_name(walk, fd, entry->name, dir, depth, &entry->inode), entry->name);
    }
    return err;
}

struct err *tree_walk(int dirfd, const char *name, const struct tree_clamp *clamp,
                      struct tree *tree)
{
    struct walk walk = {.tree = tree, .clamp = clamp};
    struct stat st;

    memset(tree, 0, sizeof(*tree));
    tree->tail = &tree->root;
    tree->links = calloc(1, sizeof(*tree->links));
    if (!tree->links || !inode_new(tree))
        return err_sys(ENOMEM, "%s", name);
    if (fstat(dirfd, &st))
        return err_sys(errno, "%s", name);
    if (!S_ISDIR(st.st_mode))
        return err_new("%s: not a directory", name);
    fill_inode(tree->root, &st, clamp);
    struct err *err = tree_read_xattrs(dirfd, ".", tree->root);

    if (!err)
        err = entry_add_dots(tree->root, tree->root);
    if (!err)
        err = walk_directory(&walk, dirfd, tree->root, 0);
    return err_at(err, name);
}

/* ---- directories added -------------------------------------------------- */

static struct err *make_one(struct tree *tree, struct tree_inode *dir, const char *name,
                            struct tree_inode **out)
{
    struct tree_inode *inode = inode_new(tree);

    if (!inode)
        return err_sys(ENOMEM, "%s", name);
    inode->mode = S_IFDIR | 0755;
    struct err *err = entry_add_dots(inode, dir);

    if (!err)
        err = entry_add(dir, name, inode);
    if (err)
        return err;
    dir->nlink++;
    qsort(dir->entries, dir->entry_count, sizeof(*dir->entries), by_name);
    *out = inode;
    return NULL;
}

struct err *tree_make_directory(struct tree *tree, const char *path)
{
    struct tree_inode *dir = tree->root;

    for (const char *at = path + strspn(path, "/"); *at; at += strspn(at, "/")) {
        char name[256];
        size_t length = strcspn(at, "/");
        struct tree_entry key = {.name = name};

        if (length >= sizeof(name))
            return err_sys(ENAMETOOLONG, "%s", path);
        memcpy(name, at, length);
        name[length] = 0;
        at += length;
        struct tree_entry *entry =
            bsearch(&key, dir->entries, dir->entry_count, sizeof(key), by_name);

        if (entry && !S_ISDIR(entry->inode->mode))
            return err_new("%s: \"%s\" is not a directory in the image", path, name);
        if (entry) {
            dir = entry->inode;
            continue;
        }
        struct err *err = make_one(tree, dir, name, &dir);

        if (err)
            return err;
    }
    return NULL;
}

void tree_free(struct tree *tree)
{
    struct tree_inode *inode = tree->root;

    while (inode) {
        struct tree_inode *next = inode->next;

        for (size_t i = 0; i < inode->entry_count; i++)
            free(inode->entries[i].name);
        free(inode->entries);
        free(inode->link);
        free(inode->xattrs);
        free(inode);
        inode = next;
    }
    if (tree->links)
        free(tree->links->slots);
    free(tree->links);
    memset(tree, 0, sizeof(*tree));
}
