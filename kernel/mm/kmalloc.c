/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Kernel objects: slabs of equal-sized objects up to 2 KiB, whole blocks of pages above.
 * Objects are scrubbed when freed, so free memory is zero but for the scrambled link in its
 * first word. Double and wild frees are caught where they can be: by kind, alignment, and the
 * count.
 */
#include "mm/kmalloc.h"

#include "lib/log.h"
#include "lib/san.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "sched/lock.h"

#define SLAB_ORDER_LARGE 2u
#define HUGE_HEADER      PAGE_SIZE

static const uint16_t class_size[] = {16,  32,  48,  64,  96,   128,  192,
                                      256, 384, 512, 768, 1024, 1536, 2048};
#define CLASS_COUNT ARRAY_SIZE(class_size)
#define CLASS_MAX   2048u

struct slab_class {
    struct spinlock lock;
    struct list partial; /* slabs with free objects */
};

static struct slab_class classes[CLASS_COUNT] = {
    [0 ... CLASS_COUNT - 1] = {.lock = SPINLOCK_INIT(RANK_HEAP)},
};

static unsigned class_for(size_t size)
{
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        if (size <= class_size[i])
            return i;
    }
    return CLASS_COUNT;
}

/* Ties a link to its place, so that an overwritten one leads nowhere. */
static uint64_t scramble(const void *next, const void *at)
{
    return (uint64_t)next ^ (uint64_t)at >> 12;
}

static void *free_next(const void *object)
{
    return (void *)scramble(*(void *const *)object, object);
}

static void free_link(void *object, void *next)
{
    *(uint64_t *)object = scramble(next, object);
}

static struct page_meta *slab_new(unsigned class)
{
    unsigned order = class_size[class] > 512 ? SLAB_ORDER_LARGE : 0;
    char *base = block_alloc(order, PAGE_SLAB);
    void *next = NULL;

    if (!base)
        return NULL;
    size_t size = class_size[class], count = (PAGE_SIZE << order) / size;
    struct page_meta *m = page_meta(base);
    m->class = (uint8_t) class;
    m->used = 0;
    for (size_t i = count; i-- > 0;) {
        free_link(base + i * size, next);
        next = base + i * size;
    }
    m->free = next;
    san_poison(base, PAGE_SIZE << order);
    list_init(&m->node);
    return m;
}

static void *slab_take(struct slab_class *c, struct page_meta *m) HELD(c->lock)
{
    void *object = m->free;

    san_unpoison(object, sizeof(void *));
    m->free = free_next(object);
    *(void **)object = NULL;
    m->used++;
    if (!m->free)
        list_remove(&m->node);
    return object;
}

static void *slab_alloc(unsigned class, size_t size)
{
    struct slab_class *c = &classes[class];
    void *object = NULL;

    spin_lock(&c->lock);
    if (!c->partial.next)
        list_init(&c->partial);
    if (list_empty(&c->partial)) {
        spin_unlock(&c->lock);
        struct page_meta *fresh = slab_new(class);
        if (!fresh)
            return NULL;
        spin_lock(&c->lock);
        list_push(&c->partial, &fresh->node);
    }
    object = slab_take(c, list_entry(c->partial.next, struct page_meta, node));
    spin_unlock(&c->lock);
    san_unpoison(object, size);
    return object;
}

static void slab_free(void *p, struct page_meta *m)
{
    unsigned class = m->class;
    struct slab_class *c = &classes[class];
    char *base = page_of_meta(m);
    bool empty;

    assert((uint64_t)((char *)p - base) % class_size[class] == 0);
    san_unpoison(p, class_size[class]);
    memset(p, 0, class_size[class]);
    spin_lock(&c->lock);
    assert(m->used > 0 && m->kind == PAGE_SLAB);
    if (!m->free)
        list_push(&c->partial, &m->node);
    free_link(p, m->free);
    m->free = p;
    m->used--;
    empty = !m->used && c->partial.next != c->partial.prev; /* keep one */
    if (empty)
        list_remove(&m->node);
    san_poison(p, class_size[class]);
    spin_unlock(&c->lock);
    if (!empty)
        return;
    size_t bytes = PAGE_SIZE << m->order;
    san_unpoison(base, bytes);
    memset(base, 0, bytes);
    block_free(base);
}

