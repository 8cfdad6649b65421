/* SPDX-License-Identifier: BSD-3-Clause */
/* Seals of memfd_create(2): what nobody may do with the file any more. */
#include "abi/errno.h"
#include "fs/ramfs/node.h"

static int add_locked(struct inode *i, uint32_t seals)
{
    if (i->seals & F_SEAL_SEAL)
        return -EPERM;
    if ((seals & F_SEAL_WRITE) && !(i->seals & F_SEAL_WRITE) &&
        vm_object_writable(atomic_load(&i->mapped)))
        return -EBUSY;
    if ((seals & F_SEAL_EXEC) && (i->mode & 0111))
        seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
    i->seals |= seals;
    return 0;
}

int64_t ram_fcntl(struct file *f, int command, uint64_t arg)
{
    struct inode *i = f->inode;
    if (command == F_GET_SEALS)
        return __atomic_load_n(&i->seals, __ATOMIC_RELAXED);
    if (command != F_ADD_SEALS)
        return command == F_SETPIPE_SZ || command == F_GETPIPE_SZ ? -EBADF : -EINVAL;
    if (!(f->state & FILE_WRITE))
        return -EPERM;
    if (arg & ~(uint64_t)F_SEAL_ALL)
        return -EINVAL;
    mutex_lock(&i->lock);
    int r = add_locked(i, (uint32_t)arg);
    mutex_unlock(&i->lock);
    return r;
}

int ram_seal_write(const struct inode *i, uint64_t end)
{
    if (i->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
        return -EPERM;
    return (i->seals & F_SEAL_GROW) && end > i->size ? -EPERM : 0;
}

int ram_seal_attr(const struct inode *i, const struct attr_change *c)
{
    if ((c->mask & ATTR_SIZE) && c->size < i->size && (i->seals & F_SEAL_SHRINK))
        return -EPERM;
    if ((c->mask & ATTR_SIZE) && c->size > i->size && (i->seals & F_SEAL_GROW))
        return -EPERM;
    if ((c->mask & ATTR_MODE) && (i->seals & F_SEAL_EXEC) && ((c->mode ^ i->mode) & 0111))
        return -EPERM;
    return 0;
}
