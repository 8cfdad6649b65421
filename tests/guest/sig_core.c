/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Core files: who gets one, the bit in the wait status, how long it is and what is in it. Where
 * the machine hands cores to a program of its own, or names them otherwise, the files are not
 * looked for.
 */
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <stdlib.h>
#include <string.h>
#include "tests/guest/test.h"

static char written[64] = "before";
static int by_name; /* core_pattern is "core" */

static void *waits(void *arg)
{
    for (;;)
        pause();
    return arg;
}

struct how {
    rlim_t limit;
    int dumpable, signal, threads;
};

/* The child's wait status; what waitid says agrees. */
static int end_by(struct how h)
{
    siginfo_t info = {0};
    int status = 0;
    unlink("core");
    pid_t pid = fork();
    if (!pid) {
        struct rlimit limit = {h.limit, h.limit};
        memcpy(written, "changed in the child", sizeof("changed in the child"));
        must(setrlimit(RLIMIT_CORE, &limit));
        must(prctl(PR_SET_DUMPABLE, h.dumpable));
        for (int i = 0; i < h.threads; i++) {
            pthread_t t;
            must(pthread_create(&t, NULL, waits, NULL));
        }
        must(raise(h.signal));
        _exit(0);
    }
    must(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    expect(waitpid(pid, &status, 0), pid, 0);
    expect(WIFSIGNALED(status) && WTERMSIG(status) == h.signal, 1, 0);
    expect(info.si_status, h.signal, 0);
    expect(info.si_code, WCOREDUMP(status) ? CLD_DUMPED : CLD_KILLED, 0);
    return status;
}

static long size_of_core(void)
{
    struct stat st;
    return stat("core", &st) ? -1 : (long)st.st_size;
}

static void without(void)
{
    expect(WCOREDUMP(end_by((struct how){0, 1, SIGABRT, 0})), 0, 0);
    expect(WCOREDUMP(end_by((struct how){RLIM_INFINITY, 0, SIGABRT, 0})), 0, 0);
    expect(WCOREDUMP(end_by((struct how){RLIM_INFINITY, 1, SIGTERM, 0})), 0, 0);
    expect(WCOREDUMP(end_by((struct how){RLIM_INFINITY, 1, SIGKILL, 0})), 0, 0);
    expect(size_of_core() == -1, 1, 0);
}

/* What lies at `address` in the core file, up to a NUL. */
static void text_at(int fd, const Elf64_Ehdr *e, uint64_t address, char *out, size_t room)
{
    for (int i = 0; i < e->e_phnum; i++) {
        Elf64_Phdr p;
        expect(pread(fd, &p, sizeof(p), (off_t)(e->e_phoff + (uint64_t)i * sizeof(p))),
               sizeof(p), 0);
        if (p.p_type != PT_LOAD || address - p.p_vaddr >= p.p_filesz)
            continue;
        expect(pread(fd, out, room, (off_t)(p.p_offset + address - p.p_vaddr)), (long)room, 0);
        return;
    }
    out[0] = 0;
}

static int notes_of_type(int fd, const Elf64_Ehdr *e, uint32_t type, void *last, size_t room)
{
    int found = 0;
    Elf64_Phdr p;
    expect(pread(fd, &p, sizeof(p), (off_t)e->e_phoff), sizeof(p), 0);
    expect(p.p_type, PT_NOTE, 0);
    for (uint64_t at = 0; at < p.p_filesz;) {
        Elf64_Nhdr n;
        expect(pread(fd, &n, sizeof(n), (off_t)(p.p_offset + at)), sizeof(n), 0);
        at += sizeof(n) + (n.n_namesz + 3u) / 4 * 4;
        if (n.n_type == type) {
            found++;
            if (last && n.n_descsz >= room)
                expect(pread(fd, last, room, (off_t)(p.p_offset + at)), (long)room, 0);
        }
        at += (n.n_descsz + 3u) / 4 * 4;
    }
    return found;
}

static void contents(void)
{
    Elf64_Ehdr e;
    struct elf_prstatus status = {0};
    struct elf_prpsinfo info = {0};
    char text[64] = "";
    if (!WCOREDUMP(end_by((struct how){RLIM_INFINITY, 1, SIGSEGV, 3})) || !by_name)
        return;
    int fd = must(open("core", O_RDONLY));
    struct stat st;
    must(fstat(fd, &st));
    expect(st.st_mode & 07777, 0600, 0);
    expect(pread(fd, &e, sizeof(e), 0), sizeof(e), 0);
    expect(memcmp(e.e_ident, ELFMAG, SELFMAG), 0, 0);
    expect(e.e_type, ET_CORE, 0);
    expect(e.e_machine, EM_X86_64, 0);
    expect(notes_of_type(fd, &e, NT_PRSTATUS, &status, sizeof(status)), 4, 0);
    expect(notes_of_type(fd, &e, NT_FPREGSET, NULL, 0), 4, 0);
    expect(notes_of_type(fd, &e, NT_PRPSINFO, &info, sizeof(info)), 1, 0);
    expect(notes_of_type(fd, &e, NT_AUXV, NULL, 0), 1, 0);
    expect(notes_of_type(fd, &e, NT_SIGINFO, NULL, 0), 1, 0);
    expect(notes_of_type(fd, &e, NT_FILE, NULL, 0), 1, 0);
    expect(status.pr_info.si_signo, SIGSEGV, 0);
    expect(info.pr_ppid, getpid(), 0);
    text_at(fd, &e, (uint64_t)written, text, sizeof(text));
    expect(strcmp(text, "changed in the child"), 0, 0);
    must(close(fd));
}

static void cut(void)
{
    int status = end_by((struct how){16384, 1, SIGQUIT, 0});
    if (WCOREDUMP(status) && by_name)
        expect(size_of_core() > 0 && size_of_core() <= 16384, 1, 0);
    expect(WCOREDUMP(end_by((struct how){100, 1, SIGQUIT, 0})), 0, 0);
}

/* What a link of that name leads to is left alone. */
static void names(void)
{
    if (!by_name)
        return;
    must(symlink("other", "core"));
    pid_t pid = fork();
    if (!pid) {
        struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
        must(setrlimit(RLIMIT_CORE, &limit));
        abort();
    }
    int status = 0;
    expect(waitpid(pid, &status, 0), pid, 0);
    expect(WIFSIGNALED(status) && WCOREDUMP(status), 1, 0);
    expect(access("other", F_OK), -1, ENOENT);
    expect(size_of_core() > 0, 1, 0);
}

int main(void)
{
    char dir[] = "/tmp/sig_core.XXXXXX", pattern[128] = "";
    int fd = must(open("/proc/sys/kernel/core_pattern", O_RDONLY));
    expect(read(fd, pattern, sizeof(pattern) - 1) > 0, 1, 0);
    must(close(fd));
    fd = open("/proc/sys/kernel/core_uses_pid", O_RDONLY);
    char with_pid[2] = "0";
    if (fd >= 0 && read(fd, with_pid, 1) < 0)
        with_pid[0] = '0';
    by_name = !strcmp(pattern, "core\n") && with_pid[0] == '0';
    must(mkdtemp(dir) ? 0 : -1);
    must(chdir(dir));
    without();
    contents();
    cut();
    names();
    unlink("core");
    must(chdir("/"));
    must(rmdir(dir));
    return test_end();
}
