/* SPDX-License-Identifier: BSD-3-Clause */
/* mount(2) and umount2(2): binds, moves, flags of each mount, what /proc says of them. */
#include <sys/mount.h>
#include <sys/statfs.h>
#include "tests/guest/test.h"

static char here[128];

/* The line of mountinfo for a directory of ours: "root options"; NULL: none. */
static const char *info(const char *name)
{
    static char found[512];
    char line[1024], root[256], place[256], options[256], want[300];
    FILE *f = fopen("/proc/self/mountinfo", "r");
    int any = 0;
    snprintf(want, sizeof(want), "%s/%s", here, name);
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%*s %*s %*s %255s %255s %255s", root, place, options) == 3 &&
            !strcmp(place, want)) {
            any = 1;
            snprintf(found, sizeof(found), "%s %s", root, options);
        }
    }
    if (f)
        fclose(f);
    return any ? found : NULL;
}

static int says(const char *name, const char *want)
{
    const char *have = info(name);
    if (!have || strcmp(have, want))
        fprintf(stderr, "%s is \"%s\"\n", name, have ? have : "no mount");
    return have && !strcmp(have, want);
}

static void binds(void)
{
    must(mkdir("a", 0755));
    must(mkdir("a/sub", 0755));
    must(mkdir("b", 0755));
    must(mkdir("c", 0755));
    test_write_file("a/f", "f");
    test_write_file("file", "other");
    expect(mount("a", "b", NULL, MS_BIND, NULL), 0, 0);
    expect(access("b/f", F_OK), 0, 0);
    expect(says("b", "/a rw,relatime"), 1, 0);
    expect(mount("file", "a/f", NULL, MS_BIND, NULL), 0, 0);
    struct stat st;
    must(stat("a/f", &st));
    expect(st.st_size, 5, 0);
    must(stat("b/f", &st));
    expect(st.st_size, 1, 0);
    expect(unlink("a/f"), -1, EBUSY);
    expect(mount("a", "file", NULL, MS_BIND, NULL), -1, ENOTDIR);
    expect(mount("none", "b", NULL, MS_BIND, NULL), -1, ENOENT);
    expect(mount("a/sub", "a/sub", "tmpfs", 0, ""), 0, 0);
    test_write_file("a/sub/inner", "x");
    expect(access("b/sub/inner", F_OK), -1, ENOENT);
    expect(mount("a", "c", NULL, MS_BIND | MS_REC, NULL), 0, 0);
    expect(access("c/sub/inner", F_OK), 0, 0);
    must(stat("c/f", &st));
    expect(st.st_size, 5, 0);
    expect(umount("c"), -1, EBUSY);
    expect(umount2("c", MNT_DETACH), 0, 0);
    expect(info("c/sub") == NULL, 1, 0);
    expect(access("a/sub/inner", F_OK), 0, 0);
    expect(umount("a/f"), 0, 0);
    expect(umount("a/f"), -1, EINVAL);
}

static void flags(void)
{
    struct statfs st;
    char **none = NULL;
    expect(mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOEXEC, NULL), 0, 0);
    expect(says("b", "/a ro,noexec,relatime"), 1, 0);
    expect(open("b/new", O_CREAT | O_WRONLY, 0600), -1, EROFS);
    expect(open("a/new", O_CREAT | O_WRONLY, 0600) >= 0, 1, 0);
    expect(rename("b/new", "b/new2"), -1, EROFS);
    expect(unlink("b/new"), -1, EROFS);
    expect(unlink("b/none"), -1, EROFS);
    expect(mkdir("b/new", 0755), -1, EEXIST);
    expect(chmod("b/new", 0755), -1, EROFS);
    must(chmod("a/new", 0755));
    expect(execve("b/new", none, none), -1, EACCES);
    expect(access("b/new", X_OK), -1, EACCES);
    expect(access("b/new", W_OK), -1, EROFS);
    expect(link("a/f", "b/f2"), -1, EROFS);
    expect(rename("a/f", "b/f2"), -1, EXDEV);
    must(statfs("b", &st));
    expect(st.f_flags & (1 | 8), 1 | 8, 0);
    expect(mount(NULL, "b/sub", NULL, MS_REMOUNT | MS_BIND, NULL), -1, EINVAL);
    expect(mknod("a/dev", S_IFCHR | 0666, 0x103), 0, 0);
    int fd = open("a/dev", O_RDONLY);
    expect(fd >= 0, 1, 0);
    close(fd);
    expect(mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND | MS_NODEV, NULL), 0, 0);
    expect(open("b/dev", O_RDONLY), -1, EACCES);
    expect(umount2("b", 0x100), -1, EINVAL);
    expect(umount2("b", MNT_EXPIRE | MNT_DETACH), -1, EINVAL);
    expect(umount2("b", MNT_EXPIRE), -1, EAGAIN);
    expect(umount2("b", MNT_EXPIRE), 0, 0);
}

