/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Capabilities: dropping them acts, they follow user ids and exec as capabilities(7) says, the
 * bounding, inheritable and ambient sets; many groups. Each part is a process of its own.
 */
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "tests/guest/test.h"

#define BIT(c) (1ull << (c))

struct sets {
    uint64_t effective, permitted, inheritable;
};

static struct sets get(void)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2];
    must(syscall(SYS_capget, &h, d));
    return (struct sets){d[0].effective | (uint64_t)d[1].effective << 32,
                         d[0].permitted | (uint64_t)d[1].permitted << 32,
                         d[0].inheritable | (uint64_t)d[1].inheritable << 32};
}

static int set(struct sets s)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2] = {
        {(uint32_t)s.effective, (uint32_t)s.permitted, (uint32_t)s.inheritable},
        {(uint32_t)(s.effective >> 32), (uint32_t)(s.permitted >> 32),
         (uint32_t)(s.inheritable >> 32)}};
    return (int)syscall(SYS_capset, &h, d);
}

static int drop(int cap)
{
    struct sets s = get();
    s.effective &= ~BIT(cap);
    return set(s);
}

static int raise_again(int cap)
{
    struct sets s = get();
    s.effective |= BIT(cap);
    return set(s);
}

static void header(void)
{
    struct __user_cap_header_struct h = {0, 0};
    struct __user_cap_data_struct d[2];
    expect(syscall(SYS_capget, &h, NULL), 0, 0);
    expect(h.version, _LINUX_CAPABILITY_VERSION_3, 0);
    h.version = 1;
    expect(syscall(SYS_capget, &h, d), -1, EINVAL);
    h.version = _LINUX_CAPABILITY_VERSION_3;
    h.pid = -1;
    expect(syscall(SYS_capget, &h, d), -1, EINVAL);
    h.pid = 4000000;
    expect(syscall(SYS_capget, &h, d), -1, ESRCH);
    h.pid = getppid();
    expect(syscall(SYS_capset, &h, d), -1, EPERM);
}

static void acting(void)
{
    int fd = must(open("secret", O_CREAT | O_RDWR, 0600));
    expect(fchown(fd, 1234, 1234), 0, 0);
    expect(fchmod(fd, 0), 0, 0);
    expect(drop(CAP_CHOWN), 0, 0);
    expect(fchown(fd, 0, 0), -1, EPERM);
    expect(raise_again(CAP_CHOWN), 0, 0);
    expect(fchown(fd, 1234, 1234), 0, 0);
    expect(drop(CAP_FOWNER), 0, 0);
    expect(fchmod(fd, 0), -1, EPERM);
    expect(drop(CAP_DAC_OVERRIDE), 0, 0);
    expect(open("secret", O_RDWR), -1, EACCES);
    int ro = must(open("secret", O_RDONLY)); /* CAP_DAC_READ_SEARCH */
    close(ro);
    expect(drop(CAP_DAC_READ_SEARCH), 0, 0);
    expect(open("secret", O_RDONLY), -1, EACCES);
    expect(drop(CAP_SETUID), 0, 0);
    expect(setuid(5), -1, EPERM);
    expect(setresuid(0, 5, 0), -1, EPERM);
    expect(drop(CAP_SETGID), 0, 0);
    expect(setgid(5), -1, EPERM);
    gid_t g = 5;
    expect(setgroups(1, &g), -1, EPERM);
    expect(drop(CAP_SYS_CHROOT), 0, 0);
    expect(chroot("."), -1, EPERM);
    expect(drop(CAP_MKNOD), 0, 0);
    expect(mknod("null", S_IFCHR | 0600, 0x103), -1, EPERM);
    expect(mknod("fifo", S_IFIFO | 0600, 0), 0, 0);
    expect(drop(CAP_SYS_ADMIN), 0, 0);
    expect(sethostname("x", 1), -1, EPERM);
    struct rlimit r = {100, 100}, more = {100, 101};
    expect(setrlimit(RLIMIT_CORE, &r), 0, 0);
    expect(drop(CAP_SYS_RESOURCE), 0, 0);
    expect(setrlimit(RLIMIT_CORE, &more), -1, EPERM);
    close(fd);
}

