/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hostfs over a folder of this machine: what is written inside is there outside, and the other
 * way round after the time that names are believed; then over a host that lies: wrong types,
 * sizes, directory records and link targets end in errors, never in anything worse.
 *
 * LINK: tests/unit/fs_fake.c kernel/fs/core/*.c kernel/fs/ramfs/*.c kernel/fs/hostfs/*.c
 * LINK: kernel/lib/r*.c kernel/mm/iter.c kernel/sched/wait.c
 */
#include "enclave/host.h"
#include "fs/hostfs/hostfs.h"
#include "fs_fake.h"
#include "sched/hostio.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

long syscall(long number, ...);

static char folder[64] = "/tmp/test_fs_hostfs.XXXXXX";
static int open_fds, most_fds;

/* How the host lies, one way at a time. */
static enum {
    HONEST,
    LIE_TYPE,
    LIE_SIZE,
    LIE_DIRENT,
    LIE_LINK,
    LIE_SEEK,
    LIE_SHORT,
} lie;
static unsigned lie_seed;

static long result(long r)
{
    return r < 0 ? -errno : r;
}

int host_openat(int dirfd, const char *path, uint32_t flags, uint32_t mode, uint64_t resolve)
{
    struct abi_open_how how = {flags, flags & O_CREAT ? mode : 0, resolve};
    int fd = (int)result(syscall(SYS_openat2, dirfd, path, &how, sizeof(how)));
    if (fd >= 0 && ++open_fds > most_fds)
        most_fds = open_fds;
    return fd;
}

void host_close(int fd)
{
    CHECK_EQ(syscall(SYS_close, fd), 0);
    open_fds--;
}

int host_statx(int dirfd, const char *path, uint32_t flags, struct abi_statx *out)
{
    int r = (int)result(syscall(SYS_statx, dirfd, path, flags, 0xfff, out));
    if (r == 0 && lie == LIE_TYPE) {
        static const uint16_t types[] = {0, S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR, S_IFMT};
        out->stx_mode = (uint16_t)((out->stx_mode & 07777) | types[unit_random() % 6]);
    }
    if (r == 0 && lie == LIE_SIZE) {
        out->stx_size = unit_random() >> unit_random() % 64;
        out->stx_mtime.tv_nsec = (uint32_t)unit_random();
        out->stx_mtime.tv_sec = (int64_t)unit_random();
    }
    return r;
}

ssize_t host_getdents(int fd, void *buffer, size_t size)
{
    ssize_t n = result(syscall(SYS_getdents64, fd, buffer, size));
    if (n > 0 && lie == LIE_DIRENT) {
        uint8_t *b = buffer;
        for (unsigned i = 0; i < 1 + lie_seed % 5; i++)
            b[unit_random() % (size_t)n] = (uint8_t)unit_random();
        n -= (ssize_t)(unit_random() % 3);
    }
    return n;
}

ssize_t host_readlink(int dirfd, const char *path, char *buffer, size_t size)
{
    if (lie == LIE_LINK) {
        size_t n = unit_random() % (size + 1);
        for (size_t i = 0; i < n; i++)
            buffer[i] = (char)unit_random();
        return (ssize_t)n;
    }
    return result(syscall(SYS_readlinkat, dirfd, path, buffer, size));
}

int64_t host_seek(int fd, int64_t offset, int whence)
{
    int64_t r = result(syscall(SYS_lseek, fd, offset, whence));
    return lie == LIE_SEEK ? (int64_t)(unit_random() >> 1) : r;
}

int host_mkdir(int dirfd, const char *path, uint32_t mode)
{
    return (int)result(syscall(SYS_mkdirat, dirfd, path, mode));
}

int host_unlink(int dirfd, const char *path, uint32_t flags)
{
    return (int)result(syscall(SYS_unlinkat, dirfd, path, flags));
}

