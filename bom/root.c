/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes to the root folder, see root.h. Not here: a kernel older than Linux 5.6 (openat2).
 */
#include "bom/root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_in_root(int root_fd, const char *path)
{
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_IN_ROOT};
    long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
    return fd < 0 ? -errno : (int)fd;
}

int root_open_dir(int root_fd, const char *path, bool create)
{
    char parent[PATH_MAX];
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    if (length >= sizeof(parent))
        return -ENAMETOOLONG;
    int fd = open_in_root(root_fd, path);
    if (fd != -ENOENT || !create || length <= 1)
        return fd;
    size_t end = length;
    while (end && path[end - 1] != '/')
        end--;
    memcpy(parent, path, end);
    parent[end] = 0;
    int parent_fd = root_open_dir(root_fd, end ? parent : "/", true);
    if (parent_fd < 0)
        return parent_fd;
    char name[NAME_MAX + 1];
    snprintf(name, sizeof(name), "%.*s", (int)(length - end), path + end);
    int error = mkdirat(parent_fd, name, 0755) && errno != EEXIST ? -errno : 0;
    close(parent_fd);
    return error ? error : open_in_root(root_fd, path);
}

static int copy_bytes(int from, int to, off_t size)
{
    static char buffer[1 << 20];
    off_t left = size;
    while (left > 0) {
        ssize_t done = copy_file_range(from, NULL, to, NULL, (size_t)left, 0);
        if (done <= 0)
            break;
        left -= done;
    }
    /* Between file systems, or where the call is not offered, by hand. */
    while (left > 0) {
        ssize_t got = read(from, buffer, sizeof(buffer));
        if (got <= 0)
            return got ? -errno : -EIO;
        for (ssize_t done = 0; done < got;) {
            ssize_t n = write(to, buffer + done, (size_t)(got - done));
            if (n < 0)
                return -errno;
            done += n;
        }
        left -= got;
    }
    return 0;
}

static bool unchanged(const struct stat *src, const struct stat *dest)
{
    return S_ISREG(dest->st_mode) && src->st_size == dest->st_size &&
           src->st_mode == dest->st_mode && src->st_mtim.tv_sec == dest->st_mtim.tv_sec &&
           src->st_mtim.tv_nsec == dest->st_mtim.tv_nsec;
}

static int set_attributes(int fd, const struct stat *st)
{
    struct timespec times[2] = {st->st_atim, st->st_mtim};
    if (geteuid() == 0 && fchown(fd, st->st_uid, st->st_gid))
        return -errno;
    if (fchmod(fd, st->st_mode & 07777) || futimens(fd, times))
        return -errno;
    return 0;
}

static int write_file(int from, const struct stat *st, int dir_fd, const char *name)
{
    char fresh[NAME_MAX + 1];
    snprintf(fresh, sizeof(fresh), ".%.200s.copy_bom", name);
    unlinkat(dir_fd, fresh, 0);
    int to = openat(dir_fd, fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to < 0)
        return -errno;
    int error = copy_bytes(from, to, st->st_size);
    if (!error)
        error = set_attributes(to, st);
    if (close(to) && !error)
        error = -errno;
    if (!error && renameat(dir_fd, fresh, dir_fd, name))
        error = -errno;
    if (error)
        unlinkat(dir_fd, fresh, 0);
    return error;
}

int root_copy_file(const char *src, int dir_fd, const char *name, struct copy_counts *counts)
{
    struct stat st, old;
    int from = open(src, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (from < 0)
        return -errno;
    int error = 0;
    if (fstat(from, &st))
        error = -errno;
    else if (!S_ISREG(st.st_mode))
        error = -EINVAL;
    else if (!fstatat(dir_fd, name, &old, AT_SYMLINK_NOFOLLOW) && unchanged(&st, &old))
        counts->unchanged++;
    else
        error = write_file(from, &st, dir_fd, name);
    close(from);
    if (!error) {
        counts->files++;
        counts->bytes += (uint64_t)st.st_size;
    }
    return error;
}

int root_link(const char *text, int dir_fd, const char *name, struct copy_counts *counts)
{
    if (symlinkat(text, dir_fd, name)) {
        if (errno != EEXIST)
            return -errno;
        if (unlinkat(dir_fd, name, 0) && unlinkat(dir_fd, name, AT_REMOVEDIR))
            return -errno;
        if (symlinkat(text, dir_fd, name))
            return -errno;
    }
    counts->links++;
    return 0;
}

bool root_has(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    bool found = false;
    while (dir && !found && (entry = readdir(dir))) {
        struct stat st;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
            fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
            continue;
        if (S_ISDIR(st.st_mode)) {
            int sub = openat(fd, entry->d_name,
                             O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            found = sub >= 0 && root_has(sub, name);
            if (sub >= 0)
                close(sub);
        } else {
            found = !strcmp(entry->d_name, name);
        }
    }
    if (dir)
        closedir(dir);
    return found;
}
