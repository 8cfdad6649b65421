/* SPDX-License-Identifier: BSD-3-Clause */
/* System calls that look: stat, statx, statfs, access, readlink, getdents. */
#include "abi/errno.h"
#include "fs/core/fd.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "sched/task.h"
#include "syscall/syscall.h"

static int64_t stat_path(const struct path *p, uaddr_t out)
{
    struct abi_stat st;
    int r = inode_stat(path_inode(p), &st);
    return r < 0 ? r : copy_to_user(out, &st, sizeof(st));
}

/* What the *at calls name: by path, or by descriptor with AT_EMPTY_PATH and an empty path. */
static int path_at(int dirfd, uaddr_t path, int flags, uint32_t follow, struct path *out)
{
    uint32_t how = follow;
    if (flags & AT_EMPTY_PATH)
        how |= WALK_EMPTY;
    if ((flags & AT_EMPTY_PATH) && !path) { /* newer libcs pass NULL */
        struct file *f = dirfd == AT_FDCWD ? NULL : fd_file_any(dirfd);
        if (!f)
            return dirfd == AT_FDCWD ? path_walk(AT_FDCWD, ".", 0, out) : -EBADF;
        *out = f->path;
        path_get(out);
        file_put(f);
        return 0;
    }
    return path_walk_user(dirfd, path, how, out);
}

static int64_t stat_at(int dirfd, uaddr_t path, uaddr_t out, int flags)
{
    struct path p;
    int r = path_at(dirfd, path, flags, flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW, &p);
    if (r < 0)
        return r;
    int64_t s = stat_path(&p, out);
    path_put(&p);
    return s;
}

int64_t sys_newfstatat(int dirfd, uaddr_t path, uaddr_t out, int flags)
{
    if (flags & ~(int)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT))
        return -EINVAL;
    return stat_at(dirfd, path, out, flags);
}

int64_t sys_stat(uaddr_t path, uaddr_t out)
{
    return stat_at(AT_FDCWD, path, out, 0);
}

int64_t sys_lstat(uaddr_t path, uaddr_t out)
{
    return stat_at(AT_FDCWD, path, out, AT_SYMLINK_NOFOLLOW);
}

int64_t sys_fstat(int fd, uaddr_t out)
{
    struct file *f = fd_file_any(fd);
    if (!f)
        return -EBADF;
    int64_t r = stat_path(&f->path, out);
    file_put(f);
    return r;
}

static struct abi_statx_timestamp statx_time(struct abi_timespec t)
{
    return (struct abi_statx_timestamp){t.tv_sec, (uint32_t)t.tv_nsec, 0};
}

#define STATX_MNT_ID          0x1000u
#define STATX_ATTR_MOUNT_ROOT 0x2000u

static int64_t statx_path(const struct path *p, uaddr_t out)
{
    struct abi_stat st;
    struct abi_statx x = {0};
    struct inode *i = path_inode(p);
    int r = inode_stat(i, &st);
    if (r < 0)
        return r;
    x.stx_mask = STATX_BASIC_STATS | STATX_MNT_ID;
    x.stx_blksize = (uint32_t)st.st_blksize;
    x.stx_nlink = (uint32_t)st.st_nlink;
    x.stx_uid = st.st_uid;
    x.stx_gid = st.st_gid;
    x.stx_mode = (uint16_t)st.st_mode;
    x.stx_ino = st.st_ino;
    x.stx_size = (uint64_t)st.st_size;
    x.stx_blocks = (uint64_t)st.st_blocks;
    x.stx_atime = statx_time(st.st_atim);
    x.stx_mtime = statx_time(st.st_mtim);
    x.stx_ctime = statx_time(st.st_ctim);
    if (i->btime.sec) {
        x.stx_mask |= STATX_BTIME;
        x.stx_btime = (struct abi_statx_timestamp){i->btime.sec, (uint32_t)i->btime.nsec, 0};
    }
    x.stx_rdev_major = DEV_MAJOR(st.st_rdev);
    x.stx_rdev_minor = DEV_MINOR(st.st_rdev);
    x.stx_dev_major = DEV_MAJOR(st.st_dev);
    x.stx_dev_minor = DEV_MINOR(st.st_dev);
    x.stx_mnt_id = p->mount->id;
    x.stx_attributes_mask = STATX_ATTR_MOUNT_ROOT;
    if (p->dentry == p->mount->root)
        x.stx_attributes |= STATX_ATTR_MOUNT_ROOT;
    return copy_to_user(out, &x, sizeof(x));
}