static void moves(void)
{
    expect(mount(NULL, here, NULL, MS_PRIVATE, NULL), 0, 0);
    expect(mount("a/sub", "b", NULL, MS_MOVE, NULL), 0, 0);
    expect(access("b/inner", F_OK), 0, 0);
    expect(access("a/sub/inner", F_OK), -1, ENOENT);
    must(mkdir("b/deep", 0755));
    expect(mount("b", "b/deep", NULL, MS_MOVE, NULL), -1, ELOOP);
    expect(mount("a", "c", NULL, MS_MOVE, NULL), -1, EINVAL);
    expect(mount(NULL, "a", NULL, MS_PRIVATE, NULL), -1, EINVAL);
    expect(mount(NULL, "b", NULL, MS_PRIVATE | MS_SLAVE, NULL), -1, EINVAL);
    int fd = must(open("b/inner", O_RDONLY));
    expect(umount("b"), -1, EBUSY);
    expect(umount2("b", MNT_DETACH), 0, 0);
    char c;
    expect(read(fd, &c, 1), 1, 0);
    close(fd);
}

static void sizes(void)
{
    struct statfs st;
    expect(mount("none", "b", "tmpfs", 0, "size=64k,mode=700"), 0, 0);
    must(statfs("b", &st));
    expect(st.f_blocks * st.f_bsize, 65536, 0);
    struct stat s;
    must(stat("b", &s));
    expect(s.st_mode & 07777, 0700, 0);
    expect(mount(NULL, "b", NULL, MS_REMOUNT, "size=128k"), 0, 0);
    must(statfs("b", &st));
    expect(st.f_blocks * st.f_bsize, 131072, 0);
    expect(mount("none", "file", "tmpfs", 0, ""), -1, ENOTDIR);
    expect(mount("none", "c", "nosuchfs", 0, ""), -1, ENODEV);
    expect(umount("b"), 0, 0);
}

static void access_times(void)
{
    struct timespec old[2] = {{1000, 0}, {500, 0}};
    struct stat st;
    char c;
    expect(mount("none", "b", "tmpfs", MS_STRICTATIME, ""), 0, 0);
    test_write_file("b/f", "f");
    for (int i = 0; i < 2; i++) {
        int fd = must(open("b/f", O_RDONLY));
        must(futimens(fd, old));
        expect(read(fd, &c, 1), 1, 0);
        close(fd);
        must(stat("b/f", &st));
        expect(st.st_atime == 1000, i, 0);
        expect(mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND | MS_NOATIME, NULL), 0, 0);
    }
    expect(umount("b"), 0, 0);
}

int main(void)
{
    test_dir();
    must(getcwd(here, sizeof(here)) ? 0 : -1);
    if (mount("none", here, "tmpfs", 0, "") < 0)
        return test_skip("mounting is not allowed here");
    must(chdir(here));
    binds();
    flags();
    moves();
    sizes();
    access_times();
    must(chdir("/"));
    expect(umount2(here, MNT_DETACH), 0, 0);
    rmdir(here);
    return test_end();
}