int host_rename(int olddir, const char *old, int newdir, const char *new, uint32_t flags)
{
    return (int)result(syscall(SYS_renameat2, olddir, old, newdir, new, flags));
}

int host_link(int olddir, const char *old, int newdir, const char *new, uint32_t flags)
{
    return (int)result(syscall(SYS_linkat, olddir, old, newdir, new, flags));
}

int host_symlink(const char *target, int dirfd, const char *path)
{
    return (int)result(syscall(SYS_symlinkat, target, dirfd, path));
}

int host_mknod(int dirfd, const char *path, uint32_t mode, uint64_t dev)
{
    return (int)result(syscall(SYS_mknodat, dirfd, path, mode, dev));
}

int host_truncate(int fd, uint64_t length)
{
    return (int)result(syscall(SYS_ftruncate, fd, length));
}

int host_fallocate(int fd, uint32_t mode, uint64_t offset, uint64_t length)
{
    return (int)result(syscall(SYS_fallocate, fd, mode, offset, length));
}

int host_chmod(int fd, uint32_t mode)
{
    return (int)result(syscall(SYS_fchmod, fd, mode));
}

int host_chown(int fd, uint32_t uid, uint32_t gid)
{
    return (int)result(syscall(SYS_fchown, fd, uid, gid));
}

int host_utimens(int dirfd, const char *path, const struct timespec64 times[2], uint32_t flags)
{
    return (int)result(syscall(SYS_utimensat, dirfd, path, times, flags));
}

int host_statfs(int fd, struct abi_statfs *out)
{
    return (int)result(syscall(SYS_fstatfs, fd, out));
}

ssize_t host_getxattr(int fd, const char *name, void *buffer, size_t size)
{
    return result(syscall(SYS_fgetxattr, fd, name, buffer, size));
}

int host_setxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
    if (!value)
        return (int)result(syscall(SYS_fremovexattr, fd, name));
    return (int)result(syscall(SYS_fsetxattr, fd, name, value, size, flags));
}

ssize_t host_listxattr(int fd, char *buffer, size_t size)
{
    return result(syscall(SYS_flistxattr, fd, buffer, size));
}

ssize_t hostio_read(int fd, void *buffer, size_t size, int64_t offset)
{
    if (lie == LIE_SHORT && unit_random() % 2)
        size = unit_random() % (size + 1);
    return result(syscall(SYS_pread64, fd, buffer, size, offset));
}

ssize_t hostio_write(int fd, const void *buffer, size_t size, int64_t offset)
{
    if (lie == LIE_SHORT && unit_random() % 2)
        size = unit_random() % (size + 1);
    return result(syscall(SYS_pwrite64, fd, buffer, size, offset));
}

ssize_t hostio_pread(int fd, void *buffer, size_t size, uint64_t offset)
{
    return hostio_read(fd, buffer, size, (int64_t)offset);
}
ssize_t hostio_pwrite(int fd, const void *buffer, size_t size, uint64_t offset)
{
    return hostio_write(fd, buffer, size, (int64_t)offset);
}
int hostio_fsync(int fd, bool data_only)
{
    return (int)result(syscall(data_only ? SYS_fdatasync : SYS_fsync, fd));
}

static void run(const char *command)
{
    char line[400];
    snprintf(line, sizeof(line), "cd %s && %s", folder, command);
    CHECK_EQ(system(line), 0);
}

static void mount_folder(bool read_only)
{
    struct super *sb;
    struct path at;
    struct config_mount config = {.flags = read_only ? CONFIG_MOUNT_RDONLY : 0};
    CHECK_EQ(fs_type_find("hostfs")->mount(&config, folder, "", &sb), 0);
    CHECK_EQ(path_walk(AT_FDCWD, "/h", 0, &at), 0);
    struct dentry *root = dentry_new_root(inode_get(sb->root), "/");
    CHECK_EQ(mount_attach(sb, root, &at, read_only ? MS_RDONLY : 0, folder), 0);
    dentry_put(root);
    super_put(sb);
    path_put(&at);
}

