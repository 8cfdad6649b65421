/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A seeded sequence of file operations with everything that can be seen of their results: the
 * same seed gives the same log on every file system with Linux's semantics. tests/apps/
 * fs_random.sh compares; run without arguments it checks that the log is the same twice.
 *   fs_random SEED COUNT [LOG]     in the working directory, which should be empty
 * FS_RANDOM_SKIP: what to leave out: "tmpfile" files without names, "shift" fallocate's newer
 * modes.
 * RW: yes  TIMEOUT: 120
 */
#include <dirent.h>
#include <ftw.h>
#include <stdarg.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "tests/guest/test.h"

#define FILES    8
#define BUFFER   20000
#define PAST     1000000000
#define LINES    4096
#define EXCHANGE 2

static uint64_t state, digest;
static long step;
static FILE *out;
static int fds[FILES];
static int as_root;
static char buffer[BUFFER];

static uint32_t draw(uint32_t below)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(state >> 33) % below;
}

static void say(const char *format, ...)
{
    char line[LINES];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    for (int i = 0; i < n && i < LINES - 1; i++)
        digest = (digest ^ (uint8_t)line[i]) * 1099511628211ull;
    if (out)
        fputs(line, out);
}

/* A call's outcome, with its errno by number. */
static long outcome(long result)
{
    return result < 0 ? -errno : result;
}
#define does(call) (errno = 0, outcome((long)(call)))

static uint64_t hash_of(const char *data, size_t size)
{
    uint64_t h = size;
    for (size_t i = 0; i < size; i++)
        h = (h ^ (uint8_t)data[i]) * 1099511628211ull;
    return h;
}

static int skips(const char *what)
{
    const char *list = getenv("FS_RANDOM_SKIP");
    return list && strstr(list, what);
}

/* ---- names ---- */

static const char *const parts[] = {"a", "b", "c", "d", "a", "b", "c", "a"};

static void name_one(char *at, size_t size)
{
    uint32_t kind = draw(60);
    if (kind == 0)
        snprintf(at, size, "%s", draw(2) ? ".." : ".");
    else if (kind == 1)
        snprintf(at, size, "%0*d", draw(2) ? 255 : 256, 7);
    else if (kind == 2)
        snprintf(at, size, "none");
    else
        snprintf(at, size, "%s", parts[draw(8)]);
}

static void name_path(char path[1024])
{
    uint32_t depth = 1 + draw(4) * draw(2);
    size_t used = 0;
    path[0] = 0;
    for (uint32_t i = 0; i < depth && used < 700; i++) {
        if (i)
            path[used++] = '/';
        name_one(path + used, 1024 - used);
        used += strlen(path + used);
    }
    if (draw(25) == 0)
        snprintf(path + used, 1024 - used, "/");
    /* ".." must not lead out of here: a/../.. would. */
    int level = 0;
    for (char *p = path; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL)
        level -= strncmp(p, "..", 2) == 0;
    if (level < 0 && strncmp(path, "..", 2) == 0)
        snprintf(path, 1024, "%s", parts[draw(8)]);
    else if (level < -1)
        snprintf(path, 1024, "%s/..", parts[draw(8)]);
}

static void parent_of(const char *path, char parent[1024])
{
    snprintf(parent, 1024, "%s", path);
    size_t len = strlen(parent);
    while (len > 1 && parent[len - 1] == '/')
        parent[--len] = 0;
    char *slash = strrchr(parent, '/');
    if (slash)
        *slash = 0;
    else
        snprintf(parent, 1024, ".");
}

/* ---- what can be seen ---- */

static void say_stat(const char *what, const struct stat *st, long r)
{
    if (r < 0) {
        say(" %s=%ld", what, r);
        return;
    }
    say(" %s=%o,%u,%u", what, st->st_mode, st->st_uid, st->st_gid);
    if (!S_ISDIR(st->st_mode))
        say(",%lu,%lld", (unsigned long)st->st_nlink, (long long)st->st_size);
    if (S_ISCHR(st->st_mode))
        say(",%lx", (unsigned long)st->st_rdev);
}

/* Puts times into the past, so that a change is seen whatever the clock's grain. */
static void age(const char *path)
{
    struct timespec times[2] = {{PAST, 5}, {PAST, 5}};
    (void)!utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

static void say_age(const char *what, const char *path)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return;
    say(" %s%s", what, st.st_mtim.tv_sec == PAST ? "" : "!");
}

/* ---- operations on names ---- */

