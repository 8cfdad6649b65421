/* SPDX-License-Identifier: BSD-3-Clause */
/* Takes the host's names in at boot; see names.h. */
#include "net/names.h"

#include "abi/errno.h"
#include "enclave/host.h"
#include "fs/core/file.h"
#include "lib/log.h"
#include "lib/string.h"
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

/* Marks what was taken from the host: where the root is kept, it is taken again at each boot.
 */
static const char mark[] = "trusted.occlum.from-host";

static int set_mark(struct inode *i)
{
    mutex_lock(&i->lock);
    int r = i->ops->setxattr ? i->ops->setxattr(i, mark, "y", 1, 0) : -EOPNOTSUPP;
    mutex_unlock(&i->lock);
    return r;
}

static int write_own(const char *path, char *text, size_t size)
{
    struct file *f;
    int r = file_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0644, 0, &f);
    if (r < 0)
        return r;
    ssize_t n = file_write_kernel(f, text, size, 0);
    r = n < 0 ? (int)n : set_mark(f->inode);
    file_put(f);
    return r;
}

/* Nothing there, or something that was taken before. */
static bool may_take(const char *path)
{
    char value[2];
    struct path p;
    if (path_walk(AT_FDCWD, path, 0, &p) < 0)
        return true;
    struct inode *i = path_inode(&p);
    bool taken = inode_is_reg(i) && i->ops->getxattr &&
                 i->ops->getxattr(i, mark, value, sizeof(value)) >= 0;
    path_put(&p);
    return taken;
}

static bool same(const char *path, const char *text, size_t size)
{
    struct file *f;
    char *old = kmalloc(NAMES_MAX);
    int r = old ? file_open(AT_FDCWD, path, O_RDONLY, 0, 0, &f) : -ENOMEM;
    ssize_t n = -1;
    if (r == 0) {
        n = file_read_kernel(f, old, NAMES_MAX, 0);
        file_put(f);
    }
    bool equal = n == (ssize_t)size && memcmp(old, text, size) == 0;
    kfree(old);
    return equal;
}

static void import_one(enum names_kind kind, char *text)
{
    const char *path = paths[kind];
    if (!may_take(path))
        return;
    ssize_t size = read_host(path, text);
    if (size <= 0)
        return;
    if (size == NAMES_MAX || !names_valid(kind, text, (size_t)size)) {
        log_always("the host's %s is not what such a file should be: left out", path);
        return;
    }
    int r = same(path, text, (size_t)size) ? 0 : write_own(path, text, (size_t)size);
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
