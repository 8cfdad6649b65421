/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stat, modes, umask, links, symbolic links, times, access. RW: yes
 */
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include "tests/guest/test.h"

static void modes(void)
{
    struct stat st;
    struct statx sx;
    umask(022);
    int fd = must(open("m", O_CREAT | O_WRONLY, 0666));
    expect(write(fd, "12345", 5), 5, 0);
    expect(fstat(fd, &st), 0, 0);
    expect(st.st_mode, S_IFREG | 0644, 0);
    expect(st.st_size, 5, 0);
    expect(st.st_nlink, 1, 0);
    expect(st.st_uid, geteuid(), 0);
    expect(st.st_blksize > 0, 1, 0);
    expect(fchmod(fd, 0755), 0, 0);
    expect(close(fd), 0, 0);
    expect(stat("m", &st), 0, 0);
    expect(st.st_mode, S_IFREG | 0755, 0);
    expect(access("m", R_OK | W_OK | X_OK), 0, 0);
    expect(chmod("m", 0600), 0, 0);
    expect(access("m", X_OK), -1, EACCES);
    expect(access("m", 99), -1, EINVAL);
    expect(chmod("none", 0600), -1, ENOENT);
    expect(umask(077), 022, 0);
    expect(mkdir("md", 0777), 0, 0);
    expect(stat("md", &st), 0, 0);
    expect(st.st_mode, S_IFDIR | 0700, 0);
    expect(umask(022), 077, 0);
    expect(statx(AT_FDCWD, "m", 0, STATX_BASIC_STATS, &sx), 0, 0);
    expect(sx.stx_size, 5, 0);
    expect(sx.stx_mode, S_IFREG | 0600, 0);
    expect(statx(AT_FDCWD, "none", 0, STATX_BASIC_STATS, &sx), -1, ENOENT);
    expect(stat("/dev/null", &st), 0, 0);
    expect(S_ISCHR(st.st_mode), 1, 0);
    expect(st.st_rdev, makedev(1, 3), 0);
    struct statfs fs;
    expect(statfs(".", &fs), 0, 0);
    expect(fs.f_bsize > 0 && fs.f_namelen >= 255, 1, 0);
}

static void links(void)
{
    struct stat a, b;
    char text[64];
    test_write_file("l", "content");
    expect(link("l", "l2"), 0, 0);
    expect(link("l", "l2"), -1, EEXIST);
    expect(link("none", "l3"), -1, ENOENT);
    expect(stat("l", &a), 0, 0);
    expect(stat("l2", &b), 0, 0);
    expect(a.st_ino == b.st_ino && a.st_dev == b.st_dev, 1, 0);
    expect(a.st_nlink, 2, 0);
    expect(unlink("l"), 0, 0);
    expect(stat("l2", &b), 0, 0);
    expect(b.st_nlink, 1, 0);

    expect(symlink("l2", "s"), 0, 0);
    expect(symlink("l2", "s"), -1, EEXIST);
    expect(lstat("s", &a), 0, 0);
    expect(S_ISLNK(a.st_mode), 1, 0);
    expect(a.st_size, 2, 0);
    expect(stat("s", &a), 0, 0);
    expect(S_ISREG(a.st_mode), 1, 0);
    memset(text, 'x', sizeof(text));
    expect(readlink("s", text, sizeof(text)), 2, 0);
    expect(memcmp(text, "l2x", 3), 0, 0);
    expect(readlink("s", text, 1), 1, 0);
    expect(readlink("l2", text, 10), -1, EINVAL);
    expect(open("s", O_RDONLY | O_NOFOLLOW), -1, ELOOP);
    expect(symlink("s2", "s1"), 0, 0);
    expect(symlink("s1", "s2"), 0, 0);
    expect(open("s1", O_RDONLY), -1, ELOOP);
    expect(stat("s1/x", &a), -1, ELOOP);
    expect(symlink("nowhere", "dangling"), 0, 0);
    expect(stat("dangling", &a), -1, ENOENT);
    expect(lstat("dangling", &a), 0, 0);
    expect(open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0600), -1, EEXIST);
    int fd = must(open("dangling", O_CREAT | O_WRONLY, 0600));
    close(fd);
    expect(stat("nowhere", &a), 0, 0);
    expect(unlink("dangling"), 0, 0);
    expect(stat("nowhere", &a), 0, 0);
    expect(mkdir("dd", 0755), 0, 0);
    expect(symlink("dd", "ds"), 0, 0);
    test_write_file("ds/in", "x");
    expect(stat("dd/in", &a), 0, 0);
    expect(stat("ds/../dd/in", &a), 0, 0);
    expect(symlink("", "e"), -1, ENOENT);
}

static void times(void)
{
    struct stat st;
    struct timespec set[2] = {{1000, 5}, {2000, 123456789}};
    test_write_file("t", "x");
    expect(utimensat(AT_FDCWD, "t", set, 0), 0, 0);
    expect(stat("t", &st), 0, 0);
    expect(st.st_atim.tv_sec, 1000, 0);
    expect(st.st_mtim.tv_sec, 2000, 0);
    expect(st.st_mtim.tv_nsec, 123456789, 0);
    set[0].tv_nsec = UTIME_OMIT;
    set[1].tv_nsec = UTIME_NOW;
    expect(utimensat(AT_FDCWD, "t", set, 0), 0, 0);
    expect(stat("t", &st), 0, 0);
    expect(st.st_atim.tv_sec, 1000, 0);
    expect(st.st_mtim.tv_sec > 1600000000, 1, 0);
    set[0].tv_nsec = 2000000000;
    expect(utimensat(AT_FDCWD, "t", set, 0), -1, EINVAL);
    expect(utimensat(AT_FDCWD, "none", NULL, 0), -1, ENOENT);
}

int main(void)
{
    test_dir();
    modes();
    links();
    times();
    return test_end();
}