static void op_make(const char *path)
{
    uint32_t mode = draw(2) ? 0777 : draw(010000);
    char target[1024];
    switch (draw(6)) {
    case 0:
    case 1:
    case 2:
        say("mkdir %s %o: %ld", path, mode, does(mkdir(path, mode)));
        break;
    case 3:
        name_path(target);
        say("symlink %s %s: %ld", target, path, does(symlink(target, path)));
        break;
    case 4:
        say("mkfifo %s %o: %ld", path, mode, does(mkfifo(path, mode & 0777)));
        break;
    default:
        say("mknod %s %o: %ld", path, mode, does(mknod(path, S_IFREG | (mode & 0777), 0)));
    }
}

static void op_remove(const char *path)
{
    uint32_t kind = draw(3);
    if (kind == 0)
        say("rmdir %s: %ld", path, does(rmdir(path)));
    else
        say("unlink %s: %ld", path, does(unlink(path)));
}

static void op_rename(const char *path)
{
    char to[1024], parent[1024];
    uint32_t flags = draw(3) ? 0 : draw(4);
    name_path(to);
    parent_of(to, parent);
    age(parent);
    say("rename %s %s %u: %ld", path, to, flags,
        does(syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, to, flags)));
    say_age("to", parent);
    say_age("moved", to);
}

static void op_link(const char *path)
{
    char to[1024];
    struct stat st;
    name_path(to);
    int follow = draw(2) ? AT_SYMLINK_FOLLOW : 0;
    say("link %s %s %x: %ld", path, to, follow,
        does(linkat(AT_FDCWD, path, AT_FDCWD, to, follow)));
    long r = does(lstat(to, &st));
    say_stat("new", &st, r);
}

static void op_open(const char *path)
{
    static const int extra[] = {O_CREAT,
                                O_CREAT,
                                O_CREAT | O_EXCL,
                                O_TRUNC,
                                O_APPEND,
                                O_CREAT | O_TRUNC,
                                O_NOFOLLOW,
                                O_DIRECTORY,
                                O_CREAT | O_NOFOLLOW,
                                O_PATH,
                                O_CREAT | O_DIRECTORY,
                                0};
    int flags = (int)draw(3) | extra[draw(12)] | O_NONBLOCK;
    uint32_t mode = draw(2) ? 0666 : draw(01000);
    int at = (int)draw(FILES);
    if (fds[at] >= 0)
        close(fds[at]);
    long r = does(open(path, flags, mode));
    fds[at] = (int)(r < 0 ? -1 : r);
    say("open %s %x %o: %ld", path, flags, mode, r < 0 ? r : 0);
    struct stat st;
    if (r >= 0) {
        r = does(fstat(fds[at], &st));
        say_stat("st", &st, r);
    }
}

