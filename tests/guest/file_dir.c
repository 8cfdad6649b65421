/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Folders: making, listing, removing, working directory, the *at calls, rename. RW: yes
 */
#include <dirent.h>
#include <limits.h>
#include "tests/guest/test.h"

/* How many entries, and how many of them begin with 'f'. */
static int list(const char *path, int *with_f)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int count = 0;
    *with_f = 0;
    while (dir && (entry = readdir(dir))) {
        count++;
        *with_f += entry->d_name[0] == 'f';
    }
    if (dir)
        closedir(dir);
    return count;
}

static void making(void)
{
    int with_f;
    expect(mkdir("d", 0755), 0, 0);
    expect(mkdir("d", 0755), -1, EEXIST);
    expect(mkdir("none/d", 0755), -1, ENOENT);
    expect(mkdir("d/e/", 0700), 0, 0);
    expect(rmdir("d"), -1, ENOTEMPTY);
    expect(rmdir("d/."), -1, EINVAL);
    expect(rmdir("none"), -1, ENOENT);
    expect(unlink("d") == -1 && (errno == EISDIR || errno == EPERM), 1, 0);
    expect(rmdir("d/e"), 0, 0);
    for (int i = 0; i < 500; i++) {
        char name[64];
        snprintf(name, sizeof(name), "d/file-with-a-rather-long-name-%d", i);
        test_write_file(name, "x");
    }
    expect(list("d", &with_f), 502, 0);
    expect(with_f, 500, 0);
    for (int i = 0; i < 500; i++) {
        char name[64];
        snprintf(name, sizeof(name), "d/file-with-a-rather-long-name-%d", i);
        expect(unlink(name), 0, 0);
    }
    expect(list("d", &with_f), 2, 0);
    expect(rmdir("d"), 0, 0);
    test_write_file("plain", "x");
    expect(rmdir("plain"), -1, ENOTDIR);
    expect(unlink("none"), -1, ENOENT);
}

static void working_directory(void)
{
    char here[PATH_MAX], there[PATH_MAX + 8], now[PATH_MAX], small[2];
    must(getcwd(here, sizeof(here)) ? 0 : -1);
    expect(mkdir("w", 0755), 0, 0);
    expect(chdir("w"), 0, 0);
    snprintf(there, sizeof(there), "%s/w", here);
    expect(getcwd(now, sizeof(now)) && !strcmp(now, there), 1, 0);
    expect(chdir(".."), 0, 0);
    expect(getcwd(now, sizeof(now)) && !strcmp(now, here), 1, 0);
    expect(getcwd(small, sizeof(small)) == NULL && errno == ERANGE, 1, 0);
    expect(chdir("none"), -1, ENOENT);
    expect(chdir("plain"), -1, ENOTDIR);
    int fd = must(open("w", O_RDONLY | O_DIRECTORY));
    expect(fchdir(fd), 0, 0);
    expect(rename("../w", "../w2"), 0, 0);
    snprintf(there, sizeof(there), "%s/w2", here);
    expect(getcwd(now, sizeof(now)) && !strcmp(now, there), 1, 0);
    int sub = openat(fd, "in", O_CREAT | O_WRONLY, 0600);
    expect(sub >= 0, 1, 0);
    close(sub);
    expect(chdir(here), 0, 0);
    expect(access("w2/in", F_OK), 0, 0);
    expect(faccessat(fd, "in", R_OK, 0), 0, 0);
    expect(unlinkat(fd, "in", AT_REMOVEDIR), -1, ENOTDIR);
    expect(unlinkat(fd, "in", 0), 0, 0);
    expect(mkdirat(fd, "sub", 0700), 0, 0);
    expect(unlinkat(fd, "sub", AT_REMOVEDIR), 0, 0);
    expect(openat(999, "in", O_RDONLY), -1, EBADF);
    expect(fchdir(999), -1, EBADF);
    close(fd);
    expect(rmdir("w2"), 0, 0);
}

static void renaming(void)
{
    struct stat st;
    test_write_file("one", "1");
    test_write_file("two", "22");
    expect(mkdir("dir", 0755), 0, 0);
    expect(mkdir("dir2", 0755), 0, 0);
    expect(rename("one", "two"), 0, 0);
    expect(access("one", F_OK), -1, ENOENT);
    expect(stat("two", &st), 0, 0);
    expect(st.st_size, 1, 0);
    expect(rename("none", "x"), -1, ENOENT);
    expect(rename("two", "dir"), -1, EISDIR);
    expect(rename("dir", "two"), -1, ENOTDIR);
    expect(rename("dir", "dir/sub"), -1, EINVAL);
    expect(rename("two", "dir/two"), 0, 0);
    expect(rename("dir2", "dir"), -1, ENOTEMPTY);
    expect(rename("dir", "dir2"), 0, 0);
    expect(access("dir2/two", F_OK), 0, 0);
    expect(rename("dir2/two", "dir2/two"), 0, 0);
    expect(renameat2(AT_FDCWD, "dir2/two", AT_FDCWD, "dir2", RENAME_NOREPLACE), -1, EEXIST);
    /* An open file outlives its name. */
    int fd = must(open("dir2/two", O_RDWR));
    char c;
    expect(unlink("dir2/two"), 0, 0);
    expect(pread(fd, &c, 1, 0), 1, 0);
    expect(c, '1', 0);
    expect(fstat(fd, &st), 0, 0);
    expect(st.st_nlink, 0, 0);
    expect(close(fd), 0, 0);
    expect(rmdir("dir2"), 0, 0);
}

int main(void)
{
    test_dir();
    making();
    working_directory();
    renaming();
    return test_end();
}
