/* SPDX-License-Identifier: BSD-3-Clause */
/* The /bin/init of boot_stages.sh; MODE in the environment says what it does. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

struct root_config {
    size_t len;
    const char *upper, *lower, *entry_point, *hostfs_source, *hostfs_target;
    char **envp;
};

static int die(const char *what)
{
    fprintf(stderr, "init: %s: %s\n", what, strerror(errno));
    return 1;
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    if (f) {
        fputs(text, f);
        fclose(f);
    }
}

static int call(void)
{
    char *env[] = {"SECRET=trusted", NULL};
    struct root_config c = {sizeof(c), NULL, NULL, "/bin", ".", "/mnt", env};
    struct root_config wrong = {sizeof(c), "/upper", NULL, NULL, NULL, NULL, NULL};

    if (syscall(363, NULL, &wrong) != -1 || errno != EINVAL)
        return die("a wrong configuration");
    if (syscall(363, NULL, 16l) != -1 || errno != EFAULT)
        return die("a wrong address");
    if (syscall(363, NULL, &c))
        return die("mount_root_fs");
    if (syscall(363, NULL, NULL) != -1 || errno != EPERM)
        return die("mount_root_fs once more");
    write_file("/etc/written", "by init\n");
    return 0;
}

static int move(void)
{
    if (mount("image", "/newroot", "erofs", MS_RDONLY, "") ||
        mount("t", "/newroot/tmp", "tmpfs", 0, "") ||
        mount("p", "/newroot/proc", "proc", 0, ""))
        return die("mount");
    write_file("/newroot/tmp/moved", "moved\n");
    if (chdir("/newroot") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot("."))
        return die("move");
    return 0;
}

static int report(void)
{
    static uint8_t target[512], data[64] = "hello", made[432];
    void *request[] = {target, data, made};
    int fd = open("/dev/sgx", O_RDONLY);

    if (ioctl(fd, 0x82007303, target) || ioctl(fd, 0xc0187304, request))
        return die("report");
    if (memcmp(made + 320, data, sizeof(data)) || memcmp(made + 64, target, 32))
        return die("its contents");
    if (ioctl(fd, 0x41b07305, made))
        return die("verify");
    made[330] ^= 1;
    if (ioctl(fd, 0x41b07305, made) != -1 || errno != EACCES)
        return die("verify a changed one");
    target[511] = 1; /* the instruction would fault */
    if (ioctl(fd, 0xc0187304, request) != -1 || errno != EINVAL)
        return die("reserved bytes");
    request[2] = (void *)16;
    target[511] = 0;
    if (ioctl(fd, 0xc0187304, request) != -1 || errno != EFAULT)
        return die("a wrong address");
    return call();
}

int main(void)
{
    const char *mode = getenv("MODE");

    if (!mode)
        return die("no MODE");
    if (!strcmp(mode, "fail")) {
        fprintf(stderr, "init: no key today\n");
        return 3;
    }
    if (!strcmp(mode, "signal"))
        raise(SIGKILL);
    if (!strcmp(mode, "move"))
        return move();
    if (!strcmp(mode, "report"))
        return report();
    if (!strcmp(mode, "child") && fork() == 0) {
        setsid();
        pause();
    }
    int r = strcmp(mode, "none") ? call() : 0;
    if (!r && !strcmp(mode, "call"))
        printf("init: EPERM later\n");
    return r;
}
