/* SPDX-License-Identifier: BSD-3-Clause */
/* See unpack.h. libarchive reads; what is written, and where, is decided here. */
#include "oci/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cli/progress.h"
#include "oci/remove.h"

#define WHITEOUT     ".wh."
#define OPAQUE       ".wh..wh..opq"
#define READ_AT_ONCE (256u << 10)

int open_inside(int root, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};

    return (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
}

struct err *unpack_begin(struct unpack *u, const char *directory, uint64_t max_bytes)
{
    *u = (struct unpack){
        .bytes_left = max_bytes, .max_bytes = max_bytes, .entries_left = UNPACK_ENTRIES_MAX};
    u->root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return u->root < 0 ? err_sys(errno, "%s", directory) : NULL;
}

/* Deepest first: a folder may be closed to us afterwards. Of several entries the last counts.
 */
static int by_depth(const void *x, const void *y)
{
    const struct unpack_folder *a = x, *b = y;
    int order = strcmp(b->path, a->path);

    return order ? order : (b->sequence > a->sequence) - (b->sequence < a->sequence);
}

static struct err *finish_folder(const struct unpack *u, const struct unpack_folder *f)
{
    struct timespec ts[2] = {f->time, f->time};
    struct err *err = NULL;
    int fd = open_inside(u->root, f->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

    if (fd < 0) /* replaced since, by something that is no folder */
        return NULL;
    if (futimens(fd, ts) || fchmod(fd, f->mode))
        err = err_sys(errno, "%s", f->path);
    close(fd);
    return err;
}

struct err *unpack_end(struct unpack *u, bool complete)
{
    struct err *err = NULL;

    if (u->folder_count)
        qsort(u->folders, u->folder_count, sizeof(*u->folders), by_depth);
    for (size_t i = 0; i < u->folder_count && complete && !err; i++) {
        if (!i || strcmp(u->folders[i - 1].path, u->folders[i].path))
            err = finish_folder(u, &u->folders[i]);
    }
    for (size_t i = 0; i < u->folder_count; i++)
        free(u->folders[i].path);
    free(u->folders);
    close(u->root);
    return err;
}

/* ---- names -------------------------------------------------------------- */

/* "./a//b/" becomes "a/b", "" the directory itself. Names with ".." are refused. */
static struct err *clean_name(const char *name, char *out, size_t size)
{
    size_t used = 0;

    while (*name) {
        size_t n = strcspn(name, "/");
        if (n == 2 && !memcmp(name, "..", 2))
            return err_new("\"..\" in a name");
        if (n && !(n == 1 && *name == '.')) {
            if (n > NAME_MAX || used + n + 2 > size)
                return err_sys(ENAMETOOLONG, "a name");
            if (used)
                out[used++] = '/';
            memcpy(out + used, name, n);
            used += n;
        }
        name += n + (name[n] == '/');
    }
    out[used] = 0;
    return NULL;
}

/* The folder that holds `path`, opened, and the last part of it; missing folders are made. */
static struct err *open_parent(const struct unpack *u, char *path, int *parent, char **base)
{
    char *slash = strrchr(path, '/');

    *base = slash ? slash + 1 : path;
    for (char *p = path; slash && p <= slash; p++) {
        if (*p != '/')
            continue;
        *p = 0;
        int fd = open_inside(u->root, path, O_PATH | O_DIRECTORY);
        if (fd < 0 && errno == ENOENT) {
            char *part;
            struct err *err = open_parent(u, path, &fd, &part);
            if (err)
                return err;
            int failed = mkdirat(fd, part, 0755) ? errno : 0;
            close(fd);
            if (failed && failed != EEXIST)
                return err_sys(failed, "%s", path);
            fd = open_inside(u->root, path, O_PATH | O_DIRECTORY);
        }
        if (fd < 0)
            return err_sys(errno, "%s", path);
        *p = '/';
        close(fd);
    }
    if (slash)
        *slash = 0;
    *parent = open_inside(u->root, slash ? path : "", O_RDONLY | O_DIRECTORY);
    int failed = *parent < 0 ? errno : 0;
    if (slash)
        *slash = '/';
    return failed ? err_sys(failed, "%s", path) : NULL;
}

/* ---- one entry ---------------------------------------------------------- */

static struct err *count_bytes(struct unpack *u, uint64_t bytes)
{
    if (bytes > u->bytes_left)
        return err_hint(
            err_new("unpacks to more than %llu bytes", (unsigned long long)u->max_bytes),
            "if that is right, allow more with --max-size");
    u->bytes_left -= bytes;
    return NULL;
}

static struct err *write_contents(struct unpack *u, struct archive *a, int fd)
{
    const void *block;
    size_t size;
    int64_t at;
    int r;

