/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mlock(2) and its kin. Enclave memory is never paged out by us, and the host cannot be kept
 * from it: locking brings pages in, counts them, and keeps them from MADV_DONTNEED.
 */
#include "abi/errno.h"
#include "enclave/boot.h"
#include "mm/internal.h"
#include "mm/user.h"

void vm_set_lock_limit(struct mm *mm, uint64_t limit)
{
    mutex_lock(&mm->lock);
    mm->rlimit_memlock = limit;
    mutex_unlock(&mm->lock);
}

static void mark(struct mm *mm, struct vma *v, bool on)
{
    vma_count(mm, v, -1);
    v->flags = on ? v->flags | VMA_LOCKED : v->flags & ~VMA_LOCKED;
    vma_count(mm, v, 1);
}

static int fill(struct mm *mm, struct vma *v)
{
    uint8_t state;

    if (!(v->prot & (PROT_READ | PROT_WRITE | PROT_EXEC)))
        return -ENOMEM;
    if (v->object)
        return object_populate(v, v->start, v->end, false);
    for (uaddr_t at = v->start; at < v->end;) {
        uaddr_t next = present_run(at, v->end, &state);
        int e = state ? 0 : pages_bring_in(mm, v, at, next);
        if (e)
            return e;
        at = next;
    }
    return 0;
}

/* Bytes of the range that do not count as locked yet; sets *hole. */
static uint64_t unlocked(struct mm *mm, uaddr_t start, uaddr_t end, bool *hole)
{
    uint64_t bytes = 0;

    *hole = false;
    while (start < end) {
        struct vma *v = vma_at(mm, start);
        if (!v) {
            *hole = true;
            break;
        }
        uaddr_t stop = MIN(v->end, end);
        bytes += v->flags & VMA_LOCKED ? 0 : stop - start;
        start = stop;
    }
    return bytes;
}

static int lock_range(struct mm *mm, uaddr_t start, uaddr_t end, bool on, bool lazy)
    HELD(mm->lock)
{
    bool hole;
    uint64_t more = unlocked(mm, start, end, &hole);
    int e = 0;

    if (on && mm->locked_pages * PAGE_SIZE + more > mm->rlimit_memlock)
        return -ENOMEM;
    if (vma_split(mm, start) || vma_split(mm, end))
        return -ENOMEM;
    for (struct vma *v = vma_next_from(mm, start); v && v->start < end; v = vma_next(v)) {
        mark(mm, v, on);
        if (on && !lazy && !e)
            e = fill(mm, v);
    }
    return hole ? -ENOMEM : e == -EIO ? -ENOMEM : e;
}

int vm_lock(struct mm *mm, uaddr_t address, uint64_t length, bool on, bool lazy)
{
    uint64_t end;

    if (add_overflows(address, length, &end) || end > UINT64_MAX - PAGE_SIZE)
        return -EINVAL;
    if (!length)
        return 0;
    uaddr_t start = align_down(address, PAGE_SIZE);
    end = align_up(end, PAGE_SIZE);
    if (!user_range_ok(start, end - start))
        return -ENOMEM;
    mutex_lock(&mm->lock);
    int e = lock_range(mm, start, end, on, lazy);
    mutex_unlock(&mm->lock);
    return e;
}

int vm_lock_all(struct mm *mm, bool now, bool future, bool lazy)
{
    int e = 0;

    mutex_lock(&mm->lock);
    if (now && mm->total_pages * PAGE_SIZE > mm->rlimit_memlock)
        e = -ENOMEM;
    if (!e)
        mm->lock_future = future;
    for (struct vma *v = vma_next_from(mm, 0); v && !e && (now || !future); v = vma_next(v)) {
        mark(mm, v, now);
        if (now && !lazy)
            (void)!fill(mm, v); /* as far as it goes */
    }
    mutex_unlock(&mm->lock);
    return e;
}
