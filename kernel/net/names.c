/* SPDX-License-Identifier: BSD-3-Clause */
/* Takes the host's names in at boot; see names.h. */
#include "net/names.h"

#include "abi/errno.h"
#include "enclave/host.h"
#include "fs/core/file.h"
#include "lib/log.h"
#include "mm/kmalloc.h"
#include "sched/hostio.h"

static const char *const paths[] = {
    [NAMES_RESOLV] = "/etc/resolv.conf",
    [NAMES_HOSTS] = "/etc/hosts",
    [NAMES_HOSTNAME] = "/etc/hostname",
};

static ssize_t read_host(const char *path, char *text)
{
    int fd = host_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0, 0);
    if (fd < 0)
        return fd;
    ssize_t size = hostio_read(fd, text, NAMES_MAX, 0);
    host_close(fd);
    return size;
}

static int write_own(const char *path, char *text, size_t size)
{
    struct file *f;
    int r = file_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0644, 0, &f);
    if (r < 0)
        return r;
    ssize_t n = file_write_kernel(f, text, size, 0);
    file_put(f);
    return n < 0 ? (int)n : 0;
}

static bool exists(const char *path)
{
    struct path p;
    if (path_walk(AT_FDCWD, path, 0, &p) < 0)
        return false;
    path_put(&p);
    return true;
}

static void import_one(enum names_kind kind, char *text)
{
    const char *path = paths[kind];
    if (exists(path))
        return;
    ssize_t size = read_host(path, text);
    if (size <= 0)
        return;
    if (size == NAMES_MAX || !names_valid(kind, text, (size_t)size)) {
        log_always("the host's %s is not what such a file should be: left out", path);
        return;
    }
    int r = write_own(path, text, (size_t)size);
    if (r < 0)
        log_debug("%s could not be written: error %d", path, -r);
}

void names_import(void)
{
    char *text = kmalloc(NAMES_MAX);
    if (!text)
        return;
    (void)!path_create(AT_FDCWD, "/etc", S_IFDIR | 0755, 0, NULL);
    for (enum names_kind k = NAMES_RESOLV; k <= NAMES_HOSTNAME; k++)
        import_one(k, text);
    kfree(text);
}
