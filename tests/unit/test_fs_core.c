/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file layer over a tmpfs: names, links, renames, mounts, descriptors, locks, pipes, epoll;
 * that nothing leaks, also when memory ends at any point; that no lock stays taken.
 * LINK: tests/unit/fs_fake.c kernel/fs/core/*.c kernel/fs/ramfs/*.c kernel/ipc/[pei]*.c
 * LINK: kernel/lib/r*.c kernel/mm/iter.c kernel/sched/wait.c
 */
#include <errno.h>
#include <string.h>

#include "fs/core/lock.h"
#include "fs_fake.h"
#include "ipc/ipc.h"
#include "signal/signal.h"
#include "unit.h"

static int make_dir(const char *path)
{
    return path_create(AT_FDCWD, path, S_IFDIR | 0755, 0, NULL);
}

static int make_link(const char *target, const char *path)
{
    return path_create(AT_FDCWD, path, S_IFLNK | 0777, 0, target);
}

static int make_file(const char *path, const char *text)
{
    int fd = fake_open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    if (fd < 0)
        return fd;
    ssize_t n = fake_write(fd, text, strlen(text));
    CHECK_EQ(fd_close(fd), 0);
    return n < 0 ? (int)n : 0;
}

/* What a path's file starts with, or the error. */
static int starts_with(const char *path, const char *text)
{
    char buffer[64] = {0};
    int fd = fake_open(path, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    CHECK(fake_read(fd, buffer, sizeof(buffer) - 1) >= 0);
    CHECK_EQ(fd_close(fd), 0);
    return strcmp(buffer, text) == 0;
}

static void check_path(const char *path, const char *want)
{
    struct path p;
    char text[256];
    CHECK_EQ(path_walk(AT_FDCWD, path, WALK_FOLLOW, &p), 0);
    CHECK(path_text(&p, text, sizeof(text)) >= 0);
    if (strcmp(text, want)) {
        fprintf(stderr, "%s is %s, not %s\n", path, text, want);
        exit(1);
    }
    path_put(&p);
}

static int walk(const char *path, uint32_t flags)
{
    struct path p;
    int r = path_walk(AT_FDCWD, path, flags, &p);
    if (r == 0)
        path_put(&p);
    return r;
}

static void test_walk(void)
{
    CHECK_EQ(make_dir("/a"), 0);
    CHECK_EQ(make_dir("/a/b"), 0);
    CHECK_EQ(make_dir("/a/b"), -EEXIST);
    CHECK_EQ(make_dir("/a/b/"), -EEXIST);
    CHECK_EQ(make_dir("/x/y"), -ENOENT);
    CHECK_EQ(make_dir("/a/c/"), 0);
    CHECK_EQ(make_file("/a/f", "one"), 0);
    CHECK_EQ(make_file("/a/f/", "one"), -EISDIR);
    CHECK_EQ(make_file("/a/f/g", "one"), -ENOTDIR);
    check_path("/a//b/../b/./", "/a/b");
    check_path("/../../a/f", "/a/f");
    CHECK_EQ(walk("/a/f/", WALK_FOLLOW), -ENOTDIR);
    CHECK_EQ(walk("/a/f/..", WALK_FOLLOW), -ENOTDIR);
    CHECK_EQ(walk("", WALK_FOLLOW), -ENOENT);
    CHECK_EQ(walk("", WALK_EMPTY), 0);
    CHECK_EQ(walk("/a/f", WALK_DIRECTORY), -ENOTDIR);
    char name[400];
    memset(name, 'n', sizeof(name));
    name[0] = '/';
    name[256] = 0;
    CHECK_EQ(walk(name, 0), -ENOENT);
    name[256] = 'n';
    name[257] = 0;
    CHECK_EQ(walk(name, 0), -ENAMETOOLONG);
}

static void test_links(void)
{
    CHECK_EQ(make_link("b/../f", "/a/l"), 0);
    CHECK_EQ(starts_with("/a/l", "one"), 1);
    CHECK_EQ(make_link("/a", "/dirlink"), 0);
    check_path("/dirlink/b", "/a/b");
    check_path("/dirlink/", "/a");
    CHECK_EQ(walk("/dirlink", 0), 0);
    CHECK_EQ(make_link("loop2", "/loop1"), 0);
    CHECK_EQ(make_link("loop1", "/loop2"), 0);
    CHECK_EQ(walk("/loop1", WALK_FOLLOW), -ELOOP);
    CHECK_EQ(fake_open("/loop1", O_RDONLY | O_CREAT, 0644), -ELOOP);
    CHECK_EQ(make_link("new", "/a/dangling"), 0);
    CHECK_EQ(fake_open("/a/dangling", O_RDONLY, 0), -ENOENT);
    CHECK_EQ(fake_open("/a/dangling", O_RDONLY | O_NOFOLLOW, 0), -ELOOP);
    CHECK_EQ(fake_open("/a/dangling", O_RDWR | O_CREAT | O_EXCL, 0644), -EEXIST);
    CHECK_EQ(make_file("/a/dangling", "made"), 0);
    CHECK_EQ(starts_with("/a/new", "made"), 1);
    int fd = fake_open("/a/l", O_PATH | O_NOFOLLOW, 0);
    CHECK(fd >= 0);
    char byte;
    CHECK_EQ(fake_read(fd, &byte, 1), -EBADF);
    CHECK_EQ(fd_close(fd), 0);
    struct file *f;
    CHECK_EQ(file_open(AT_FDCWD, "/a/l", O_RDONLY, 0, RESOLVE_NO_SYMLINKS, &f), -ELOOP);
    CHECK_EQ(file_open(AT_FDCWD, "/a", O_RDONLY, 0, RESOLVE_BENEATH, &f), -EXDEV);
    CHECK_EQ(file_open(AT_FDCWD, "..", O_RDONLY, 0, RESOLVE_BENEATH, &f), -EXDEV);
}

static void test_rename(void)
{
    CHECK_EQ(make_dir("/r"), 0);
    CHECK_EQ(make_dir("/r/d"), 0);
    CHECK_EQ(make_dir("/r/e"), 0);
    CHECK_EQ(make_file("/r/d/f", "f"), 0);
    CHECK_EQ(make_file("/r/g", "g"), 0);
    CHECK_EQ(path_rename(AT_FDCWD, "/r/d", AT_FDCWD, "/r/d/x", 0), -EINVAL);
    CHECK_EQ(path_rename(AT_FDCWD, "/r/e", AT_FDCWD, "/r/d", 0), -ENOTEMPTY);
    CHECK_EQ(path_rename(AT_FDCWD, "/r/g", AT_FDCWD, "/r/d", 0), -EISDIR);
    CHECK_EQ(path_rename(AT_FDCWD, "/r/d", AT_FDCWD, "/r/g", 0), -ENOTDIR);
    CHECK_EQ(path_rename(AT_FDCWD, "/r/g", AT_FDCWD, "/r/h/", 0), -ENOTDIR);
    CHECK_EQ(path_rename(AT_FDCWD, "/r/none", AT_FDCWD, "/r/h", 0), -ENOENT);
    CHECK_EQ(path_rename(AT_FDCWD, "/r/g", AT_FDCWD, "/r/d/f", RENAME_NOREPLACE), -EEXIST);
    CHECK_EQ(path_rename(AT_FDCWD, "/r/g", AT_FDCWD, "/r/d/f", 0), 0);
    CHECK_EQ(starts_with("/r/d/f", "g"), 1);
    CHECK_EQ(walk("/r/g", 0), -ENOENT);
    CHECK_EQ(path_rename(AT_FDCWD, "/r/d", AT_FDCWD, "/r/e", 0), 0);
    check_path("/r/e/f", "/r/e/f");
    CHECK_EQ(walk("/r/d", 0), -ENOENT);
    CHECK_EQ(make_file("/r/s", "s"), 0);
    CHECK_EQ(path_rename(AT_FDCWD, "/r/s", AT_FDCWD, "/r/e", RENAME_EXCHANGE), 0);
    CHECK_EQ(starts_with("/r/e", "s"), 1);
    CHECK_EQ(starts_with("/r/s/f", "g"), 1);
    CHECK_EQ(path_link(AT_FDCWD, "/r/e", AT_FDCWD, "/r/hard", 0), 0);
    CHECK_EQ(path_rename(AT_FDCWD, "/r/e", AT_FDCWD, "/r/hard", 0), 0);
    CHECK_EQ(walk("/r/e", 0), 0); /* two names of one file: nothing happens */
    CHECK_EQ(path_unlink(AT_FDCWD, "/r", true), -ENOTEMPTY);
    CHECK_EQ(path_unlink(AT_FDCWD, "/r/s", false), -EISDIR);
    CHECK_EQ(path_unlink(AT_FDCWD, "/r/e", true), -ENOTDIR);
    CHECK_EQ(path_unlink(AT_FDCWD, "/r/.", true), -EINVAL);
    CHECK_EQ(path_unlink(AT_FDCWD, "/r/..", true), -ENOTEMPTY);
}

static void test_contents(void)
{
    char a[10000], b[10000];
    for (size_t i = 0; i < sizeof(a); i++)
        a[i] = (char)(i * 7);
    int fd = fake_open("/c", O_RDWR | O_CREAT, 0644);
    CHECK_EQ(fake_pwrite(fd, a, sizeof(a), 100000), sizeof(a));
    CHECK_EQ(fake_pread(fd, b, 10, 99995), 10);
    CHECK(memcmp(b, "\0\0\0\0\0", 5) == 0 && memcmp(b + 5, a, 5) == 0);
    struct file *f = fd_file(fd);
    CHECK_EQ(file_seek(f, 0, SEEK_DATA), 98304);
    CHECK_EQ(file_seek(f, 98304, SEEK_HOLE), 110000);
    CHECK_EQ(file_truncate(f, 100003), 0);
    CHECK_EQ(file_truncate(f, 200000), 0);
    CHECK_EQ(fake_pread(fd, b, 10, 100000), 10);
    CHECK(memcmp(b, a, 3) == 0 && memcmp(b + 3, "\0\0\0\0\0\0\0", 7) == 0);
    CHECK_EQ(fake_pread(fd, b, sizeof(b), 199990), 10);
    CHECK_EQ(fake_pread(fd, b, sizeof(b), 200000), 0);
    fake_limit_fsize = 200004;
    CHECK_EQ(fake_pwrite(fd, a, 10, 200000), 4);
    CHECK_EQ(fake_pwrite(fd, a, 10, 200004), -EFBIG);
    CHECK_EQ(fake_signal, SIGXFSZ);
    fake_limit_fsize = UINT64_MAX;
    CHECK_EQ(path_unlink(AT_FDCWD, "/c", false), 0);
    CHECK_EQ(fake_pread(fd, b, 1, 100000), 1);
    char text[64];
    CHECK(file_text(f, text, sizeof(text)) > 0 && strcmp(text, "/c (deleted)") == 0);
    file_put(f);
    CHECK_EQ(fd_close(fd), 0);
    CHECK_EQ(fd_close(fd), -EBADF);
}

static void test_permissions(void)
{
    struct cred *root = current->cred, *user = cred_new(1000, 1000);
    CHECK_EQ(make_file("/secret", "s"), 0);
    struct path p;
    CHECK_EQ(path_walk(AT_FDCWD, "/secret", 0, &p), 0);
    struct attr_change change = {.mask = ATTR_MODE, .mode = 0600};
    CHECK_EQ(inode_setattr(path_inode(&p), &change), 0);
    path_put(&p);
    CHECK_EQ(path_create(AT_FDCWD, "/sticky", S_IFDIR | 0777, 0, NULL), 0);
    CHECK_EQ(path_walk(AT_FDCWD, "/sticky", 0, &p), 0);
    change.mode = 01777;
    CHECK_EQ(inode_setattr(path_inode(&p), &change), 0);
    path_put(&p);
    CHECK_EQ(make_file("/sticky/root", "r"), 0);
    current->cred = user;
    CHECK_EQ(fake_open("/secret", O_RDONLY, 0), -EACCES);
    CHECK_EQ(make_file("/new", "x"), -EACCES);
    CHECK_EQ(make_file("/sticky/mine", "x"), 0);
    CHECK_EQ(path_unlink(AT_FDCWD, "/sticky/root", false), -EPERM);
    CHECK_EQ(path_rename(AT_FDCWD, "/sticky/root", AT_FDCWD, "/sticky/x", 0), -EPERM);
    CHECK_EQ(path_unlink(AT_FDCWD, "/sticky/mine", false), 0);
    current->cred = root;
    cred_put(user);
}

static void test_mounts(void)
{
    struct super *sb;
    struct config_mount none = {0};
    struct path at;
    CHECK_EQ(make_dir("/mnt"), 0);
    CHECK_EQ(make_file("/mnt/below", "b"), 0);
    CHECK_EQ(fs_type_find("tmpfs")->mount(&none, "", "size=8k", &sb), 0);
    CHECK_EQ(path_walk(AT_FDCWD, "/mnt", 0, &at), 0);
    struct dentry *root = dentry_new_root(inode_get(sb->root), "/");
    CHECK_EQ(mount_attach(sb, root, &at, 0, "two"), 0);
    dentry_put(root);
    super_put(sb);
    path_put(&at);
    CHECK_EQ(walk("/mnt/below", 0), -ENOENT);
    CHECK_EQ(make_dir("/mnt/in"), 0);
    check_path("/mnt/in/../../mnt/in", "/mnt/in");
    char page[4096] = {1};
    int fd = fake_open("/mnt/full", O_CREAT | O_RDWR, 0644);
    CHECK_EQ(fake_write(fd, page, sizeof(page)), sizeof(page));
    CHECK_EQ(fake_write(fd, page, sizeof(page)), sizeof(page));
    CHECK_EQ(fake_write(fd, page, sizeof(page)), -ENOSPC);
    CHECK_EQ(fake_pwrite(fd, page, 10, 100), 10);
    CHECK_EQ(path_rename(AT_FDCWD, "/mnt/in", AT_FDCWD, "/in", 0), -EXDEV);
    CHECK_EQ(path_unlink(AT_FDCWD, "/mnt", true), -EBUSY);
    struct file *f;
    CHECK_EQ(file_open(AT_FDCWD, "/mnt/in", O_RDONLY, 0, RESOLVE_NO_XDEV, &f), -EXDEV);
    CHECK_EQ(path_walk(AT_FDCWD, "/mnt", 0, &at), 0);
    CHECK_EQ(mount_detach(&at, false), -EBUSY);
    CHECK_EQ(fd_close(fd), 0);
    atomic_fetch_or(&at.mount->flags, MS_RDONLY);
    CHECK_EQ(make_dir("/mnt/x"), -EROFS);
    CHECK_EQ(fake_open("/mnt/full", O_RDWR, 0), -EROFS);
    CHECK_EQ(mount_detach(&at, false), 0);
    path_put(&at);
    CHECK_EQ(starts_with("/mnt/below", "b"), 1);
}

static void test_descriptors(void)
{
    int a = fake_open("/a/f", O_RDONLY, 0);
    struct file *f = fd_file(a);
    CHECK_EQ(fd_replace(900, file_get(f), true), 900);
    CHECK_EQ(fd_get_cloexec(900), 1);
    CHECK_EQ(fd_replace(1024, file_get(f), true), -EBADF);
    fake_limit_nofile = (uint64_t)a + 2;
    CHECK_EQ(fd_add(file_get(f), false), a + 1);
    CHECK_EQ(fd_add(file_get(f), false), -EMFILE);
    fake_limit_nofile = 1024;
    struct fd_table *copy;
    CHECK_EQ(fd_table_clone(current->files, &copy), 0);
    fd_table_close_on_exec(copy);
    CHECK_EQ(fd_next_used(copy, a + 2), -1);
    CHECK_EQ(fd_next_used(current->files, a + 2), 900);
    fd_table_put(copy);
    CHECK_EQ(fd_close_range(a + 1, UINT32_MAX, false), 0);
    CHECK_EQ(fd_next_used(current->files, a + 1), -1);
    file_put(f);
    CHECK_EQ(fd_close(a), 0);
}

static void test_locks(void)
{
    int fa = fake_open("/a/f", O_RDWR, 0), fb = fake_open("/a/f", O_RDWR, 0);
    struct file *a = fd_file(fa), *b = fd_file(fb);
    CHECK_EQ(file_flock(a, LOCK_SH), 0);
    CHECK_EQ(file_flock(b, LOCK_SH | LOCK_NB), 0);
    CHECK_EQ(file_flock(b, LOCK_EX | LOCK_NB), -EAGAIN);
    CHECK_EQ(file_flock(a, LOCK_UN), 0);
    CHECK_EQ(file_flock(b, LOCK_EX | LOCK_NB), 0);
    CHECK_EQ(file_flock(a, LOCK_EX), -512 /* ERESTARTSYS: a signal ended the wait */);
    struct abi_flock l = {.l_type = F_WRLCK, .l_start = 0, .l_len = 100};
    CHECK_EQ(file_record_lock(a, &l, true, false), 0);
    l = (struct abi_flock){.l_type = F_UNLCK, .l_start = 40, .l_len = 20};
    CHECK_EQ(file_record_lock(a, &l, true, false), 0);
    l = (struct abi_flock){.l_type = F_WRLCK, .l_start = 40, .l_len = 20};
    CHECK_EQ(file_record_lock(b, &l, true, false), 0);
    l = (struct abi_flock){.l_type = F_RDLCK, .l_start = 60, .l_len = 1};
    CHECK_EQ(file_record_lock(b, &l, true, false), -EAGAIN);
    l = (struct abi_flock){.l_type = F_RDLCK, .l_start = 0, .l_len = 0};
    CHECK_EQ(file_record_test(b, &l, true), 0);
    CHECK_EQ(l.l_type, F_WRLCK);
    file_put(a);
    file_put(b);
    CHECK_EQ(fd_close(fa), 0);
    b = fd_file(fb);
    l = (struct abi_flock){.l_type = F_WRLCK, .l_start = 0, .l_len = 0};
    CHECK_EQ(file_record_lock(b, &l, true, false), 0);
    file_put(b);
    CHECK_EQ(fd_close(fb), 0);
}

static void test_pipes(void)
{
    struct file *r, *w;
    static char data[70000], back[70000];
    struct iter it;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)unit_random();
    CHECK_EQ(pipe_new(O_NONBLOCK, &r, &w), 0);
    iter_kernel(&it, back, 10);
    CHECK_EQ(file_read(r, &it, NULL), -EAGAIN);
    for (int round = 0; round < 3; round++) {
        iter_kernel(&it, data, sizeof(data));
        CHECK_EQ(file_write(w, &it, NULL), 65536);
        CHECK_EQ(file_poll(w, NULL) & POLLOUT, 0);
        iter_kernel(&it, back, 4095);
        CHECK_EQ(file_read(r, &it, NULL), 4095);
        iter_kernel(&it, data, 4096);
        CHECK_EQ(file_write(w, &it, NULL), -EAGAIN); /* whole or not at all */
        iter_kernel(&it, back + 4095, sizeof(back) - 4095);
        CHECK_EQ(file_read(r, &it, NULL), 65536 - 4095);
        CHECK(memcmp(data, back, 65536) == 0);
    }
    CHECK_EQ(r->ops->fcntl(r, F_SETPIPE_SZ, 5000), 8192);
    iter_kernel(&it, data, sizeof(data));
    CHECK_EQ(file_write(w, &it, NULL), 8192);
    CHECK_EQ(r->ops->fcntl(r, F_SETPIPE_SZ, 4096), -EBUSY);
    file_put(r);
    fake_signal = 0;
    iter_kernel(&it, data, 1);
    CHECK_EQ(file_write(w, &it, NULL), -EPIPE);
    CHECK_EQ(fake_signal, SIGPIPE);
    CHECK(file_poll(w, NULL) & POLLERR);
    file_put(w);
}