int64_t sys_statx(int dirfd, uaddr_t path, uint32_t flags, uint32_t mask, uaddr_t out)
{
    static const uint32_t known =
        AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE;
    struct path p;
    if ((mask & 0x80000000u) || (flags & ~known) ||
        (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
        return -EINVAL;
    int r = path_at(dirfd, path, (int)flags, flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW, &p);
    if (r < 0)
        return r;
    int64_t s = statx_path(&p, out);
    path_put(&p);
    return s;
}

#define ST_RDONLY 1
#define ST_VALID  0x20

static int64_t statfs_path(const struct path *p, uaddr_t out)
{
    struct abi_statfs st = {0};
    struct super *sb = p->mount->sb;
    st.f_bsize = st.f_frsize = PAGE_SIZE;
    int r = sb->ops->statfs ? sb->ops->statfs(sb, &st) : 0;
    if (r < 0)
        return r;
    st.f_type = (int64_t)sb->magic;
    st.f_namelen = NAME_MAX;
    st.f_fsid[0] = (int32_t)sb->dev;
    st.f_flags = ST_VALID | (int64_t)(atomic_load(&p->mount->flags) & 0xf);
    if (sb->flags & SUPER_RDONLY)
        st.f_flags |= ST_RDONLY;
    return copy_to_user(out, &st, sizeof(st));
}

int64_t sys_statfs(uaddr_t path, uaddr_t out)
{
    struct path p;
    int r = path_walk_user(AT_FDCWD, path, WALK_FOLLOW, &p);
    if (r < 0)
        return r;
    int64_t s = statfs_path(&p, out);
    path_put(&p);
    return s;
}

int64_t sys_fstatfs(int fd, uaddr_t out)
{
    struct file *f = fd_file_any(fd);
    if (!f)
        return -EBADF;
    int64_t r = statfs_path(&f->path, out);
    file_put(f);
    return r;
}

/* access(2) asks for the real ids: a private copy of the credentials for the length of the
 * call. */
static int as_real_user(struct cred **saved)
{
    struct cred *own = current->cred;
    *saved = NULL;
    if (!own || (own->fsuid == own->uid && own->fsgid == own->gid))
        return 0;
    struct cred *real = cred_dup(own);
    if (!real)
        return -ENOMEM;
    real->fsuid = own->uid;
    real->fsgid = own->gid;
    *saved = own;
    current->cred = real;
    return 0;
}

static void as_before(struct cred *saved)
{
    if (!saved)
        return;
    cred_put(current->cred);
    current->cred = saved;
}

static int check_access(const struct path *p, int mode)
{
    struct inode *i = path_inode(p);
    int r = mode ? inode_permission(i, fs_cred(), mode) : 0;
    bool plain = inode_is_reg(i) || inode_is_dir(i) || inode_is_link(i);
    if (r == 0 && (mode & W_OK) && plain &&
        (mount_rdonly(p->mount) || (i->sb->flags & SUPER_RDONLY)))
        r = -EROFS;
    if (r == 0 && (mode & X_OK) && inode_is_reg(i) &&
        (atomic_load(&p->mount->flags) & MS_NOEXEC))
        r = -EACCES;
    return r;
}

int64_t sys_faccessat2(int dirfd, uaddr_t path, int mode, int flags)
{
    struct path p;
    struct cred *saved = NULL;
    if ((mode & ~7) || (flags & ~(int)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)))
        return -EINVAL;
    int r = flags & AT_EACCESS ? 0 : as_real_user(&saved);
    if (r < 0)
        return r;
    r = path_at(dirfd, path, flags, flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW, &p);
    if (r == 0) {
        r = check_access(&p, mode);
        path_put(&p);
    }
    as_before(saved);
    return r;
}

int64_t sys_faccessat(int dirfd, uaddr_t path, int mode)
{
    return sys_faccessat2(dirfd, path, mode, 0);
}

int64_t sys_access(uaddr_t path, int mode)
{
    return sys_faccessat2(AT_FDCWD, path, mode, 0);
}

static bool is_empty(uaddr_t path)
{
    char first;
    return get_user(&first, path) == 0 && first == 0;
}

int64_t sys_readlinkat(int dirfd, uaddr_t path, uaddr_t buffer, int size)
{
    struct path p;
    if (size <= 0)
        return -EINVAL;
    int64_t r = path_walk_user(dirfd, path, WALK_EMPTY, &p);
    if (r < 0)
        return r;
    struct inode *i = path_inode(&p);
    char *text = kmalloc(PATH_MAX);
    if (!text)
        r = -ENOMEM;
    else if (!inode_is_link(i) || !i->ops->readlink)
        r = is_empty(path) ? -ENOENT : -EINVAL;
    else
        r = i->ops->readlink(i, text, PATH_MAX);
    if (r > size)
        r = size;
    if (r > 0 && copy_to_user(buffer, text, (size_t)r) < 0)
        r = -EFAULT;
    kfree(text);
    path_put(&p);
    return r;
}

int64_t sys_readlink(uaddr_t path, uaddr_t buffer, int size)
{
    return sys_readlinkat(AT_FDCWD, path, buffer, size);
}

/* ---- getdents ---- */

struct user_sink {
    struct dir_sink sink;
    uint8_t *buffer;
    size_t used, size;
    bool old; /* the layout of getdents, not of getdents64 */
    bool too_small;
};

#define DIRENT64_FIXED offsetof(struct abi_dirent64, d_name)
#define DIRENT_FIXED   18u /* ino, off, reclen; the type is the record's last byte */

static bool emit(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
                 uint32_t dt_type, uint64_t next)
{
    struct user_sink *s = container_of(sink, struct user_sink, sink);
    size_t fixed = s->old ? DIRENT_FIXED : DIRENT64_FIXED;
    size_t record = align_up(fixed + len + 1 + s->old, 8);
    if (record > s->size - s->used) {
        s->too_small = s->used == 0;
        return false;
    }
    uint8_t *p = s->buffer + s->used;
    uint16_t reclen = (uint16_t)record;
    memset(p, 0, record);
    memcpy(p, &ino, 8);
    memcpy(p + 8, &next, 8);
    memcpy(p + 16, &reclen, 2);
    if (s->old)
        p[record - 1] = (uint8_t)dt_type;
    else
        p[18] = (uint8_t)dt_type;
    memcpy(p + fixed, name, len);
    s->used += record;
    return true;
}

static int64_t list(struct file *f, uaddr_t buffer, uint32_t count, bool old)
{
    struct user_sink s = {.sink = {emit}, .size = MIN(count, 32768u), .old = old};
    s.buffer = kmalloc(MAX(s.size, (size_t)1));
    if (!s.buffer)
        return -ENOMEM;
    uint64_t before = f->pos;
    int64_t r = file_readdir(f, &s.sink);
    if (r == 0 && s.too_small)
        r = -EINVAL;
    if (s.used && copy_to_user(buffer, s.buffer, s.used) < 0) {
        f->pos = before;
        r = -EFAULT;
    } else if (s.used) {
        r = (int64_t)s.used;
    }
    kfree(s.buffer);
    return r;
}

static int64_t do_getdents(int fd, uaddr_t buffer, uint32_t count, bool old)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    int64_t r = inode_is_dir(f->inode) ? list(f, buffer, count, old) : -ENOTDIR;
    file_put(f);
    return r;
}

int64_t sys_getdents64(int fd, uaddr_t buffer, uint32_t count)
{
    return do_getdents(fd, buffer, count, false);
}

int64_t sys_getdents(int fd, uaddr_t buffer, uint32_t count)
{
    return do_getdents(fd, buffer, count, true);
}