static void killing(void)
{
    pid_t pid = must(fork());
    if (!pid) {
        must(setresuid(77, 77, 77));
        for (;;)
            pause();
    }
    while (kill(pid, 0) == 0 && getpgid(pid) < 0)
        continue;
    char path[64], text[2048];
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    do { /* until it has changed its ids */
        FILE *f = fopen(path, "r");
        size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
        text[n] = 0;
        if (f)
            fclose(f);
    } while (!strstr(text, "Uid:\t77"));
    expect(drop(CAP_KILL), 0, 0);
    expect(kill(pid, 0), -1, EPERM);
    expect(raise_again(CAP_KILL), 0, 0);
    expect(kill(pid, SIGKILL), 0, 0);
    expect(waitpid(pid, NULL, 0), pid, 0);
}

static void rules(void)
{
    struct sets s = get(), t = s;
    expect(s.effective == s.permitted && (s.permitted & BIT(CAP_KILL)), 1, 0);
    t.permitted &= ~BIT(CAP_KILL);
    expect(set(t), -1, EPERM); /* effective has more */
    t.effective &= ~BIT(CAP_KILL);
    expect(set(t), 0, 0);
    expect(set(s), -1, EPERM);
    t.inheritable |= BIT(CAP_SETUID);
    expect(set(t), 0, 0);
    expect(get().inheritable & BIT(CAP_SETUID), BIT(CAP_SETUID), 0);
    expect(prctl(PR_CAPBSET_READ, CAP_MKNOD, 0, 0, 0), 1, 0);
    expect(prctl(PR_CAPBSET_DROP, CAP_MKNOD, 0, 0, 0), 0, 0);
    expect(prctl(PR_CAPBSET_READ, CAP_MKNOD, 0, 0, 0), 0, 0);
    expect(prctl(PR_CAPBSET_READ, 99, 0, 0, 0), -1, EINVAL);
    t = get();
    t.inheritable |= BIT(CAP_MKNOD);
    expect(set(t), -1, EPERM); /* not in the bounding set */
    expect(drop(CAP_SETPCAP), 0, 0);
    expect(prctl(PR_CAPBSET_DROP, CAP_CHOWN, 0, 0, 0), -1, EPERM);
}

static void following(void)
{
    expect(seteuid(5), 0, 0);
    struct sets s = get();
    expect(s.effective == 0 && s.permitted != 0, 1, 0);
    expect(seteuid(0), 0, 0);
    expect(get().effective != 0, 1, 0);
    expect(setfsuid(5), 0, 0);
    expect(get().effective & (BIT(CAP_CHOWN) | BIT(CAP_KILL)), BIT(CAP_KILL), 0);
    expect(setfsuid(0), 5, 0);
    expect(get().effective & BIT(CAP_CHOWN), BIT(CAP_CHOWN), 0);
    expect(prctl(PR_SET_KEEPCAPS, 2, 0, 0, 0), -1, EINVAL);
    expect(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), 0, 0);
    expect(prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0), 1, 0);
    expect(setresuid(5, 5, 5), 0, 0);
    s = get();
    expect(s.effective == 0 && s.permitted != 0, 1, 0);
    expect(setuid(6), -1, EPERM);
    expect(raise_again(CAP_SETUID), 0, 0);
    expect(setresuid(6, 6, 6), 0, 0);
    expect(prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0), 0, 0);
    expect(setresuid(0, 0, 0), 0, 0);
    expect(setresuid(7, 7, 7), 0, 0);
    s = get();
    expect(s.effective | s.permitted, 0, 0);
    expect(setuid(0), -1, EPERM);
}