    while ((r = archive_read_data_block(a, &block, &size, &at)) == ARCHIVE_OK) {
        struct err *err = count_bytes(u, size);
        if (err)
            return err;
        for (size_t done = 0; done < size;) {
            ssize_t n = pwrite(fd, (const char *)block + done, size - done, at + (off_t)done);
            if (n < 0)
                return err_sys(errno, "writing");
            done += (size_t)n;
        }
        progress_add(size);
    }
    return r == ARCHIVE_EOF ? NULL : err_new("%s", archive_error_string(a));
}

static struct err *make_file(struct unpack *u, struct archive *a, struct archive_entry *e,
                             int parent, const char *base)
{
    int fd = openat(parent, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(errno, "making it");
    struct err *err = write_contents(u, a, fd);
    if (!err && archive_entry_size(e) > 0 && (uint64_t)archive_entry_size(e) > u->max_bytes)
        err = count_bytes(u, UINT64_MAX);
    if (!err && ftruncate(fd, archive_entry_size(e)))
        err = err_sys(errno, "setting its size");
    close(fd);
    return err;
}

static struct err *make_link(const struct unpack *u, const char *target, int parent,
                             const char *base)
{
    char path[PATH_MAX], *from_base;
    int from;
    struct err *err = clean_name(target, path, sizeof(path));

    if (err)
        return err_wrap(err, "the link's target");
    err = open_parent(u, path, &from, &from_base);
    if (err)
        return err;
    if (linkat(from, from_base, parent, base, 0))
        err = err_sys(errno, "linking to %s", path);
    close(from);
    return err;
}

static void set_xattrs(struct archive_entry *e, int parent, const char *base)
{
    char path[64 + NAME_MAX];
    const char *name;
    const void *value;
    size_t size;

    snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", parent, base);
    archive_entry_xattr_reset(e);
    while (archive_entry_xattr_next(e, &name, &value, &size) == ARCHIVE_OK) {
        /* What the file system here does not take, the image will not have. */
        if (!geteuid() || !strncmp(name, "user.", 5))
            (void)!lsetxattr(path, name, value, size, 0);
    }
}

/* Mode and time of a folder come last: what is put into it changes the one and needs the other.
 */
static struct err *note_folder(struct unpack *u, const char *path, struct archive_entry *e)
{
    size_t n = u->folder_count;

    if (!(n & (n - 1))) {
        void *more = realloc(u->folders, (n ? 2 * n : 1) * sizeof(*u->folders));
        if (!more)
            return err_sys(ENOMEM, "unpacking");
        u->folders = more;
    }
    u->folders[n] = (struct unpack_folder){
        .path = strdup(path),
        .sequence = n,
        .mode = archive_entry_perm(e) & 07777,
        .time = {.tv_sec = archive_entry_mtime(e), .tv_nsec = archive_entry_mtime_nsec(e)}};
    if (!u->folders[n].path)
        return err_sys(ENOMEM, "unpacking");
    u->folder_count++;
    return NULL;
}

static struct err *set_attributes(struct unpack *u, struct archive_entry *e, const char *path,
                                  int parent, const char *base)
{
    mode_t type = archive_entry_filetype(e);
    struct timespec ts[2] = {
        {.tv_sec = archive_entry_mtime(e), .tv_nsec = archive_entry_mtime_nsec(e)},
        {.tv_sec = archive_entry_mtime(e), .tv_nsec = archive_entry_mtime_nsec(e)}};

    if (!geteuid() && fchownat(parent, base, (uid_t)archive_entry_uid(e),
                               (gid_t)archive_entry_gid(e), AT_SYMLINK_NOFOLLOW))
        return err_sys(errno, "setting its owner");
    set_xattrs(e, parent, base);
    if (type == AE_IFDIR)
        return note_folder(u, path, e);
    /* Not a link: it was made here, and nobody else works in this folder. */
    if (type != AE_IFLNK && fchmodat(parent, base, archive_entry_perm(e) & 07777, 0))
        return err_sys(errno, "setting its mode");
    if (archive_entry_mtime_is_set(e) && utimensat(parent, base, ts, AT_SYMLINK_NOFOLLOW))
        return err_sys(errno, "setting its time");
    return NULL;
}

static struct err *make_entry(struct unpack *u, struct archive *a, struct archive_entry *e,
                              int parent, const char *base, bool *skipped)
{
    struct stat st;
    mode_t type = archive_entry_filetype(e);
    const char *link = archive_entry_hardlink(e);
    bool there = !fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW);

    if (there && type == AE_IFDIR && !link && S_ISDIR(st.st_mode))
        return NULL;
    if (there && remove_at(parent, base))
        return err_sys(errno, "replacing it");
    if (link) {
        *skipped = true; /* its attributes are the other name's */
        return make_link(u, link, parent, base);
    }
    switch (type) {
    case AE_IFREG:
        return make_file(u, a, e, parent, base);
    case AE_IFDIR:
        return mkdirat(parent, base, 0700) ? err_sys(errno, "making it") : NULL;
    case AE_IFLNK:
        return symlinkat(archive_entry_symlink(e), parent, base) ? err_sys(errno, "making it")
                                                                 : NULL;
    case AE_IFIFO:
        return mkfifoat(parent, base, 0600) ? err_sys(errno, "making it") : NULL;
    default:
        u->devices_skipped++; /* the enclave has its own */
        *skipped = true;
        return NULL;
    }
}

static struct err *take_entry(struct unpack *u, struct archive *a, struct archive_entry *e,
                              char *path)
{
    int parent;
    char *base;
    bool skipped = false;

    if (!*path) { /* the root itself: only its attributes */
        return archive_entry_filetype(e) == AE_IFDIR ? set_attributes(u, e, "", u->root, ".")
                                                     : NULL;
    }
    struct err *err = open_parent(u, path, &parent, &base);
    if (err)
        return err;
    err = make_entry(u, a, e, parent, base, &skipped);
    if (!err && !skipped)
        err = set_attributes(u, e, path, parent, base);
    close(parent);
    return err;
}

/* ---- whiteouts ---------------------------------------------------------- */

static bool is_whiteout(const char *path)
{
    const char *slash = strrchr(path, '/');

    return !strncmp(slash ? slash + 1 : path, WHITEOUT, sizeof(WHITEOUT) - 1);
}

/* Removes what the whiteout names; something that is not there is as good. */
static struct err *apply_whiteout(const struct unpack *u, char *path)
{
    char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    bool opaque = !strcmp(base, OPAQUE);
    const char *victim = base + sizeof(WHITEOUT) - 1;
    int failed = 0;