static void unmount_folder(void)
{
    struct path at;
    CHECK_EQ(path_walk(AT_FDCWD, "/h", 0, &at), 0);
    CHECK_EQ(mount_detach(&at, true), 0);
    path_put(&at);
    dentry_shrink(1u << 20);
    CHECK_EQ(open_fds, 0);
}

static int text_is(const char *path, const char *want)
{
    char got[100] = {0};
    int fd = fake_open(path, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    ssize_t n = fake_read(fd, got, sizeof(got) - 1);
    CHECK_EQ(fd_close(fd), 0);
    return n < 0 ? (int)n : strcmp(got, want) == 0;
}

static int put(const char *path, uint32_t flags, const char *text)
{
    int fd = fake_open(path, flags | O_WRONLY, 0640);
    if (fd < 0)
        return fd;
    ssize_t n = fake_write(fd, text, strlen(text));
    CHECK_EQ(fd_close(fd), 0);
    return (int)n;
}

static void test_honest(void)
{
    run("mkdir d && echo outside >d/o && ln -s d/o l && ln -s / up && ln d/o hard");
    mount_folder(false);
    CHECK_EQ(text_is("/h/d/o", "outside\n"), 1);
    CHECK_EQ(text_is("/h/l", "outside\n"), 1);
    CHECK_EQ(text_is("/h/up/etc/passwd", ""), -ENOENT); /* our root, not the host's */
    CHECK_EQ(text_is("/h/../h/hard", "outside\n"), 1);
    CHECK_EQ(put("/h/new", O_CREAT, "inside"), 6);
    run("test \"$(cat new)\" = inside && test $(stat -c %a new) = 640");
    CHECK_EQ(put("/h/new", O_APPEND, "+more"), 5);
    run("test \"$(cat new)\" = inside+more && printf changed >d/o");
    CHECK_EQ(text_is("/h/d/o", "changed"), 1);
    CHECK_EQ(text_is("/h/hard", "changed"), 1);
    CHECK_EQ(put("/h/hard", O_TRUNC, "both"), 4);
    CHECK_EQ(text_is("/h/d/o", "both"), 1);
    CHECK_EQ(path_rename(AT_FDCWD, "/h/d", AT_FDCWD, "/h/e", 0), 0);
    CHECK_EQ(text_is("/h/e/o", "both"), 1);
    run("test -f e/o && mv e f && mkdir e && echo other >e/o");
    fake_now_ns += 2000000000u;
    CHECK_EQ(text_is("/h/e/o", "other\n"), 1);
    int fd = fake_open("/h/f/o", O_RDWR, 0);
    CHECK_EQ(path_unlink(AT_FDCWD, "/h/f/o", false), 0);
    CHECK_EQ(fake_pwrite(fd, "gone", 4, 0), 4);
    CHECK_EQ(fd_close(fd), 0);
    run("test ! -e f/o && test \"$(cat hard)\" = gone");
    CHECK_EQ(path_create(AT_FDCWD, "/h/sub", S_IFDIR | 0755, 0, NULL), 0);
    CHECK_EQ(path_create(AT_FDCWD, "/h/sub", S_IFDIR | 0755, 0, NULL), -EEXIST);
    CHECK_EQ(path_unlink(AT_FDCWD, "/h/f", true), 0);
    CHECK_EQ(path_unlink(AT_FDCWD, "/h/e", true), -ENOTEMPTY);
    CHECK_EQ(path_create(AT_FDCWD, "/h/open", S_IFDIR | 01777, 0, NULL), 0);
    run("test $(stat -c %a open) = 1755"); /* our umask, not the host's */
    unmount_folder();
    mount_folder(true);
    CHECK_EQ(put("/h/no", O_CREAT, "x"), -EROFS);
    CHECK_EQ(put("/h/new", 0, "x"), -EROFS);
    unmount_folder();
}

struct listing {
    struct dir_sink sink;
    unsigned count;
};

static bool count_entry(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
                        uint32_t dt_type, uint64_t next)
{
    struct listing *l = container_of(sink, struct listing, sink);
    (void)ino;
    (void)next;
    CHECK(len > 0 && len <= NAME_MAX && !memchr(name, '/', len) && !memchr(name, 0, len));
    CHECK(dt_type <= DT_SOCK);
    l->count++;
    return true;
}

static int list_folder(const char *path)
{
    struct file *f;
    struct listing l = {{count_entry}, 0};
    int r = file_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, 0, &f);
    if (r < 0)
        return r;
    r = file_readdir(f, &l.sink);
    file_put(f);
    return r < 0 ? r : (int)l.count;
}

