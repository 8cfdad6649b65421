/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each call on names refuses, in which order, and to whom: permissions of directories and
 * files, sticky directories, lengths, loops, types. RW: yes
 */
#include <limits.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include "tests/guest/test.h"

static char name255[256], name256[257], path4096[4200];
static int root; /* may act as others */

/* The calls below, by number, on one path; all fail in the same way for a bad path. */
static long call(int which, const char *path)
{
    struct stat st;
    char buffer[64];
    struct timespec times[2] = {{1, 1}, {1, 1}};
    switch (which) {
    case 0:
        return stat(path, &st);
    case 1:
        return lstat(path, &st);
    case 2:
        return open(path, O_RDONLY);
    case 3:
        return open(path, O_CREAT | O_WRONLY, 0600);
    case 4:
        return mkdir(path, 0755);
    case 5:
        return rmdir(path);
    case 6:
        return unlink(path);
    case 7:
        return chmod(path, 0600);
    case 8:
        return lchown(path, (uid_t)-1, (gid_t)-1);
    case 9:
        return utimensat(AT_FDCWD, path, times, 0);
    case 10:
        return truncate(path, 0);
    case 11:
        return access(path, F_OK);
    case 12:
        return readlink(path, buffer, sizeof(buffer)) < 0 ? -1 : 0;
    case 13:
        return symlink("x", path);
    case 14:
        return mkfifo(path, 0600);
    case 15:
        return link("plain", path);
    case 16:
        return link(path, "new-link");
    case 17:
        return rename(path, "new-name");
    case 18:
        return rename("plain", path);
    case 19:
        return chdir(path);
    case 20:
        return lgetxattr(path, "user.x", buffer, sizeof(buffer)) < 0 ? -1 : 0;
    case 21:
        return lsetxattr(path, "user.x", "1", 1, 0);
    default:
        return -2;
    }
}

static void all_fail(const char *path, int error)
{
    for (int which = 0; call(which, "none/none") != -2; which++) {
        errno = 0;
        long r = call(which, path);
        if (r != -1 || errno != error)
            fprintf(stderr, "call %d on %.40s: %ld, errno %d\n", which, path, r, errno);
        int same = r == -1 && errno == error;
        expect(same, 1, 0);
    }
}

static void paths(void)
{
    memset(name255, 'n', 255);
    memset(name256, 'n', 256);
    memset(path4096, '/', sizeof(path4096) - 1);
    test_write_file("plain", "plain");
    must(symlink("loop2", "loop1"));
    must(symlink("loop1", "loop2"));
    all_fail("none/x", ENOENT);
    all_fail("plain/x", ENOTDIR);
    all_fail("loop1/x", ELOOP);
    all_fail(path4096, ENAMETOOLONG);
    all_fail(name256, ENAMETOOLONG);
    all_fail("", ENOENT);
    all_fail((const char *)-1, EFAULT);
    expect(mkdir(name255, 0700), 0, 0);
    expect(rmdir(name255), 0, 0);
}

static void types(void)
{
    must(mkdir("dir", 0755));
    must(symlink("nowhere", "dangling"));
    must(symlink("dir", "to-dir"));
    expect(open("plain/", O_RDONLY), -1, ENOTDIR);
    expect(open("new/", O_CREAT | O_WRONLY, 0600), -1, EISDIR);
    expect(open("dir", O_WRONLY), -1, EISDIR);
    expect(open("dir", O_CREAT | O_RDONLY, 0600), -1, EISDIR);
    expect(open("dir", O_CREAT | O_EXCL, 0600), -1, EEXIST);
    expect(open("plain", O_RDONLY | O_DIRECTORY), -1, ENOTDIR);
    expect(open("to-dir", O_RDONLY | O_NOFOLLOW), -1, ELOOP);
    expect(open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0600), -1, EEXIST);
    int fd = open("dangling", O_CREAT | O_WRONLY, 0600);
    expect(fd >= 0, 1, 0);
    close(fd);
    expect(unlink("nowhere"), 0, 0);
    expect(unlink("plain/"), -1, ENOTDIR);
    expect(unlink("dir"), -1, EISDIR);
    expect(rmdir("plain"), -1, ENOTDIR);
    expect(rmdir("to-dir"), -1, ENOTDIR);
    expect(rmdir("to-dir/"), -1, ENOTDIR);
    expect(rmdir("."), -1, EINVAL);
    expect(rmdir("dir/.."), -1, ENOTEMPTY);
    expect(mkdir("dir/", 0755), -1, EEXIST);
    expect(mkdir("plain/", 0755), -1, EEXIST);
    expect(symlink("x", "new/"), -1, ENOENT);
    expect(symlink("", "new"), -1, ENOENT);
    expect(link("dir", "new"), -1, EPERM);
    expect(link("plain", "dir"), -1, EEXIST);
    expect(link("plain", "new/"), -1, ENOENT);
    expect(rename("dir", "plain"), -1, ENOTDIR);
    expect(rename("plain", "dir"), -1, EISDIR);
    expect(rename("dir", "dir/sub"), -1, EINVAL);
    expect(rename("dir/.", "x"), -1, EBUSY);
    expect(rename("plain", "dir/.."), -1, EBUSY);
    expect(rename("plain/", "new"), -1, ENOTDIR);
    expect(truncate("dir", 0), -1, EISDIR);
    expect(truncate("plain", -1), -1, EINVAL);
    expect(readlink("plain", path4096, 8), -1, EINVAL);
    expect(readlink("to-dir", path4096, 0), -1, EINVAL);
    expect(chdir("plain"), -1, ENOTDIR);
    expect(mknod("dir", S_IFREG | 0600, 0), -1, EEXIST);
    expect(mknod("new", S_IFDIR | 0600, 0), -1, EPERM);
    expect(unlinkat(AT_FDCWD, "plain", 0x1000), -1, EINVAL);
    expect(faccessat(AT_FDCWD, "plain", 8, 0), -1, EINVAL);
    expect(fchmodat(999, "plain", 0600, 0), -1, EBADF);
    int plain = must(open("plain", O_RDONLY));
    expect(openat(plain, "x", O_RDONLY), -1, ENOTDIR);
    expect(unlinkat(plain, "x", 0), -1, ENOTDIR);
    close(plain);
    int removed;
    must(mkdir("gone", 0755));
    removed = must(open("gone", O_RDONLY | O_DIRECTORY));
    must(rmdir("gone"));
    expect(openat(removed, "x", O_CREAT | O_WRONLY, 0600), -1, ENOENT);
    expect(mkdirat(removed, "x", 0755), -1, ENOENT);
    close(removed);
}

