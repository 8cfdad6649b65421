/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much memory programs may have, all together, and what happens when there is no more: kept
 * images go first; then the process that has most is killed (proc/oom.c), and whoever needed a
 * page tries again. The kernel's own heap counts, too: the machine has to back both.
 */
#include "abi/errno.h"
#include "enclave/boot.h"
#include "enclave/pages.h"
#include "lib/log.h"
#include "mm/internal.h"
#include "mm/kmalloc.h"

const struct vm_ops *vm_ops;
static _Atomic uint64_t used;

static uint64_t limit_pages(void)
{
    struct heap_stats heap;
    uint64_t all = boot_info->memory_bytes / 8 * 7, configured = enclave.config->user_space_max;

    heap_stats(&heap);
    uint64_t left = all > heap.committed_bytes ? all - heap.committed_bytes : 0;
    return (configured ? MIN(configured, left) : left) / PAGE_SIZE;
}

static int try_add(uaddr_t start, uint64_t count)
{
    if (atomic_fetch_add(&used, count) + count <= limit_pages() &&
        !enclave_pages_add(start, count))
        return 0;
    atomic_fetch_sub(&used, count);
    return -ENOMEM;
}

int user_pages_add(uaddr_t start, uint64_t count)
{
    while (try_add(start, count)) {
        if (!images_shrink())
            return -ENOMEM;
    }
    return 0;
}

void user_pages_drop(uaddr_t start, uint64_t count)
{
    enclave_pages_drop(start, count);
    atomic_fetch_sub(&used, count);
}

uint64_t vm_used_pages(void)
{
    return atomic_load(&used);
}

uint64_t vm_resident_pages(struct mm *mm)
{
    return atomic_load(&mm->resident_pages);
}

bool vm_out_of_memory(void)
{
    return vm_ops && vm_ops->out_of_memory();
}

void vm_lost(struct mm *mm)
{
    if (!vm_ops)
        panic("no memory to exchange two processes' pages");
    vm_ops->lost(mm);
}