static void test_many(void)
{
    run("mkdir many && cd many && for i in $(seq 1 2000); do echo $i >f$i; done && mkdir"
        " $(seq 1 600 | sed s/^/d/)");
    mount_folder(true);
    CHECK_EQ(list_folder("/h/many"), 2602);
    most_fds = open_fds;
    for (int i = 1; i <= 2000; i++) {
        char path[40], want[10];
        snprintf(path, sizeof(path), "/h/many/f%d", i);
        snprintf(want, sizeof(want), "%d\n", i);
        CHECK_EQ(text_is(path, want), 1);
        snprintf(path, sizeof(path), "/h/many/d%d", i % 600 + 1);
        CHECK_EQ(list_folder(path), 2);
    }
    CHECK(most_fds < 300);
    unmount_folder();
}

/* Everything once against a host that lies; results may be anything, but orderly. */
static void use_all(void)
{
    char buffer[5000];
    int fd = fake_open("/h/new", O_RDWR, 0);
    if (fd >= 0) {
        (void)!fake_pread(fd, buffer, sizeof(buffer), 0);
        (void)!fake_pread(fd, buffer, sizeof(buffer), 1u << 20);
        (void)!fake_pwrite(fd, buffer, 3000, 100);
        struct file *f = fd_file(fd);
        int64_t at = file_seek(f, 0, SEEK_DATA);
        CHECK(at < 0 || (uint64_t)at <= f->inode->size);
        file_put(f);
        CHECK_EQ(fd_close(fd), 0);
    }
    (void)!list_folder("/h");
    (void)!list_folder("/h/many");
    (void)!text_is("/h/l", "");
    (void)!text_is("/h/many/f7", "7\n");
    (void)!put("/h/made", O_CREAT, "x");
    (void)!path_rename(AT_FDCWD, "/h/made", AT_FDCWD, "/h/many/made", 0);
    (void)!path_unlink(AT_FDCWD, "/h/many/made", false);
    (void)!path_unlink(AT_FDCWD, "/h/made", false);
    fake_now_ns += 2000000000u;
}

static void test_lies(void)
{
    for (lie_seed = 0; lie_seed < 80; lie_seed++) {
        lie = HONEST;
        mount_folder(false);
        for (int k = LIE_TYPE; k <= LIE_SHORT; k++) {
            lie = k;
            use_all();
        }
        lie = HONEST;
        unmount_folder();
        CHECK_EQ(fake_held, 0);
    }
}

int main(void)
{
    char line[100];
    CHECK(mkdtemp(folder));
    fake_kernel_init();
    hostfs_register();
    fake_mount_root();
    CHECK_EQ(path_create(AT_FDCWD, "/h", S_IFDIR | 0755, 0, NULL), 0);
    dentry_shrink(1u << 20);
    long before = fake_live;
    test_honest();
    test_many();
    CHECK_EQ(fake_live, before);
    test_lies();
    CHECK_EQ(fake_live, before);
    snprintf(line, sizeof(line), "rm -rf %s", folder);
    CHECK_EQ(system(line), 0);
    return 0;
}
