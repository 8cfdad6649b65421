/* SPDX-License-Identifier: BSD-3-Clause */
/* System calls on memory: mmap(2), munmap(2), mprotect(2), brk(2), mremap(2), madvise(2), ...
 */
#include "abi/errno.h"
#include "enclave/boot.h"
#include "fs/core/fd.h"
#include "fs/core/file.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "mm/vm.h"
#include "sched/task.h"
#include "syscall/syscall.h"

#define MCL_ALL 7

/* May this open file be mapped so? Fills in what the mapping needs of it. */
static int file_map_check(struct file *f, struct vm_map_args *a)
{
    bool shared = (a->flags & MAP_TYPE) != MAP_PRIVATE;

    if (!(f->state & FILE_READ) ||
        (shared && (a->prot & PROT_WRITE) && !(f->state & FILE_WRITE)))
        return -EACCES;
    if (!f->ops->vm)
        return -ENODEV;
    bool sealed = f->inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE);
    if (shared && sealed && (a->prot & PROT_WRITE))
        return -EPERM;
    if (shared && (sealed || !(f->state & FILE_WRITE)))
        a->max_prot = PROT_READ | PROT_EXEC;
    a->file = f;
    a->file_ops = f->ops->vm;
    return 0;
}

/* Seals do not change while a mapping that they could forbid is made. */
static int64_t map_file(struct file *f, struct vm_map_args *a)
{
    struct inode *i = f->inode;
    bool sealable = (a->flags & MAP_TYPE) != MAP_PRIVATE && (f->state & FILE_WRITE) &&
                    inode_is_reg(i) && !(i->seals & F_SEAL_SEAL);
    if (sealable)
        mutex_lock(&i->lock);
    int64_t r = file_map_check(f, a);
    if (!r)
        r = vm_map(current->mm, a);
    if (sealable)
        mutex_unlock(&i->lock);
    return r;
}

int64_t sys_mmap(uaddr_t addr, uint64_t length, uint64_t prot, uint64_t flags, int fd,
                 int64_t offset)
{
    struct vm_map_args a = {.address = addr,
                            .length = length,
                            .prot = (uint32_t)prot & 7u,
                            .flags = (uint32_t)flags,
                            .offset = (uint64_t)offset};

    if (!length)
        return -EINVAL;
    if ((uint64_t)offset % PAGE_SIZE)
        return -EINVAL;
    if (!(flags & MAP_ANONYMOUS)) {
        struct file *file = fd_file(fd);
        if (!file)
            return -EBADF;
        int64_t r = map_file(file, &a);
        file_put(file);
        return r;
    }
    return vm_map(current->mm, &a);
}

int64_t sys_munmap(uaddr_t addr, uint64_t length)
{
    return vm_unmap(current->mm, addr, length);
}

int64_t sys_mprotect(uaddr_t addr, uint64_t length, uint64_t prot)
{
    return vm_protect(current->mm, addr, length, (uint32_t)prot);
}

int64_t sys_brk(uaddr_t addr)
{
    return (int64_t)vm_brk(current->mm, addr);
}

int64_t sys_mremap(uaddr_t old, uint64_t old_size, uint64_t new_size, uint64_t flags,
                   uaddr_t new_address)
{
    return vm_remap(current->mm, old, old_size, new_size, (uint32_t)flags, new_address);
}

int64_t sys_madvise(uaddr_t addr, uint64_t length, int advice)
{
    return vm_advise(current->mm, addr, length, advice);
}

int64_t sys_msync(uaddr_t addr, uint64_t length, int flags)
{
    return vm_sync(current->mm, addr, length, (uint32_t)flags);
}

int64_t sys_mincore(uaddr_t addr, uint64_t length, uaddr_t vec)
{
    uint8_t chunk[256];

    if (addr % PAGE_SIZE)
        return -EINVAL;
    uint64_t pages = align_up(length, PAGE_SIZE) / PAGE_SIZE;
    if (length > enclave.user_end)
        return -ENOMEM;
    while (pages) {
        uint64_t n = MIN(pages, (uint64_t)sizeof(chunk));
        int e = vm_incore(current->mm, addr, n * PAGE_SIZE, chunk);
        if (!e)
            e = copy_to_user(vec, chunk, n);
        if (e)
            return e;
        addr += n * PAGE_SIZE;
        vec += n;
        pages -= n;
    }
    return 0;
}

static bool mapped_all(uaddr_t addr, uint64_t length)
{
    uint8_t chunk[256];
    uaddr_t end = align_up(addr + length, PAGE_SIZE);

    for (addr = align_down(addr, PAGE_SIZE); addr < end;) {
        uint64_t n = MIN(end - addr, sizeof(chunk) * PAGE_SIZE);
        if (vm_incore(current->mm, addr, n, chunk))
            return false;
        addr += n;
    }
    return true;
}

/* Enclave memory is never paged out by us: locking is a check of the range. */
int64_t sys_mlock(uaddr_t addr, uint64_t length)
{
    uint64_t end;

    if (add_overflows(addr, length, &end))
        return -EINVAL;
    return mapped_all(addr, length) ? 0 : -ENOMEM;
}

int64_t sys_mlock2(uaddr_t addr, uint64_t length, uint32_t flags)
{
    return flags & ~1u ? -EINVAL : sys_mlock(addr, length);
}

int64_t sys_munlock(uaddr_t addr, uint64_t length)
{
    return sys_mlock(addr, length);
}

int64_t sys_mlockall(int flags)
{
    return !flags || (flags & ~MCL_ALL) || flags == 4 ? -EINVAL : 0;
}

int64_t sys_munlockall(void)
{
    return 0;
}
