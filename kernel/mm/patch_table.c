/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of system call sites of a memory: two trees, by the site and by its trampoline, and
 * the zones. What belongs to an image (image.c) can leave the table and come into another one.
 */
#include "mm/patch_table.h"

#include "lib/log.h"
#include "mm/kmalloc.h"

static struct site *of_site(struct rb_node *n)
{
    return container_of(n, struct site, by_site);
}
static struct site *of_trampoline(struct rb_node *n)
{
    return container_of(n, struct site, by_trampoline);
}

struct site *site_from(struct patches *p, uaddr_t at) HELD(p->lock)
{
    struct rb_node *n = p->sites.node;
    struct site *best = NULL;
    while (n) {
        if (of_site(n)->at >= at) {
            best = of_site(n);
            n = n->left;
        } else {
            n = n->right;
        }
    }
    return best;
}

struct site *site_next(struct site *s)
{
    struct rb_node *n = rb_next(&s->by_site);
    return n ? of_site(n) : NULL;
}

static void tree_insert(struct rb_root *sites, struct site *s)
{
    struct rb_node **link = &sites->node, *parent = NULL;
    while (*link) {
        parent = *link;
        link = s->at < of_site(parent)->at ? &parent->left : &parent->right;
    }
    rb_insert(sites, parent, link, &s->by_site);
}

void site_insert(struct patches *p, struct site *s) HELD(p->lock)
{
    tree_insert(&p->sites, s);
    p->site_count++;
}

void trampoline_insert(struct patches *p, struct site *s) HELD(p->lock)
{
    struct rb_node **link = &p->trampolines.node, *parent = NULL;
    while (*link) {
        parent = *link;
        link = s->p.trampoline < of_trampoline(parent)->p.trampoline ? &parent->left
                                                                     : &parent->right;
    }
    rb_insert(&p->trampolines, parent, link, &s->by_trampoline);
}

void site_remove(struct patches *p, struct site *s) HELD(p->lock)
{
    if (s->state == SITE_PATCHED)
        rb_remove(&p->trampolines, &s->by_trampoline);
    rb_remove(&p->sites, &s->by_site);
    p->site_count--;
    kfree(s);
}

struct site *site_around(struct patches *p, uaddr_t rip) HELD(p->lock)
{
    struct site *s = site_from(p, rip < PATCH_MAX_WINDOW ? 0 : rip - PATCH_MAX_WINDOW);
    for (; s && s->at <= rip + PATCH_MAX_WINDOW; s = site_next(s))
        if (s->state == SITE_PATCHED && rip - s->p.start < PATCH_JUMP)
            return s;
    return NULL;
}

struct site *site_of_trampoline(struct patches *p, uaddr_t rip) HELD(p->lock)
{
    struct rb_node *n = p->trampolines.node;
    while (n) {
        struct site *s = of_trampoline(n);
        if (rip - s->p.trampoline < s->p.length)
            return s;
        n = rip < s->p.trampoline ? n->left : n->right;
    }
    return NULL;
}

bool window_taken(struct patches *p, const struct patch_window *w)
{
    bool taken = false;
    spin_lock(&p->lock);
    struct site *s =
        site_from(p, w->start < PATCH_MAX_WINDOW ? 0 : w->start - PATCH_MAX_WINDOW);
    for (; s && s->at <= w->end + PATCH_MAX_WINDOW && !taken; s = site_next(s))
        taken = s->state == SITE_PATCHED && w->start < s->p.end && s->p.start < w->end;
    spin_unlock(&p->lock);
    return taken;
}

