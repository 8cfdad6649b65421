/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trees into a store and out of it. What the store holds was put there by somebody who had its
 * key, but its names still stay below the directory that was named: each is made at a
 * descriptor of its directory, and links are never followed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "image/sefs/inside.h"

#define PIECES_BEFORE_COMMIT 4096u

/* ---- out ---- */

static int give_file(void *arg, uint64_t at, const void *data, size_t n)
{
    int fd = *(int *)arg;
    for (size_t done = 0; done < n;) {
        ssize_t r = pwrite(fd, (const char *)data + done, n - done, (off_t)(at + done));
        if (r <= 0)
            return r < 0 ? -errno : -EIO;
        done += (size_t)r;
    }
    return 0;
}

/* Ownership and times are kept where we may. */
static void dress(int dir, const char *name, const struct sefs_inode *i)
{
    struct timespec times[2] = {{i->atime.sec, i->atime.nsec}, {i->mtime.sec, i->mtime.nsec}};
    (void)!fchownat(dir, name, i->uid, i->gid, AT_SYMLINK_NOFOLLOW);
    if (!S_ISLNK(i->mode))
        (void)!fchmodat(dir, name, i->mode & 07777, 0);
    (void)!utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW);
}

static int export_file(struct store_tool *t, uint64_t ino, const struct sefs_inode *i, int dir,
                       const char *name)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = tool_read(t, ino, i->size, give_file, &fd);
    if (close(fd) && r == 0)
        r = -errno;
    return r;
}

static int export_one(struct store_tool *t, uint64_t ino, int dir, const char *name);

static int export_dir(struct store_tool *t, uint64_t ino, int dir, const char *name)
{
    struct store_entry e = {0};
    if (mkdirat(dir, name, 0700) && errno != EEXIST)
        return -errno;
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r;
    while ((r = store_readdir(t->store, ino, e.cookie, &e)) == 1) {
        if (strchr(e.name, '/') || !strcmp(e.name, ".") || !strcmp(e.name, ".."))
            r = -EIO;
        else
            r = export_one(t, e.ino, fd, e.name);
        if (r < 0)
            break;
    }
    close(fd);
    return r;
}

static int export_one(struct store_tool *t, uint64_t ino, int dir, const char *name)
{
    struct sefs_inode i;
    char target[4096];
    int r = store_inode_get(t->store, ino, &i);
    if (r < 0)
        return r;
    if (S_ISDIR(i.mode)) {
        r = export_dir(t, ino, dir, name);
    } else if (S_ISREG(i.mode)) {
        r = export_file(t, ino, &i, dir, name);
    } else if (S_ISLNK(i.mode)) {
        ssize_t n = store_readlink(t->store, ino, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = 0;
        r = n < 0 ? (int)n : symlinkat(target, dir, name) ? -errno : 0;
    } else {
        r = mknodat(dir, name, i.mode & ~(mode_t)07777, (dev_t)i.rdev) ? -errno : 0;
    }
    if (r == 0)
        dress(dir, name, &i);
    return r;
}

int store_tool_export(struct store_tool *t, const char *path, const char *to)
{
    uint64_t ino;
    int r = tool_walk(t, path, &ino);
    return r < 0 ? r : export_one(t, ino, AT_FDCWD, to);
}

/* ---- in ---- */

static struct sefs_time time_of(struct timespec t)
{
    return (struct sefs_time){t.tv_sec, (uint32_t)t.tv_nsec};
}

static int import_data(struct store_tool *t, int fd, uint64_t ino)
{
    static uint8_t buffer[STORE_WRITE_MAX][SEFS_BLOCK];
    struct store_page pages[STORE_WRITE_MAX];
    for (uint64_t at = 0;;) {
        memset(buffer, 0, sizeof(buffer));
        ssize_t n = pread(fd, buffer, sizeof(buffer), (off_t)at);
        if (n <= 0)
            return n < 0 ? -errno : 0;
        size_t count = ((size_t)n + SEFS_BLOCK - 1) / SEFS_BLOCK;
        for (size_t i = 0; i < count; i++)
            pages[i] = (struct store_page){ino, at / SEFS_BLOCK + i, buffer[i]};
        for (size_t done = 0; done < count;) {
            ssize_t r = store_write(t->store, pages + done, count - done);
            if (r < 0)
                return (int)r;
            done += (size_t)r;
        }
        at += (uint64_t)n;
        if (n % SEFS_BLOCK)
            return 0;
    }
}

static int set_record(struct store_tool *t, uint64_t ino, const struct stat *st)
{
    struct sefs_inode i = {
        .mode = st->st_mode,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .size = S_ISDIR(st->st_mode) ? 0 : (uint64_t)st->st_size,
        .rdev = st->st_rdev,
        .atime = time_of(st->st_atim),
        .mtime = time_of(st->st_mtim),
        .ctime = time_of(st->st_ctim),
        .btime = time_of(st->st_ctim),
    };
    return store_inode_set(t->store, ino, &i);
}

static int import_dir(struct store_tool *t, int dir, uint64_t parent);

static int import_one(struct store_tool *t, int dir, const char *name, uint64_t parent)
{
    struct stat st;
    char target[4096];
    struct store_new n = {0};
    uint64_t ino;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
        return -errno;
    n.mode = st.st_mode;
    n.rdev = st.st_rdev;
    if (S_ISLNK(st.st_mode)) {
        ssize_t len = readlinkat(dir, name, target, sizeof(target) - 1);
        if (len < 0)
            return -errno;
        target[len] = 0;
        n.target = target;
    }
    int r = store_create(t->store, parent, name, &n, &ino);
    int fd = -1;
    if (r == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
        fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        r = fd < 0 ? -errno : 0;
    }
    if (r == 0 && S_ISDIR(st.st_mode))
        r = import_dir(t, fd, ino);
    else if (r == 0 && S_ISREG(st.st_mode))
        r = import_data(t, fd, ino);
    if (fd >= 0)
        close(fd);
    return r < 0 ? r : set_record(t, ino, &st);
}

static int import_dir(struct store_tool *t, int dir, uint64_t parent)
{
    int copy = dup(dir), r = 0;
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *e;
    if (!d)
        return -errno;
    while (r == 0 && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
            r = import_one(t, dir, e->d_name, parent);
        struct store_stats st;
        store_stats(t->store, &st);
        if (r == 0 && st.dirty_nodes > PIECES_BEFORE_COMMIT)
            r = store_commit(t->store);
    }
    closedir(d);
    return r;
}

/* The contents of a directory go into a directory of the store; a file goes into it. */
int store_tool_import(struct store_tool *t, const char *from, const char *path)
{
    uint64_t ino;
    struct stat st;
    int r = tool_walk(t, path, &ino);
    if (r == 0 && stat(from, &st))
        r = -errno;
    if (r < 0)
        return r;
    if (!S_ISDIR(st.st_mode)) {
        const char *name = strrchr(from, '/');
        int dir = AT_FDCWD;
        if (name && !name[1])
            return -EINVAL;
        char *parent = strndup(from, name ? (size_t)(name - from) + 1 : 0);
        if (name && parent)
            dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = parent ? import_one(t, dir, name ? name + 1 : from, ino) : -ENOMEM;
        if (dir >= 0)
            close(dir);
        free(parent);
        return r;
    }
    int fd = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = import_dir(t, fd, ino);
    close(fd);
    return r;
}
