/* SPDX-License-Identifier: BSD-3-Clause */
/* System calls on memory: mmap(2), munmap(2), mprotect(2), brk(2), mremap(2), madvise(2), ...
 */
#include "abi/errno.h"
#include "enclave/boot.h"
#include "fs/core/cred.h"
#include "fs/core/fd.h"
#include "fs/core/file.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "mm/vm.h"
#include "proc/process.h"
#include "sched/task.h"
#include "syscall/syscall.h"

#define MCL_CURRENT 1
#define MCL_FUTURE  2
#define MCL_ONFAULT 4

#define PERSONA_READ_IMPLIES_EXEC 0x0400000u

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

/* What the caller may lock; -EPERM: nothing. */
static int lock_limit(void)
{
    uint64_t limit = process_limit(current_process, RLIMIT_MEMLOCK);
    if (cred_can(current->cred, CAP_IPC_LOCK))
        limit = UINT64_MAX;
    vm_set_lock_limit(current->mm, limit);
    return limit ? 0 : -EPERM;
}

/* personality(2): what can be read can be run. */
static uint32_t implied(uint32_t prot)
{
    bool implies = current_thread->personality & PERSONA_READ_IMPLIES_EXEC;
    return implies && (prot & PROT_READ) ? PROT_EXEC : 0;
}

static int64_t map_checked(struct file *f, struct vm_map_args *a)
{
    int e = file_map_check(f, a);
    return e ? e : vm_map(current->mm, a);
}

/* Seals do not change while a mapping that they could forbid is made. */
static int64_t map_file(struct file *f, struct vm_map_args *a)
{
    struct inode *i = f->inode;
    if ((a->flags & MAP_TYPE) == MAP_PRIVATE || !(f->state & FILE_WRITE) || !inode_is_reg(i) ||
        (i->seals & F_SEAL_SEAL))
        return map_checked(f, a);
    mutex_lock(&i->lock);
    int64_t r = map_checked(f, a);
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

    a.prot |= implied(a.prot);
    if (flags & MAP_LOCKED && lock_limit())
        return -EPERM;
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
    return vm_protect(current->mm, addr, length, (uint32_t)prot | implied((uint32_t)prot));
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

int64_t sys_mlock2(uaddr_t addr, uint64_t length, uint32_t flags)
{
    if (flags & ~1u)
        return -EINVAL;
    int e = lock_limit();
    return e ? e : vm_lock(current->mm, addr, length, true, flags & 1u);
}

int64_t sys_mlock(uaddr_t addr, uint64_t length)
{
    return sys_mlock2(addr, length, 0);
}

int64_t sys_munlock(uaddr_t addr, uint64_t length)
{
    return vm_lock(current->mm, addr, length, false, false);
}

int64_t sys_mlockall(int flags)
{
    if (!flags || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT)
        return -EINVAL;
    int e = lock_limit();
    return e ? e
             : vm_lock_all(current->mm, flags & MCL_CURRENT, flags & MCL_FUTURE,
                           flags & MCL_ONFAULT);
}

int64_t sys_munlockall(void)
{
    return vm_lock_all(current->mm, false, false, false);
}