static void op_attr(const char *path)
{
    struct timespec times[2] = {{draw(1000), 7}, {PAST - draw(1000), 9}};
    uint32_t mode = draw(010000), uid = draw(3) ? 1000 + draw(2) : UINT32_MAX;
    struct stat st;
    switch (draw(4)) {
    case 0:
        say("chmod %s %o: %ld", path, mode, does(chmod(path, mode)));
        break;
    case 1:
        if (as_root)
            say("lchown %s %u: %ld", path, uid, does(lchown(path, uid, uid)));
        break;
    case 2:
        times[0].tv_nsec = draw(3) ? 7 : UTIME_OMIT;
        long r = does(utimensat(AT_FDCWD, path, times, 0));
        say("utimens %s: %ld", path, r);
        if (r == 0 && stat(path, &st) == 0)
            say(" %lld.%ld", (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
        break;
    default:
        say("truncate %s %u: %ld", path, mode * 3, does(truncate(path, mode * 3)));
    }
}

static void op_xattr(const char *path)
{
    char name[32], value[64];
    snprintf(name, sizeof(name), "%s.%s", draw(8) ? "user" : "nope", parts[draw(8)]);
    size_t size = draw(sizeof(value));
    memset(value, (int)draw(256), sizeof(value));
    switch (draw(4)) {
    case 0:
    case 1:
        say("setxattr %s %s %zu: %ld", path, name, size,
            does(lsetxattr(path, name, value, size, (int)draw(3))));
        break;
    case 2:
        size = draw(2) ? sizeof(value) : draw(20);
        long r = does(lgetxattr(path, name, value, size));
        say("getxattr %s %s %zu: %ld", path, name, size, r);
        if (r > 0 && size)
            say(" %llx", (unsigned long long)hash_of(value, (size_t)r));
        break;
    default:
        say("removexattr %s %s: %ld", path, name, does(lremovexattr(path, name)));
    }
}

static void op_look(const char *path)
{
    char target[512];
    int mode = (int)draw(8);
    switch (draw(4)) {
    case 0:
        say("access %s %d: %ld", path, mode, does(faccessat(AT_FDCWD, path, mode, AT_EACCESS)));
        break;
    case 1:;
        long n = does(readlink(path, target, sizeof(target)));
        say("readlink %s: %ld %.*s", path, n, (int)(n < 0 ? 0 : n), target);
        break;
    default:;
        struct stat st;
        long r = does(stat(path, &st));
        say("stat %s:", path);
        say_stat("st", &st, r);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void op_list(const char *path)
{
    char *names[256];
    int count = 0;
    DIR *dir = opendir(path);
    say("list %s: %d", path, dir ? 0 : -errno);
    struct dirent *e;
    while (dir && count < 256 && (e = readdir(dir))) {
        struct stat st;
        int known = e->d_type != DT_UNKNOWN;
        /* A directory that may not be searched shows names, no more. */
        if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            e->d_name[0] != '.') {
            if (known && IFTODT(st.st_mode) != e->d_type)
                say(" WRONG TYPE %s %d", e->d_name, e->d_type);
            if (st.st_ino != e->d_ino)
                say(" WRONG NUMBER %s", e->d_name);
        }
        names[count++] = strdup(e->d_name);
    }
    if (dir)
        closedir(dir);
    qsort(names, (size_t)count, sizeof(names[0]), by_name);
    for (int i = 0; i < count; i++) {
        say(" %s", names[i]);
        free(names[i]);
    }
}

/* ---- operations on open files ---- */

static void op_write(int fd)
{
    size_t size = draw(4) ? draw(300) : draw(BUFFER);
    off_t at = draw(4) ? draw(3000) : draw(100000);
    memset(buffer, (int)('a' + draw(26)), size);
    if (draw(2))
        say("pwrite %zu %ld: %ld", size, (long)at, does(pwrite(fd, buffer, size, at)));
    else
        say("write %zu: %ld", size, does(write(fd, buffer, size)));
    say(" pos=%ld", does(lseek(fd, 0, SEEK_CUR)));
}

static void op_read(int fd)
{
    size_t size = draw(4) ? draw(300) : BUFFER;
    off_t at = draw(4) ? draw(3000) : draw(100000);
    long n;
    if (draw(2)) {
        n = does(pread(fd, buffer, size, at));
        say("pread %zu %ld: %ld", size, (long)at, n);
    } else {
        n = does(read(fd, buffer, size));
        say("read %zu: %ld", size, n);
    }
    if (n > 0)
        say(" %llx", (unsigned long long)hash_of(buffer, (size_t)n));
}

static void op_size(int fd)
{
    static const int modes[] = {0, 1, 3, 0x10, 0x11, 2, 8, 0x20};
    off_t at = draw(3) ? 4096 * draw(4) : draw(20000), size = draw(3) ? 4096 : draw(9000);
    if (draw(2)) {
        say("ftruncate %ld: %ld", (long)at, does(ftruncate(fd, at)));
    } else {
        int mode = modes[draw(8)];
        struct stat st = {0};
        (void)!fstat(fd, &st);
        if (mode >= 8 && skips("shift"))
            return;
        if (mode >= 8 && mode != 0x10 && mode != 0x11 &&
            (at % 4096 || size % 4096 || at + size >= st.st_size))
            return; /* ext4 refuses, too, but has changed the time by then */
        say("fallocate %x %ld %ld: %ld", mode, (long)at, (long)size,
            does(fallocate(fd, mode, at, size)));
    }
}

static void op_fd_other(int fd)
{
    int other = fds[draw(FILES)];
    off_t from = draw(5000), to = draw(2) ? from + 9000 : draw(5000);
    struct flock lock = {.l_type = (short)draw(3), .l_start = draw(50), .l_len = draw(50)};
    static const int whence[] = {SEEK_SET, SEEK_CUR, SEEK_END, 7};
    struct stat st;
    switch (draw(7)) {
    case 0:
        say("fsync: %ld", does(fsync(fd)));
        break;
    case 1:;
        int how = whence[draw(4)];
        if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
            say("lseek %ld %d: %ld", (long)to - 3000, how, does(lseek(fd, to - 3000, how)));
        break;
    case 2:
        say("copy %ld %ld: %ld", (long)from, (long)to,
            does(copy_file_range(fd, &from, other, &to, draw(9000), 0)));
        break;
    case 3:
        say("fchmod: %ld", does(fchmod(fd, draw(01000))));
        break;
    case 4:
        say("lock %d: %ld", lock.l_type, does(fcntl(fd, F_SETLK, &lock)));
        break;
    case 5:
        say("flags %d: %ld", fcntl(fd, F_GETFL),
            does(fcntl(fd, F_SETFL, draw(2) ? O_APPEND : 0)));
        break;
    default:;
        long r = does(fstat(fd, &st));
        say("fstat:");
        say_stat("st", &st, r);
    }
}

static void op_file(void)
{
    int at = (int)draw(FILES), fd = fds[at];
    struct stat st;
    say("fd%d ", at);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))
        return; /* what a pipe holds is another story */
    switch (draw(5)) {
    case 0:
    case 1:
        op_write(fd);
        break;
    case 2:
        op_read(fd);
        break;
    case 3:
        op_size(fd);
        break;
    default:
        op_fd_other(fd);
    }
}

/* A file that gets its name later. */
static void op_tmpfile(const char *path)
{
    char parent[1024], proc[64];
    parent_of(path, parent);
    if (skips("tmpfile"))
        return;
    int fd = open(parent, O_TMPFILE | O_RDWR, 0640);
    say("tmpfile %s: %d", parent, fd < 0 ? -errno : 0);
    if (fd < 0)
        return;
    (void)!write(fd, "tmp", 3);
    snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
    say(" link %s: %ld", path, does(linkat(AT_FDCWD, proc, AT_FDCWD, path, AT_SYMLINK_FOLLOW)));
    close(fd);
}

static void become(uint32_t uid)
{
    setfsuid(uid);
    setfsgid(uid);
}

static void one_step(void)
{
    char path[1024], parent[1024];
    uint32_t kind = draw(100);
    name_path(path);
    parent_of(path, parent);
    say("%ld ", step);
    if (kind >= 60) {
        op_file();
        say("\n");
        return;
    }
    age(parent);
    if (kind < 8)
        op_make(path);
    else if (kind < 16)
        op_remove(path);
    else if (kind < 23)
        op_rename(path);
    else if (kind < 28)
        op_link(path);
    else if (kind < 42)
        op_open(path);
    else if (kind < 47)
        op_attr(path);
    else if (kind < 50)
        op_xattr(path);
    else if (kind < 55)
        op_look(path);
    else if (kind < 57)
        op_list(path);
    else if (kind < 58)
        op_tmpfile(path);
    else if (as_root)
        become(draw(2) ? 0 : 1000 + draw(2));
    say_age("dir", parent);
    say_age("it", path);
    say("\n");
}

/* ---- the tree at the end ---- */

static void say_contents(const char *path)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    uint64_t h = 0;
    ssize_t n;
    while (fd >= 0 && (n = read(fd, buffer, BUFFER)) > 0)
        h = h * 31 + hash_of(buffer, (size_t)n);
    if (fd >= 0)
        close(fd);
    say(" %llx", (unsigned long long)h);
}