/* Above the slabs: blocks of pages; above 2 MiB chunks of their own with a page of header. */
static void *large_alloc(size_t size)
{
    if (size <= CHUNK_BYTES / 2)
        return pages_alloc(align_up(size, PAGE_SIZE) / PAGE_SIZE);
    size_t pages =
        align_up(size + HUGE_HEADER + sizeof(struct page_meta) * CHUNK_PAGES, PAGE_SIZE) /
        PAGE_SIZE;
    char *base = pages_alloc(pages);
    if (!base)
        return NULL;
    size_t skip = align_up(sizeof(struct page_meta) * CHUNK_PAGES, PAGE_SIZE);
    struct page_meta *m = page_meta(base + skip + HUGE_HEADER);
    m->kind = PAGE_HUGE;
    m->free = (void *)pages;
    return base + skip + HUGE_HEADER;
}

void *kmalloc(size_t size)
{
    if (size > CLASS_MAX - SAN_REDZONE)
        return size > (1ull << 40) ? NULL : large_alloc(size);
    return slab_alloc(class_for(size + SAN_REDZONE), size);
}

void *kzalloc(size_t size)
{
    return kmalloc(size); /* free memory is zero */
}

void *kcalloc(size_t count, size_t size)
{
    size_t bytes;
    return mul_overflows(count, size, &bytes) ? NULL : kzalloc(bytes);
}

static size_t usable_size(const void *p)
{
    struct page_meta *m = page_meta(p);

    switch (m->kind) {
    case PAGE_SLAB:
        return class_size[m->class];
    case PAGE_BLOCK:
        return PAGE_SIZE << m->order;
    case PAGE_HUGE:
        return (size_t)m->free * PAGE_SIZE - (CHUNK_HEADER_PAGES + 1) * PAGE_SIZE;
    default:
        return 0;
    }
}

void *krealloc(void *p, size_t size)
{
    if (!p)
        return kmalloc(size);
    struct page_meta *m = page_meta(p);
    if (m->kind == PAGE_BODY) {
        m = (struct page_meta *)align_down((uint64_t)m, CHUNK_BYTES) + m->first;
        assert(m->kind == PAGE_SLAB);
    }
    size_t have = m->kind == PAGE_SLAB ? class_size[m->class] : usable_size(p);
    void *fresh = kmalloc(size);
    if (!fresh)
        return NULL;
    san_unpoison(p, MIN(have, size));
    memcpy(fresh, p, MIN(have, size));
    kfree(p);
    return fresh;
}

void kfree(void *p)
{
    if (!p)
        return;
    san_check(p, 1, true); /* freed twice? */
    struct page_meta *m = page_meta(p);
    if (m->kind == PAGE_BODY)
        m = (struct page_meta *)align_down((uint64_t)m, CHUNK_BYTES) + m->first;
    switch (m->kind) {
    case PAGE_SLAB:
        slab_free(p, m);
        return;
    case PAGE_BLOCK:
        assert((uint64_t)p % PAGE_SIZE == 0);
        pages_free(p, 1ull << m->order);
        return;
    case PAGE_HUGE: {
        size_t pages = (size_t)m->free;
        pages_free((char *)p - (CHUNK_HEADER_PAGES + 1) * PAGE_SIZE, pages);
        return;
    }
    default:
        panic("kfree of %p, which is not an allocation", p);
    }
}

char *kstrdup(const char *s)
{
    size_t size = strlen(s) + 1;
    char *copy = kmalloc(size);

    if (copy)
        memcpy(copy, s, size);
    return copy;
}