struct patches *patches_make(struct mm *mm)
{
    struct patches *p = kzalloc(sizeof(*p)), *old = NULL;
    if (!p)
        return NULL;
    atomic_store(&p->refs, 1);
    spin_init(&p->lock, RANK_VM_RANGE);
    list_init(&p->zones);
    if (__atomic_compare_exchange_n(&mm->patch, (void **)&old, p, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
        return p;
    kfree(p);
    return old;
}

struct patches *patches_of(struct mm *mm)
{
    return mm ? __atomic_load_n(&mm->patch, __ATOMIC_ACQUIRE) : NULL;
}

void patches_put(struct patches *p)
{
    struct rb_node *n;
    struct list *l;
    if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    spin_lock(&p->lock);
    while ((n = rb_first(&p->sites)))
        site_remove(p, of_site(n));
    spin_unlock(&p->lock);
    while ((l = list_pop(&p->zones)))
        kfree(container_of(l, struct zone, node));
    kfree(p);
}

/* ---- images ---- */

bool patch_detach(struct mm *mm, uaddr_t start, uaddr_t end, struct patch_kept *out)
{
    struct patches *p = patches_of(mm);
    struct zone *z, *tmp;
    out->sites.node = NULL;
    list_init(&out->zones);
    if (!p)
        return true;
    if (atomic_load(&p->refs) != 1)
        return false;
    list_for_each_safe (z, tmp, &p->zones, node) {
        if (z->image != start)
            continue;
        list_remove(&z->node);
        list_append(&out->zones, &z->node);
        p->zone_count--;
    }
    spin_lock(&p->lock);
    struct site *s = site_from(p, start), *next;
    for (; s && s->at < end; s = next) {
        next = site_next(s);
        if (s->state == SITE_PATCHED)
            rb_remove(&p->trampolines, &s->by_trampoline);
        rb_remove(&p->sites, &s->by_site);
        p->site_count--;
        tree_insert(&out->sites, s);
    }
    spin_unlock(&p->lock);
    return true;
}

void patch_image_moved(struct mm *mm, uaddr_t from, uaddr_t to)
{
    struct patches *p = patches_of(mm);
    struct zone *z;
    if (!p || from == to || atomic_load(&p->refs) != 1)
        return;
    list_for_each (z, &p->zones, node) {
        if (z->image == from)
            z->image = to;
    }
}

bool patch_ready(struct mm *mm)
{
    return patches_of(mm) || patches_make(mm);
}

void patch_attach(struct mm *mm, struct patch_kept *kept)
{
    struct patches *p = patches_of(mm);
    struct rb_node *n;
    struct list *l;
    while ((l = list_pop(&kept->zones))) {
        list_append(&p->zones, l);
        p->zone_count++;
    }
    spin_lock(&p->lock);
    while ((n = rb_first(&kept->sites))) {
        struct site *s = of_site(n);
        rb_remove(&kept->sites, n);
        site_insert(p, s);
        if (s->state == SITE_PATCHED)
            trampoline_insert(p, s);
    }
    spin_unlock(&p->lock);
}

void patch_kept_free(struct patch_kept *kept)
{
    struct rb_node *n;
    struct list *l;
    while ((n = rb_first(&kept->sites))) {
        rb_remove(&kept->sites, n);
        kfree(of_site(n));
    }
    while ((l = list_pop(&kept->zones)))
        kfree(list_entry(l, struct zone, node));
}

bool patch_kept_zone(const struct patch_kept *kept, unsigned n, uaddr_t *base)
{
    struct zone *z;
    list_for_each (z, &kept->zones, node) {
        if (n-- == 0) {
            *base = z->base;
            return true;
        }
    }
    return false;
}

bool patch_zone_take(struct mm *mm, uaddr_t start, uaddr_t *base)
{
    struct patches *p = patches_of(mm);
    struct zone *z;
    if (!p || atomic_load(&p->refs) != 1 || atomic_exchange(&p->busy, true))
        return false;
    list_for_each (z, &p->zones, node) {
        if (z->image != start)
            continue;
        list_remove(&z->node);
        p->zone_count--;
        *base = z->base;
        kfree(z);
        atomic_store(&p->busy, false);
        return true;
    }
    atomic_store(&p->busy, false);
    return false;
}
