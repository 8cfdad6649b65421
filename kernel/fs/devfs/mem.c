/* SPDX-License-Identifier: BSD-3-Clause */
/* null, zero, full, random, urandom: mem(4), random(4). */
#include "abi/errno.h"
#include "crypto/random.h"
#include "fs/devfs/devfs.h"
#include "mm/user.h"

static ssize_t null_read(struct file *f, struct iter *to, uint64_t *pos)
{
    (void)f;
    (void)to;
    (void)pos;
    return 0;
}

static ssize_t null_write(struct file *f, struct iter *from, uint64_t *pos)
{
    size_t n = from->remaining;
    (void)f;
    (void)pos;
    iter_advance(from, n);
    return (ssize_t)n;
}

static int64_t null_seek(struct file *f, int64_t offset, int whence)
{
    (void)offset;
    (void)whence;
    f->pos = 0;
    return 0;
}

static ssize_t zero_read(struct file *f, struct iter *to, uint64_t *pos)
{
    size_t wanted = to->remaining, n = iter_zero(to, wanted);
    (void)f;
    (void)pos;
    return n || !wanted ? (ssize_t)n : -EFAULT;
}

static ssize_t full_write(struct file *f, struct iter *from, uint64_t *pos)
{
    (void)f;
    (void)from;
    (void)pos;
    return -ENOSPC;
}

static ssize_t random_read(struct file *f, struct iter *to, uint64_t *pos)
{
    uint8_t chunk[256];
    size_t done = 0;
    (void)f;
    (void)pos;
    while (to->remaining) {
        size_t n = MIN(to->remaining, sizeof(chunk));
        random_bytes(chunk, n);
        size_t copied = iter_copy_to(to, chunk, n);
        done += copied;
        if (copied < n)
            return done ? (ssize_t)done : -EFAULT;
    }
    return (ssize_t)done;
}

#define RNDGETENTCNT 0x80045200u

/* What is written is thrown away: entropy comes from the CPU alone. */
static int64_t random_ioctl(struct file *f, uint32_t request, uaddr_t arg)
{
    (void)f;
    if (request == RNDGETENTCNT)
        return put_user(arg, (int32_t)256);
    return -EINVAL;
}

static const struct file_ops null_ops = {
    .read = null_read,
    .write = null_write,
    .seek = null_seek,
};
static const struct file_ops zero_ops = {
    .read = zero_read,
    .write = null_write,
    .seek = null_seek,
    .vm = &file_vm_ops_ro,
};
static const struct file_ops full_ops = {
    .read = zero_read,
    .write = full_write,
    .seek = null_seek,
};
static const struct file_ops random_ops = {
    .read = random_read,
    .write = null_write,
    .seek = null_seek,
    .ioctl = random_ioctl,
};

void devfs_register_mem(void)
{
    static struct device devices[] = {
        {.major = 1, .minor = 3, .name = "null", .ops = &null_ops, .state = FILE_SEEK},
        {.major = 1, .minor = 5, .name = "zero", .ops = &zero_ops, .state = FILE_SEEK},
        {.major = 1, .minor = 7, .name = "full", .ops = &full_ops, .state = FILE_SEEK},
        {.major = 1, .minor = 8, .name = "random", .ops = &random_ops, .state = FILE_SEEK},
        {.major = 1, .minor = 9, .name = "urandom", .ops = &random_ops, .state = FILE_SEEK},
    };
    for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
        device_register(&devices[i]);
}
