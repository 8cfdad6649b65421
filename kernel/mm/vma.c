/* SPDX-License-Identifier: BSD-3-Clause */
/* The tree of mappings: finding, splitting, joining. */
#include "abi/errno.h"
#include "lib/string.h"
#include "mm/internal.h"
#include "mm/kmalloc.h"

struct vma *vma_next_from(struct mm *mm, uaddr_t address)
{
    struct rb_node *n = mm->vmas.node;
    struct vma *best = NULL;

    while (n) {
        struct vma *v = container_of(n, struct vma, node);
        if (v->end > address) {
            best = v;
            n = n->left;
        } else {
            n = n->right;
        }
    }
    return best;
}

struct vma *vma_at(struct mm *mm, uaddr_t address)
{
    struct vma *v = vma_next_from(mm, address);
    return v && v->start <= address ? v : NULL;
}

struct vma *vma_next(struct vma *v)
{
    struct rb_node *n = rb_next(&v->node);
    return n ? container_of(n, struct vma, node) : NULL;
}

struct vma *vma_prev(struct vma *v)
{
    struct rb_node *n = rb_prev(&v->node);
    return n ? container_of(n, struct vma, node) : NULL;
}

struct vma *vma_new(const struct vma *like)
{
    struct vma *v = kzalloc(sizeof(*v));

    if (!v)
        return NULL;
    *v = *like;
    for (uint32_t i = 0; v->file && i <= v->aliases; i++)
        v->file_ops->get(v->file);
    if (v->object)
        object_join(v);
    return v;
}

void vma_free(struct vma *v)
{
    if (v->object)
        object_leave(v);
    for (uint32_t i = 0; v->file && i <= v->aliases; i++)
        v->file_ops->put(v->file);
    kfree(v);
}

bool vma_is_data(const struct vma *v)
{
    return (v->prot & PROT_WRITE) && !v->shared && !(v->flags & VMA_GROWSDOWN) &&
           !(v->name && !strcmp(v->name, "[stack]"));
}

void vma_count(struct mm *mm, const struct vma *v, int sign)
{
    uint64_t pages = (v->end - v->start) / PAGE_SIZE * (uint64_t)(int64_t)sign;

    mm->total_pages += pages;
    mm->peak_pages = MAX(mm->peak_pages, mm->total_pages);
    if (vma_is_data(v))
        mm->data_pages += pages;
    if (v->flags & VMA_LOCKED)
        mm->locked_pages += pages;
}

void vma_insert(struct mm *mm, struct vma *v)
{
    struct rb_node **link = &mm->vmas.node, *parent = NULL;

    v->mm = mm;
    while (*link) {
        parent = *link;
        struct vma *other = container_of(parent, struct vma, node);
        link = v->start < other->start ? &parent->left : &parent->right;
    }
    rb_insert(&mm->vmas, parent, link, &v->node);
    vma_count(mm, v, 1);
}

void vma_remove(struct mm *mm, struct vma *v)
{
    rb_remove(&mm->vmas, &v->node);
    vma_count(mm, v, -1);
}

int vma_split(struct mm *mm, uaddr_t at)
{
    struct vma *v = vma_at(mm, at);

    if (!v || v->start == at)
        return 0;
    struct vma *upper = vma_new(v);
    if (!upper)
        return -ENOMEM;
    vma_remove(mm, v);
    upper->start = at;
    upper->offset += at - v->start;
    upper->fault_end = 0;
    v->end = at;
    vma_insert(mm, v);
    vma_insert(mm, upper);
    return 0;
}

static bool continues(const struct vma *a, const struct vma *b)
{
    if (a->end != b->start || a->prot != b->prot || a->max_prot != b->max_prot ||
        a->shared != b->shared || a->file != b->file || a->flags != b->flags ||
        a->aliases != b->aliases || a->name != b->name)
        return false;
    if (!a->file)
        return !a->shared;
    return a->offset + (a->end - a->start) == b->offset && a->file_limit == b->file_limit;
}

static void join(struct mm *mm, struct vma *a, struct vma *b)
{
    vma_remove(mm, b);
    vma_remove(mm, a);
    a->end = b->end;
    vma_insert(mm, a);
    vma_free(b);
}

void vma_merge(struct mm *mm, struct vma *v)
{
    struct vma *prev = vma_prev(v);

    if (prev && continues(prev, v)) {
        join(mm, prev, v);
        v = prev;
    }
    struct vma *next = vma_next(v);
    if (next && continues(v, next))
        join(mm, v, next);
}
