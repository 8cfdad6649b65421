/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A union of directories, as mount -t overlay makes it: what shows, what the upper directory
 * gets, and that the lower one stays as it was.
 */
#include <dirent.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "tests/guest/test.h"

static void text_is(const char *path, const char *want)
{
    char text[256] = {0};
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    if (n < 0 || strcmp(text, want)) {
        fprintf(stderr, "%s holds \"%s\", not \"%s\"\n", path, n < 0 ? "nothing" : text, want);
        test_failures++;
    }
    test_checks++;
}

/* The names of a directory in order, each followed by its type's digit and a space. */
static const char *names(const char *path)
{
    static char text[1024];
    struct dirent **list;
    int n = scandir(path, &list, NULL, alphasort);
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < n; i++) {
        struct stat st;
        char full[600];
        snprintf(full, sizeof(full), "%s/%s", path, list[i]->d_name);
        if (list[i]->d_name[0] != '.') {
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s:%d ",
                                     list[i]->d_name, list[i]->d_type);
            expect(lstat(full, &st), 0, 0);
            expect(st.st_ino == list[i]->d_ino, 1, 0);
        }
        free(list[i]);
    }
    if (n >= 0)
        free(list);
    return text;
}

static void names_are_at(int line, const char *path, const char *want)
{
    const char *have = names(path);
    if (strcmp(have, want))
        fprintf(stderr, "line %d: %s holds \"%s\"\n", line, path, have);
    expect(strcmp(have, want), 0, 0);
}
#define names_are(path, want) names_are_at(__LINE__, path, want)

static ino_t ino_of(const char *path)
{
    struct stat st;
    expect(lstat(path, &st), 0, 0);
    return st.st_ino;
}

static nlink_t links_of(const char *path)
{
    struct stat st;
    expect(lstat(path, &st), 0, 0);
    return st.st_nlink;
}

static int is_whiteout(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0;
}

static void make_lower(void)
{
    must(mkdir("low", 0755));
    must(mkdir("up", 0755));
    must(mkdir("work", 0755));
    must(mkdir("all", 0755));
    must(mkdir("low/d", 0751));
    must(mkdir("low/d/e", 0755));
    must(mkdir("low/gone", 0755));
    must(mkdir("low/moved", 0755));
    test_write_file("low/f", "lower f");
    test_write_file("low/g", "lower g");
    test_write_file("low/d/x", "lower x");
    test_write_file("low/d/e/deep", "lower deep");
    test_write_file("low/gone/a", "a");
    test_write_file("low/moved/m", "lower m");
    test_write_file("low/one", "hard");
    must(link("low/one", "low/two"));
    must(symlink("d/x", "low/link"));
    must(chmod("low/g", 0640));
    must(setxattr("low/g", "trusted.mine", "yes", 3, 0));
}

static void copying_up(void)
{
    struct stat before, after;
    char value[16];
    names_are("all", "d:4 f:8 g:8 gone:4 link:10 moved:4 one:8 two:8 ");
    text_is("all/link", "lower x");
    must(stat("all/g", &before));
    int old = must(open("all/g", O_RDONLY));
    int fd = must(open("all/g", O_WRONLY | O_APPEND));
    expect(write(fd, "+", 1), 1, 0);
    close(fd);
    must(stat("all/g", &after));
    expect(after.st_ino == before.st_ino && after.st_dev == before.st_dev, 1, 0);
    expect(after.st_mode, S_IFREG | 0640, 0);
    expect(after.st_size, 8, 0);
    text_is("all/g", "lower g+");
    text_is("up/g", "lower g+");
    text_is("low/g", "lower g");
    expect(read(old, value, 8), 8, 0);
    close(old);
    expect(getxattr("all/g", "trusted.mine", value, sizeof(value)), 3, 0);
    expect(getxattr("up/g", "trusted.mine", value, sizeof(value)), 3, 0);
    expect(getxattr("all/g", "trusted.overlay.origin", value, 0), -1, ENODATA);
    expect(setxattr("all/f", "trusted.new", "1", 1, 0), 0, 0);
    text_is("up/f", "lower f");
    expect(chmod("all/d/e/deep", 0600), 0, 0);
    must(stat("up/d", &after));
    expect(after.st_mode, S_IFDIR | 0751, 0);
    text_is("up/d/e/deep", "lower deep");
    expect(access("up/d/x", F_OK), -1, ENOENT);
    names_are("all/d", "e:4 x:8 ");
    fd = must(open("all/d/x", O_RDWR | O_TRUNC));
    expect(write(fd, "new", 3), 3, 0);
    close(fd);
    text_is("all/link", "new");
    text_is("low/d/x", "lower x");
}