static int wait_one(struct file *ep, uint64_t *data)
{
    struct abi_epoll_event e[4];
    uint64_t round = 0;
    int n = epoll_wait_events(ep, e, 4, 0, &round);
    if (n > 0)
        *data = e[0].data;
    return n;
}

static void test_epoll(void)
{
    struct file *ep, *ev, *outer;
    uint64_t v = 1, data = 0;
    struct iter it;
    CHECK_EQ(epoll_new(&ep), 0);
    CHECK_EQ(epoll_new(&outer), 0);
    CHECK_EQ(eventfd_new(0, O_NONBLOCK, &ev), 0);
    struct abi_epoll_event e = {POLLIN | EPOLLET, 77};
    CHECK_EQ(epoll_control(ep, EPOLL_CTL_ADD, 5, ev, &e), 0);
    CHECK_EQ(epoll_control(ep, EPOLL_CTL_ADD, 5, ev, &e), -EEXIST);
    CHECK_EQ(epoll_control(ep, EPOLL_CTL_MOD, 6, ev, &e), -ENOENT);
    CHECK_EQ(epoll_control(ep, EPOLL_CTL_ADD, 7, ep, &e), -EINVAL);
    CHECK_EQ(epoll_control(outer, EPOLL_CTL_ADD, 7, ep, &e), 0);
    CHECK_EQ(epoll_control(ep, EPOLL_CTL_ADD, 8, outer, &e), -ELOOP);
    CHECK_EQ(wait_one(ep, &data), 0);
    iter_kernel(&it, &v, 8);
    CHECK_EQ(file_write(ev, &it, NULL), 8);
    CHECK_EQ(wait_one(outer, &data), 1);
    CHECK_EQ(wait_one(ep, &data), 1);
    CHECK_EQ(data, 77);
    CHECK_EQ(wait_one(ep, &data), 0); /* edge: told once */
    e = (struct abi_epoll_event){POLLIN, 78};
    CHECK_EQ(epoll_control(ep, EPOLL_CTL_MOD, 5, ev, &e), 0);
    CHECK_EQ(wait_one(ep, &data), 1);
    CHECK_EQ(wait_one(ep, &data), 1); /* level: told again */
    CHECK_EQ(data, 78);
    e.events = POLLIN | EPOLLONESHOT;
    CHECK_EQ(epoll_control(ep, EPOLL_CTL_MOD, 5, ev, &e), 0);
    CHECK_EQ(wait_one(ep, &data), 1);
    CHECK_EQ(wait_one(ep, &data), 0);
    file_put(ev); /* leaves the set by itself */
    CHECK_EQ(wait_one(ep, &data), 0);
    file_put(ep);
    file_put(outer);
}