static void be(uid_t user)
{
    setfsuid(user);
    setfsgid(user);
}

/* Somebody else, in directories that lack one permission each. */
static void other_users(void)
{
    static const char *const dirs[] = {"p0", "p1", "p4", "p5"};
    static const mode_t modes[] = {0770, 0771, 0774, 0775};
    char path[64];
    for (int i = 0; i < 4; i++) {
        must(mkdir(dirs[i], 0777));
        snprintf(path, sizeof(path), "%s/f", dirs[i]);
        test_write_file(path, "f");
        must(chmod(path, 0604));
        must(chmod(dirs[i], modes[i]));
    }
    must(chmod(".", 0755));
    be(1000);
    expect(open("p0", O_RDONLY), -1, EACCES);
    expect(open("p1", O_RDONLY), -1, EACCES);
    expect(access("p4/f", F_OK) == 0, 1, 0); /* access asks for the real user, root */
    expect(faccessat(AT_FDCWD, "p0/f", F_OK, 0), 0, 0);
    struct stat st;
    expect(stat("p0/f", &st), -1, EACCES);
    expect(stat("p1/f", &st), 0, 0);
    expect(stat("p4/f", &st), -1, EACCES);
    expect(open("p1/f", O_WRONLY), -1, EACCES);
    expect(open("p1/f", O_RDONLY | O_TRUNC), -1, EACCES);
    expect(open("p1/f", O_RDONLY | O_NOATIME), -1, EPERM);
    expect(open("p5/new", O_CREAT | O_WRONLY, 0600), -1, EACCES);
    expect(open("p5/f", O_CREAT | O_RDONLY, 0600) >= 0, 1, 0);
    expect(mkdir("p5/f", 0755), -1, EEXIST);
    expect(mkdir("p5/d", 0755), -1, EACCES);
    expect(unlink("p5/f"), -1, EACCES);
    expect(unlink("p5/none"), -1, ENOENT);
    expect(rmdir("p5/f"), -1, EACCES);
    expect(rename("p5/f", "p5/g"), -1, EACCES);
    expect(rename("p5/f", "p5/f"), 0, 0);
    expect(link("p5/f", "p5/g"), -1, EPERM);
    expect(symlink("x", "p5/g"), -1, EACCES);
    expect(chmod("p5/f", 0666), -1, EPERM);
    expect(chown("p5/f", 1000, -1), -1, EPERM);
    expect(truncate("p5/f", 0), -1, EACCES);
    expect(utimensat(AT_FDCWD, "p5/f", NULL, 0), -1, EACCES);
    struct timespec times[2] = {{1, 1}, {1, 1}};
    expect(utimensat(AT_FDCWD, "p5/f", times, 0), -1, EPERM);
    times[0].tv_nsec = times[1].tv_nsec = UTIME_OMIT;
    expect(utimensat(AT_FDCWD, "p5/f", times, 0), 0, 0);
    expect(chdir("p4"), -1, EACCES);
    expect(setxattr("p5/f", "user.x", "1", 1, 0), -1, EACCES);
    be(0);
}

/* In a sticky directory only owners remove. */
static void sticky(void)
{
    must(mkdir("s", 0777));
    must(chmod("s", 01777));
    test_write_file("s/roots", "x");
    be(1000);
    test_write_file("s/mine", "x");
    be(1001);
    expect(unlink("s/mine"), -1, EPERM);
    expect(unlink("s/roots"), -1, EPERM);
    expect(rename("s/mine", "s/other"), -1, EPERM);
    test_write_file("s/theirs", "x");
    expect(rename("s/theirs", "s/mine"), -1, EPERM);
    expect(syscall(SYS_renameat2, AT_FDCWD, "s/theirs", AT_FDCWD, "s/mine", 2), -1, EPERM);
    be(1000);
    expect(rename("s/mine", "s/mine2"), 0, 0);
    expect(unlink("s/mine2"), 0, 0);
    be(0);
    expect(unlink("s/theirs"), 0, 0);
}

