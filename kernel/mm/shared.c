/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shared file mappings within one process. An enclave page has one address, so a second shared
 * mapping of the same part of a file lands at the address of the first and is counted there;
 * munmap(2) undoes one. read(2) and write(2) of a file see what its mappings changed and the
 * other way round: changes are written back first, and written pages are read again. Not here:
 * mappings of one file by processes that are no relatives (LIMIT: each has its own pages), and
 * a second mapping that reaches beyond the first (LIMIT: it has pages of its own).
 */
#include "abi/errno.h"
#include "mm/internal.h"

static bool same_file(const struct vma *v, void *file)
{
    return v->shared && v->file && v->file_ops->same && v->file_ops->same(v->file, file);
}

/* The mapping that has all of [offset, offset+length) of the file. */
static struct vma *find_mapping(struct mm *mm, void *file, uint64_t offset, uint64_t length)
{
    for (struct vma *v = vma_next_from(mm, 0); v; v = vma_next(v)) {
        if (same_file(v, file) && v->offset <= offset &&
            offset + length <= v->offset + (v->end - v->start))
            return v;
    }
    return NULL;
}

int64_t alias_map(struct mm *mm, const struct vm_map_args *a, uint64_t length)
{
    if (!a->file || (a->flags & MAP_TYPE) == MAP_PRIVATE || !a->file_ops->same ||
        (a->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)))
        return 0;
    struct vma *v = find_mapping(mm, a->file, a->offset, length);
    if (!v)
        return 0;
    uaddr_t at = v->start + (a->offset - v->offset);
    int e = vma_split(mm, at);
    if (!e)
        e = vma_split(mm, at + length);
    if (e)
        return e;
    v = vma_at(mm, at);
    v->aliases++;
    v->max_prot |= a->max_prot ? a->max_prot : 7u;
    v->prot |= a->prot & 7u;
    pages_set_prot(v, v->start, v->end);
    return (int64_t)at;
}

int unmap_counted(struct mm *mm, uaddr_t start, uaddr_t end)
{
    int e = vma_split(mm, start);

    if (!e)
        e = vma_split(mm, end);
    while (!e && start < end) {
        struct vma *v = vma_next_from(mm, start);
        if (!v || v->start >= end)
            break;
        start = v->end;
        if (v->aliases)
            v->aliases--;
        else
            e = unmap_locked(mm, v->start, v->end);
    }
    return e;
}

static int flush_one(struct mm *mm, struct vma *v, uint64_t offset, uint64_t end, bool drop)
{
    uint64_t from = MAX(align_down(offset, PAGE_SIZE), v->offset);
    uint64_t to = MIN(align_up(end, PAGE_SIZE), v->offset + (v->end - v->start));

    if (from >= to)
        return 0;
    uaddr_t start = v->start + (from - v->offset), stop = v->start + (to - v->offset);
    int e = pages_write_back(v, start, stop);
    if (drop)
        pages_drop(mm, start, stop);
    return e;
}

int vm_flush_file(struct mm *mm, void *file, uint64_t offset, uint64_t size, bool drop)
{
    uint64_t end = size > UINT64_MAX / 2 - offset ? UINT64_MAX / 2 : offset + size;
    int result = 0;

    if (!mm)
        return 0;
    mutex_lock(&mm->lock);
    for (struct vma *v = vma_next_from(mm, 0); v; v = vma_next(v)) {
        int e = same_file(v, file) ? flush_one(mm, v, offset, end, drop) : 0;
        if (e)
            result = e;
    }
    mutex_unlock(&mm->lock);
    return result;
}