static void walk(const char *path)
{
    struct dirent **list;
    struct stat st;
    long r = does(lstat(path, &st));
    say("%s", path);
    say_stat("", &st, r);
    char text[1024];
    ssize_t n = llistxattr(path, text, sizeof(text));
    int attributes = 0;
    for (ssize_t i = 0; i < n; i += (ssize_t)strlen(text + i) + 1)
        attributes += strncmp(text + i, "user.", 5) == 0;
    say(" x%d", attributes);
    if (r == 0 && S_ISREG(st.st_mode))
        say_contents(path);
    say("\n");
    if (r < 0 || !S_ISDIR(st.st_mode))
        return;
    int count = scandir(path, &list, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char full[2048];
        snprintf(full, sizeof(full), "%s/%s", path, list[i]->d_name);
        if (strcmp(list[i]->d_name, ".") && strcmp(list[i]->d_name, ".."))
            walk(full);
        free(list[i]);
    }
    if (count >= 0)
        free(list);
}

static uint64_t sequence(uint64_t seed, long count)
{
    state = seed * 2654435761u + 1;
    digest = 14695981039346656037ull;
    as_root = geteuid() == 0;
    umask(022);
    for (int i = 0; i < FILES; i++)
        fds[i] = -1;
    int top = must(open(".", O_RDONLY | O_DIRECTORY));
    for (int i = 0; i < 8; i++) { /* links to ".." may lead up a few levels */
        must(mkdir("nest", 0777));
        must(chdir("nest"));
    }
    for (step = 0; step < count; step++)
        one_step();
    become(geteuid());
    for (int i = 0; i < FILES; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    must(fchdir(top)); /* ".." may be closed to who is not root */
    close(top);
    walk(".");
    say("digest %llx\n", (unsigned long long)digest);
    return digest;
}

static uint64_t in_fresh_dir(const char *name)
{
    must(mkdir(name, 0777));
    must(chdir(name));
    uint64_t d = sequence(1, 3000);
    must(chdir(".."));
    return d;
}

int main(int argc, char **argv)
{
    if (argc > 2) {
        out = argc > 3 ? fopen(argv[3], "w") : stdout;
        sequence(strtoull(argv[1], NULL, 10), atol(argv[2]));
        return fclose(out) ? 1 : 0;
    }
    test_dir();
    uint64_t first = in_fresh_dir("one");
    expect(in_fresh_dir("two") == first, 1, 0);
    return test_end();
}