static void hard_links(void)
{
    expect(links_of("all/one"), 2, 0);
    ino_t number = ino_of("all/one");
    expect(ino_of("all/two") == number, 1, 0);
    int fd = must(open("all/one", O_WRONLY | O_TRUNC));
    expect(write(fd, "both", 4), 4, 0);
    close(fd);
    text_is("all/two", "both");
    expect(ino_of("all/one") == number && ino_of("all/two") == number, 1, 0);
    expect(link("all/two", "all/three"), 0, 0);
    expect(links_of("all/one"), 3, 0);
    expect(unlink("all/one"), 0, 0);
    expect(links_of("all/two"), 2, 0);
    expect(rename("all/two", "all/d/four"), 0, 0);
    text_is("all/three", "both");
    expect(ino_of("all/three") == number && ino_of("all/d/four") == number, 1, 0);
    expect(unlink("all/three"), 0, 0);
    expect(links_of("all/d/four"), 1, 0);
    expect(unlink("all/d/four"), 0, 0);
    text_is("low/two", "hard");
}

static void whiteouts(void)
{
    expect(unlink("all/f"), 0, 0);
    expect(access("all/f", F_OK), -1, ENOENT);
    expect(is_whiteout("up/f"), 1, 0);
    test_write_file("all/f", "again");
    text_is("all/f", "again");
    text_is("up/f", "again");
    expect(rmdir("all/gone"), -1, ENOTEMPTY);
    expect(unlink("all/gone/a"), 0, 0);
    names_are("all/gone", "");
    expect(rmdir("all/gone"), 0, 0);
    expect(is_whiteout("up/gone"), 1, 0);
    expect(mkdir("all/gone", 0700), 0, 0);
    names_are("all/gone", "");
    expect(access("all/gone/a", F_OK), -1, ENOENT);
    expect(mknod("all/white", S_IFCHR | 0600, makedev(0, 0)), -1, EPERM);
    expect(unlink("all/link"), 0, 0);
    expect(symlink("f", "all/link"), 0, 0);
    text_is("all/link", "again");
}

static void renames(void)
{
    ino_t number = ino_of("all/moved");
    expect(rename("all/moved", "all/d/there"), 0, 0);
    expect(access("all/moved", F_OK), -1, ENOENT);
    expect(is_whiteout("up/moved"), 1, 0);
    text_is("all/d/there/m", "lower m");
    expect(ino_of("all/d/there") == number, 1, 0);
    test_write_file("all/d/there/n", "n");
    names_are("all/d/there", "m:8 n:8 ");
    expect(rename("all/d", "all/d2"), 0, 0);
    text_is("all/d2/there/m", "lower m");
    text_is("all/d2/e/deep", "lower deep");
    expect(mkdir("all/d", 0755), 0, 0);
    names_are("all/d", "");
    expect(rename("all/d2/e", "all/d/e"), 0, 0);
    text_is("all/d/e/deep", "lower deep");
    expect(rename("all/d", "all/d2/d"), 0, 0);
    text_is("all/d2/d/e/deep", "lower deep");
    expect(mkdir("all/new", 0755), 0, 0);
    test_write_file("all/new/in", "in");
    expect(rename("all/new", "all/moved"), 0, 0); /* over a whiteout */
    names_are("all/moved", "in:8 ");
    expect(rename("all/f", "all/g"), 0, 0);
    text_is("all/g", "again");
    expect(is_whiteout("up/f"), 1, 0);
    expect(syscall(316, AT_FDCWD, "all/moved", AT_FDCWD, "all/g", 2), 0, 0);
    text_is("all/moved", "again");
    names_are("all/g", "in:8 ");
    expect(rename("all/g", "all/d2/there"), -1, ENOTEMPTY);
    expect(rename("all/d2", "all/d2/d/x"), -1, EINVAL);
}