    if (!opaque && (!*victim || !strcmp(victim, ".") || !strcmp(victim, "..")))
        return err_new("not a whiteout");
    if (slash)
        *slash = 0;
    int dir = open_inside(u->root, slash ? path : "", O_RDONLY | O_DIRECTORY);
    if (dir < 0)
        failed = errno;
    else if (opaque ? remove_contents(dir) : remove_at(dir, victim))
        failed = errno;
    if (dir >= 0)
        close(dir);
    if (slash)
        *slash = '/';
    return failed && failed != ENOENT && failed != ENOTDIR ? err_sys(failed, "removing") : NULL;
}

/* ---- archives ----------------------------------------------------------- */

enum pass { PASS_WHITEOUTS, PASS_FILES, PASS_PLAIN };

static struct err *read_entry(struct unpack *u, struct archive *a, struct archive_entry *e,
                              enum pass pass, const char *prefix)
{
    char path[PATH_MAX];
    const char *name = archive_entry_pathname(e);
    struct err *err;

    if (!name)
        return err_new("an entry without a name");
    if (prefix && !strncmp(name, prefix, strlen(prefix)))
        name += strlen(prefix);
    if (pass != PASS_WHITEOUTS && !u->entries_left--)
        return err_new("more than %u entries", UNPACK_ENTRIES_MAX);
    err = clean_name(name, path, sizeof(path));
    if (!err && pass != PASS_PLAIN && is_whiteout(path))
        err = pass == PASS_WHITEOUTS ? apply_whiteout(u, path) : NULL;
    else if (!err && pass != PASS_WHITEOUTS)
        err = take_entry(u, a, e, path);
    return err_wrap(err, "%s", name);
}

static struct err *read_all(struct unpack *u, struct archive *a, enum pass pass,
                            const char *prefix)
{
    struct archive_entry *e;
    int r;

    while ((r = archive_read_next_header(a, &e)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
        struct err *err = read_entry(u, a, e, pass, prefix);
        if (err)
            return err;
        if (prefix)
            archive_read_disk_descend(a);
    }
    return r == ARCHIVE_EOF ? NULL : err_new("%s", archive_error_string(a));
}

static struct err *one_pass(struct unpack *u, int fd, enum pass pass)
{
    struct archive *a = archive_read_new();
    struct err *err;

    if (!a)
        return err_sys(ENOMEM, "unpacking");
    archive_read_support_format_tar(a);
    archive_read_support_format_empty(a);
    archive_read_support_filter_gzip(a);
    archive_read_support_filter_zstd(a);
    if (lseek(fd, 0, SEEK_SET) || archive_read_open_fd(a, fd, READ_AT_ONCE))
        err = err_new("%s", archive_error_string(a) ? archive_error_string(a) : "cannot seek");
    else
        err = read_all(u, a, pass, NULL);
    archive_read_free(a);
    return err;
}

/* Whiteouts concern earlier layers only, wherever they stand in this one: they go first. */
struct err *unpack_file(struct unpack *u, int fd, const char *name, bool layer)
{
    struct err *err = layer ? one_pass(u, fd, PASS_WHITEOUTS) : NULL;

    if (!err)
        err = one_pass(u, fd, layer ? PASS_FILES : PASS_PLAIN);
    return err_wrap(err, "%s", name);
}

struct err *unpack_directory(struct unpack *u, const char *directory)
{
    struct archive *a = archive_read_disk_new();
    struct err *err;

    if (!a)
        return err_sys(ENOMEM, "unpacking");
    archive_read_disk_set_symlink_physical(a);
    archive_read_disk_set_behavior(a, ARCHIVE_READDISK_NO_ACL | ARCHIVE_READDISK_NO_FFLAGS);
    if (archive_read_disk_open(a, directory))
        err = err_new("%s", archive_error_string(a));
    else
        err = read_all(u, a, PASS_PLAIN, directory);
    archive_read_free(a);
    return err_wrap(err, "%s", directory);
}