/* What others put into a sticky directory is not opened with O_CREAT; files and pipes are for
 * the settings protected_regular and protected_fifos to decide. */
static void planted(void)
{
    int flags = O_CREAT | O_NOFOLLOW | O_WRONLY | O_NONBLOCK;
    must(symlink("roots", "s/link"));
    must(lchown("s/link", 1000, 1000));
    must(mknod("s/socket", S_IFSOCK | 0777, 0));
    must(lchown("s/socket", 1000, 1000));
    expect(open("s/link", flags, 0600), -1, EACCES);
    expect(open("s/socket", flags, 0600), -1, EACCES);
    expect(open("s/link", flags & ~O_CREAT), -1, ELOOP);
    expect(open("s/link", flags | O_EXCL, 0600), -1, EEXIST);
    be(1001);
    expect(open("s/link", flags, 0600), -1, EACCES);
    expect(open("s/socket", flags, 0600), -1, EACCES);
    be(1000);
    expect(open("s/link", flags, 0600), -1, ELOOP);
    expect(open("s/socket", flags, 0600), -1, ENXIO);
    be(0);
    must(chmod("s", 01775));
    expect(open("s/link", flags, 0600), -1, ELOOP);
    must(chmod("s", 0777));
    expect(open("s/link", flags, 0600), -1, ELOOP);
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    must(stat(path, &st));
    return st.st_mode & 07777;
}

/* Attributes of what is no file: root's own kind only. */
static void xattr_of_others(void)
{
    static const char *const names[] = {"xattr-link", "xattr-fifo"};
    char value[8];
    must(symlink("nowhere", names[0]));
    must(mkfifo(names[1], 0600));
    for (int i = 0; i < 2; i++) {
        expect(lsetxattr(names[i], "user.x", "1", 1, 0), -1, EPERM);
        if (lsetxattr(names[i], "trusted.x", "abc", 3, 0) && errno == EOPNOTSUPP)
            continue; /* this file system keeps none */
        expect(lgetxattr(names[i], "trusted.x", value, sizeof(value)), 3, 0);
        expect(llistxattr(names[i], NULL, 0) >= 10, 1, 0);
        expect(lremovexattr(names[i], "trusted.x"), 0, 0);
        expect(lgetxattr(names[i], "trusted.x", value, sizeof(value)), -1, ENODATA);
    }
}

/* Before Linux 6.1 not all file systems did it for fallocate. */
static void set_id_bits_fallocate(void)
{
    struct utsname u;
    int major = 0, minor = 0;
    must(uname(&u));
    sscanf(u.release, "%d.%d", &major, &minor);
    if (major * 100 + minor < 601)
        return;
    must(chmod("id", 06777));
    be(1001);
    int fd = must(open("id", O_WRONLY));
    if (!fallocate(fd, 0, 0, 5000) || errno != EOPNOTSUPP)
        expect(mode_of("id"), 0777, 0);
    close(fd);
    be(0);
}

/* Who changes a file takes its set-id bits away. */
static void set_id_bits(void)
{
    test_write_file("id", "x");
    must(chown("id", 1000, 1000));
    must(chmod("id", 06777));
    be(1001);
    int fd = must(open("id", O_WRONLY));
    expect(mode_of("id"), 06777, 0);
    expect(write(fd, "y", 1), 1, 0);
    expect(mode_of("id"), 0777, 0);
    close(fd);
    be(0);
    must(chmod("id", 06777));
    must(truncate("id", 0));
    expect(mode_of("id"), 06777, 0);
    must(chown("id", 1000, 1001));
    expect(mode_of("id"), 0777, 0);
    must(chmod("id", 02767)); /* locking, not set-group-id */
    must(chown("id", 1000, 1000));
    expect(mode_of("id"), 02767, 0);
    be(1000);
    must(chmod("id", 02777));
    expect(mode_of("id"), 02777, 0);
    be(0);
    must(chown("id", 1000, 1001));
    be(1000);
    must(chmod("id", 02777)); /* not a member */
    expect(mode_of("id"), 0777, 0);
    be(0);
    must(mkdir("group", 0777));
    must(chown("group", 0, 1001));
    must(chmod("group", 02777));
    be(1000);
    must(mkdir("group/d", 0755));
    expect(mode_of("group/d"), 02755, 0);
    struct stat st;
    must(stat("group/d", &st));
    expect(st.st_gid, 1001, 0);
    be(0);
    set_id_bits_fallocate();
}

int main(void)
{
    test_dir();
    umask(022);
    root = geteuid() == 0;
    paths();
    types();
    if (root && chown("plain", 1000, 1000) == 0) {
        must(chown("plain", 0, 0));
        other_users();
        sticky();
        planted();
        xattr_of_others();
        set_id_bits();
    }
    return test_end();
}
