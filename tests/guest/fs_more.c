/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What file systems do beyond the usual: locks in a circle, ranges taken out of a file and put
 * into it, whiteouts, names in use. RW: yes
 */
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "tests/guest/test.h"

static int lock(int fd, short type, off_t at, int command)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    return fcntl(fd, command, &l);
}

/* Two processes, each waiting for the byte that the other one has: one of them is told. */
static void deadlock(void)
{
    int fd = must(open("locks", O_CREAT | O_RDWR, 0600)), ready[2];
    char c;
    must(pipe(ready));
    expect(lock(fd, F_WRLCK, 0, F_SETLK), 0, 0);
    pid_t child = must(fork());
    if (child == 0) {
        must(lock(fd, F_WRLCK, 1, F_SETLK));
        must(write(ready[1], "x", 1));
        int r = lock(fd, F_WRLCK, 0, F_SETLKW);
        _exit(r == 0 ? 0 : errno == EDEADLK ? 1 : 2);
    }
    must(read(ready[0], &c, 1));
    /* The child may wait already, or will find us waiting: exactly one hears of it. */
    int mine = lock(fd, F_WRLCK, 1, F_SETLKW);
    int told = mine < 0 && errno == EDEADLK, status;
    expect(mine == 0 || told, 1, 0);
    expect(lock(fd, F_UNLCK, 0, F_SETLK), 0, 0);
    expect(waitpid(child, &status, 0), child, 0);
    expect(WEXITSTATUS(status), told ? 0 : 1, 0);
    close(fd);
}

static void whiteout(void)
{
    struct stat st;
    test_write_file("w", "w");
    if (syscall(SYS_renameat2, AT_FDCWD, "w", AT_FDCWD, "w2", 4) < 0) {
        int error = errno; /* a union, or somebody else */
        expect(error == EINVAL || error == EPERM, 1, 0);
        return;
    }
    expect(lstat("w", &st), 0, 0);
    expect(S_ISCHR(st.st_mode) && st.st_rdev == 0, 1, 0);
    expect(lstat("w2", &st), 0, 0);
    expect(st.st_size, 1, 0);
    expect(syscall(SYS_renameat2, AT_FDCWD, "w", AT_FDCWD, "w2", 4 | 2), -1, EINVAL);
}

static char page_at(int fd, off_t at)
{
    char c = 0;
    must(pread(fd, &c, 1, at));
    return c;
}

static void ranges(void)
{
    char page[4096];
    struct stat st;
    int fd = must(open("ranges", O_CREAT | O_RDWR, 0600));
    for (int i = 0; i < 4; i++) {
        memset(page, 'a' + i, sizeof(page));
        must(write(fd, page, sizeof(page)));
    }
    if (fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 4096, 4096) < 0) {
        int error = errno;
        expect(error, EOPNOTSUPP, 0);
        close(fd);
        return;
    }
    must(fstat(fd, &st));
    expect(st.st_size, 3 * 4096, 0);
    expect(page_at(fd, 4096), 'c', 0);
    expect(page_at(fd, 8192), 'd', 0);
    expect(fallocate(fd, FALLOC_FL_INSERT_RANGE, 4096, 8192), 0, 0);
    must(fstat(fd, &st));
    expect(st.st_size, 5 * 4096, 0);
    expect(page_at(fd, 0), 'a', 0);
    expect(page_at(fd, 4096), 0, 0);
    expect(page_at(fd, 8192), 0, 0);
    expect(page_at(fd, 12288), 'c', 0);
    expect(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 12288, 8192), -1, EINVAL);
    expect(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 1, 4096), -1, EINVAL);
    expect(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0x7ffff000, 4096), -1, EINVAL);
    close(fd);
}

static void exchanged_directories(void)
{
    char now[4096];
    must(mkdir("x", 0755));
    must(mkdir("x/inner", 0755));
    must(mkdir("y", 0755));
    must(chdir("x/inner"));
    expect(syscall(SYS_renameat2, AT_FDCWD, "../../x", AT_FDCWD, "../../y", 2), 0, 0);
    must(getcwd(now, sizeof(now)) ? 0 : -1);
    expect(strstr(now, "/y/inner") != NULL, 1, 0);
    expect(access("../../x", F_OK), 0, 0);
    must(chdir("../.."));
    expect(access("y/inner", F_OK), 0, 0);
    expect(access("x/inner", F_OK), -1, ENOENT);
}

static void flagged_transfers(void)
{
    char text[8];
    int fd = must(open("flags", O_CREAT | O_RDWR | O_TRUNC, 0600)), ends[2];
    struct iovec out = {"abc", 3}, in = {text, sizeof(text)};
    expect(pwritev2(fd, &out, 1, 0, 0), 3, 0);
    expect(pwritev2(fd, &out, 1, 0, RWF_APPEND), 3, 0);
    expect(pread(fd, text, 8, 0), 6, 0);
    expect(memcmp(text, "abcabc", 6), 0, 0);
    expect(lseek(fd, 1, SEEK_SET), 1, 0);
    expect(pwritev2(fd, &out, 1, -1, RWF_APPEND), 3, 0);
    expect(lseek(fd, 0, SEEK_CUR), 9, 0);
    expect(pwritev2(fd, &out, 1, 0, RWF_DSYNC), 3, 0);
    expect(preadv2(fd, &in, 1, 0, 0x4000), -1, EOPNOTSUPP);
    must(pipe(ends));
    expect(preadv2(ends[0], &in, 1, -1, RWF_NOWAIT), -1, EAGAIN);
    expect(preadv2(ends[0], &in, 1, 0, 0), -1, ESPIPE);
    must(write(ends[1], "p", 1));
    expect(preadv2(ends[0], &in, 1, -1, RWF_NOWAIT), 1, 0);
    close(fd);
}

static int give_name(int fd, const char *name)
{
    char proc[64];
    snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, proc, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

static void without_names(void)
{
    struct stat st;
    int fd = must(open("unlinked", O_CREAT | O_RDWR, 0600));
    must(unlink("unlinked"));
    expect(give_name(fd, "again"), -1, ENOENT);
    close(fd);
    fd = open(".", O_TMPFILE | O_RDWR, 0600);
    if (fd < 0)
        return; /* hostfs has none */
    must(fstat(fd, &st));
    expect(st.st_nlink, 0, 0);
    expect(give_name(fd, "named"), 0, 0);
    expect(give_name(fd, "named2"), 0, 0);
    must(stat("named", &st));
    expect(st.st_nlink, 2, 0);
    close(fd);
    fd = must(open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600));
    expect(give_name(fd, "never"), -1, ENOENT);
    close(fd);
}

int main(void)
{
    test_dir();
    deadlock();
    whiteout();
    ranges();
    exchanged_directories();
    flagged_transfers();
    without_names();
    return test_end();
}