/* Everything once, with memory ending after `count` allocations. */
static void with_little_memory(long count)
{
    struct file *a, *b;
    struct path p;
    fake_fail_after = count;
    if (make_dir("/low") == 0 &&
        make_file("/low/a-name-that-is-longer-than-the-short-ones", "x") == 0)
        (void)!path_rename(AT_FDCWD, "/low/a-name-that-is-longer-than-the-short-ones", AT_FDCWD,
                           "/low/another-name-that-is-longer-than-short", 0);
    if (make_link("/low", "/low/link") == 0 &&
        path_walk(AT_FDCWD, "/low/link/link", 0, &p) == 0)
        path_put(&p);
    if (pipe_new(0, &a, &b) == 0) {
        file_put(a);
        file_put(b);
    }
    if (epoll_new(&a) == 0) {
        struct abi_epoll_event e = {POLLIN, 1};
        if (eventfd_new(0, 0, &b) == 0) {
            (void)!epoll_control(a, EPOLL_CTL_ADD, 3, b, &e);
            file_put(b);
        }
        file_put(a);
    }
    fake_fail_after = -1;
    (void)!path_unlink(AT_FDCWD, "/low/a-name-that-is-longer-than-the-short-ones", false);
    (void)!path_unlink(AT_FDCWD, "/low/another-name-that-is-longer-than-short", false);
    (void)!path_unlink(AT_FDCWD, "/low/link", false);
    int r = path_unlink(AT_FDCWD, "/low", true);
    CHECK(r == 0 || r == -ENOENT);
    dentry_shrink(1u << 20);
}

static void test_no_memory(void)
{
    with_little_memory(-1);
    long live = fake_live;
    for (long count = 0; count < 120; count++) {
        with_little_memory(count);
        if (fake_live != live)
            fprintf(stderr, "memory ended after %ld allocations\n", count);
        CHECK_EQ(fake_live, live);
        CHECK_EQ(fake_held, 0);
    }
}

int main(void)
{
    fake_kernel_init();
    ipc_register();
    fake_mount_root();
    test_walk();
    test_links();
    test_rename();
    test_contents();
    test_permissions();
    long before = fake_live;
    test_mounts();
    CHECK_EQ(path_unlink(AT_FDCWD, "/mnt/below", false), 0);
    CHECK_EQ(path_unlink(AT_FDCWD, "/mnt", true), 0);
    dentry_shrink(1u << 20);
    CHECK(fake_live <= before);
    test_descriptors();
    test_locks();
    dentry_shrink(1u << 20);
    before = fake_live;
    test_pipes();
    test_epoll();
    CHECK_EQ(fake_live, before);
    test_no_memory();
    fake_leave();
    CHECK_EQ(fake_held, 0);
    return 0;
}