static void secure_bits(void)
{
    expect(prctl(PR_GET_SECUREBITS, 0, 0, 0, 0), 0, 0);
    expect(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0), 0, 0);
    expect(setresuid(9, 9, 9), 0, 0);
    expect(get().effective != 0, 1, 0);
    expect(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED, 0,
                 0, 0),
           0, 0);
    expect(prctl(PR_SET_SECUREBITS, 0, 0, 0, 0), -1, EPERM);
    expect(prctl(PR_SET_SECUREBITS, 0x1000, 0, 0, 0), -1, EPERM);
}

/* Runs this program as "child WHAT". */
static void run_child(const char *what)
{
    execl("/proc/self/exe", "child", what, NULL);
    _exit(9);
}

static void exec_as_root(void)
{
    expect(prctl(PR_CAPBSET_DROP, CAP_MKNOD, 0, 0, 0), 0, 0);
    struct sets none = {0, 0, 0};
    expect(set(none), 0, 0);
    run_child("root");
}

static void exec_as_user(void)
{
    expect(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), 0, 0);
    expect(setresuid(5, 5, 5), 0, 0);
    struct sets s = get();
    s.effective = s.permitted;
    s.inheritable = BIT(CAP_KILL) | BIT(CAP_CHOWN);
    expect(set(s), 0, 0);
    expect(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SETUID, 0, 0), -1, EPERM);
    expect(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0), 0, 0);
    expect(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0), 0, 0);
    expect(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0), 1, 0);
    expect(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_CHOWN, 0, 0), 0, 0);
    expect(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0), 0, 0);
    expect(prctl(PR_CAP_AMBIENT, 9, CAP_CHOWN, 0, 0), -1, EINVAL);
    if (test_failures)
        _exit(8);
    run_child("user");
}

static int child(const char *what)
{
    struct sets s = get();
    if (!strcmp(what, "root")) {
        expect((s.effective & BIT(CAP_KILL)) && s.effective == s.permitted, 1, 0);
        expect(s.effective & BIT(CAP_MKNOD), 0, 0);
    } else {
        expect(s.effective, BIT(CAP_KILL), 0);
        expect(s.permitted, BIT(CAP_KILL), 0);
        expect(s.inheritable, BIT(CAP_KILL) | BIT(CAP_CHOWN), 0);
        expect(prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0), 0, 0);
        expect(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), 0, 0);
        expect(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0), 0, 0);
    }
    return test_failures != 0;
}

static void groups(void)
{
    static gid_t many[5000], back[5000];
    for (int i = 0; i < 5000; i++)
        many[i] = (gid_t)(1000 + i);
    expect(setgroups(5000, many), 0, 0);
    expect(getgroups(0, NULL), 5000, 0);
    expect(getgroups(4999, back), -1, EINVAL);
    expect(getgroups(5000, back), 5000, 0);
    expect(memcmp(many, back, sizeof(many)), 0, 0);
    expect(setgroups(65537, many), -1, EINVAL);
    int fd = must(open("group", O_CREAT | O_RDWR, 0640));
    expect(fchown(fd, 0, 5999), 0, 0);
    close(fd);
    expect(chmod(".", 0755), 0, 0);
    expect(setresuid(5, 5, 5), 0, 0);
    fd = must(open("group", O_RDONLY));
    close(fd);
    expect(open("group", O_RDWR), -1, EACCES);
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return child(argv[1]);
    struct sets s = get();
    uint64_t needed = BIT(CAP_CHOWN) | BIT(CAP_SETUID) | BIT(CAP_SETPCAP) | BIT(CAP_MKNOD) |
                      BIT(CAP_SYS_ADMIN) | BIT(CAP_SYS_RESOURCE) | BIT(CAP_SYS_CHROOT);
    if (getuid() || (s.effective & needed) != needed)
        return test_skip("needs root with its capabilities");
    test_dir();
    test_process(header, "header");
    test_process(acting, "acting");
    test_process(killing, "killing");
    test_process(rules, "rules");
    test_process(following, "following");
    test_process(secure_bits, "secure_bits");
    test_process(exec_as_root, "exec_as_root");
    test_process(exec_as_user, "exec_as_user");
    test_process(groups, "groups");
    return test_end();
}