/* Everything again from the layers alone. */
static void after_remount(const char *options)
{
    ino_t deep = ino_of("all/d2/d/e/deep");
    expect(umount("all"), 0, 0);
    expect(mount("none", "all", "overlay", 0, options), 0, 0);
    names_are("all", "d2:4 g:4 gone:4 link:10 moved:8 ");
    names_are("all/d2", "d:4 there:4 x:8 ");
    text_is("all/d2/d/e/deep", "lower deep");
    expect(ino_of("all/d2/d/e/deep") == deep, 1, 0);
    text_is("all/d2/there/m", "lower m");
    names_are("all/gone", "");
    names_are("low", "d:4 f:8 g:8 gone:4 link:10 moved:4 one:8 two:8 ");
}

static void open_files(void)
{
    char text[16];
    struct stat st;
    test_write_file("all/t", "t");
    int fd = must(open("all/d2/there/m", O_RDWR));
    expect(unlink("all/d2/there/m"), 0, 0);
    must(fstat(fd, &st));
    expect(st.st_nlink, 0, 0);
    expect(pwrite(fd, "L", 1, 0), 1, 0);
    expect(pread(fd, text, 7, 0), 7, 0);
    expect(memcmp(text, "Lower m", 7), 0, 0);
    close(fd);
    fd = must(open("all/d2", O_TMPFILE | O_RDWR, 0600));
    expect(write(fd, "tmp", 3), 3, 0);
    close(fd);
    must(mkdir("all/cwd", 0755));
    must(chdir("all/cwd"));
    must(rename("../cwd", "../cwd2"));
    test_write_file("here", "here");
    must(chdir("../.."));
    text_is("all/cwd2/here", "here");
    DIR *dir = opendir("all/cwd2");
    struct dirent *e;
    int seen = 0;
    while (dir && (e = readdir(dir))) {
        seen++;
        if (e->d_name[0] == 'h')
            expect(unlink("all/cwd2/here"), 0, 0);
    }
    expect(seen, 3, 0);
    closedir(dir);
    expect(rmdir("all/cwd2"), 0, 0);
}

static void read_only_union(void)
{
    must(mkdir("ro", 0755));
    expect(mount("none", "ro", "overlay", 0, "lowerdir=up:low"), 0, 0);
    names_are("ro", "d2:4 g:4 gone:4 link:10 moved:8 t:8 ");
    text_is("ro/d2/d/e/deep", "lower deep");
    expect(mkdir("ro/x", 0755), -1, EROFS);
    expect(open("ro/t", O_WRONLY), -1, EROFS);
    struct statfs st;
    expect(statfs("ro", &st), 0, 0);
    expect(st.f_type, 0x794c7630, 0);
    expect(umount("ro"), 0, 0);
}

int main(void)
{
    char options[512], here[128];
    test_dir();
    must(getcwd(here, sizeof(here)) ? 0 : -1);
    if (mount("none", ".", "tmpfs", 0, "") < 0)
        return test_skip("mounting is not allowed here");
    must(chdir(here));
    make_lower();
    snprintf(options, sizeof(options),
             "lowerdir=%s/low,upperdir=%s/up,workdir=%s/work,redirect_dir=on,index=on", here,
             here, here);
    if (mount("none", "all", "overlay", 0, options) < 0) {
        must(chdir("/"));
        umount(here);
        return test_skip("this system has no overlay");
    }
    copying_up();
    hard_links();
    whiteouts();
    renames();
    after_remount(options);
    open_files();
    expect(umount("all"), 0, 0);
    read_only_union();
    must(chdir("/"));
    expect(umount(here), 0, 0);
    rmdir(here);
    return test_end();
}
