/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of system call sites of a memory, its trampolines, and the writing of both.
 * Trampolines lie in zones of 64 KiB, so placed that any window of the text around finds a slot
 * (docs/patching.md). Text is written under mm->lock with all other threads of the process
 * frozen; one that stands inside the window then traps and is sent on by patch_redirect().
 * cpuid is rewritten while an image waits for its next process: most machines under the
 * emulator do not let it trap, and where it does that costs as much as a system call's. Not
 * here: what may be displaced and how (patch_plan.c). LIMIT: slots are not used again; memory
 * that a program maps over a zone breaks its sites.
 */
#include "mm/patch.h"

#include "abi/errno.h"
#include "lib/log.h"
#include "lib/string.h"
#include "enclave/pages.h"
#include "mm/internal.h"
#include "mm/kmalloc.h"
#include "mm/patch_plan.h"
#include "mm/patch_table.h"
#include "mm/user.h"

#define FORK_PAGES 4u /* of each zone, made present before a fork */
#define MAX_ZONES  256u
#define MAX_SITES  8192u /* of one memory; more are not worth the search */

/* What one rewriting needs; too much for a stack. */
struct work {
    struct patch_text text;
    uint8_t bytes[PATCH_BEFORE + PATCH_AFTER_SITE];
    struct patch_window windows[PATCH_CANDIDATES];
    uint8_t code[PATCH_TRAMPOLINE], jump[PATCH_JUMP];
    struct patch_site built;
};

extern char syscall_entry[], cpuid_entry[]; /* enclave/entry.S */

/* ---- zones ---- */

static bool slot_free(const struct zone *z, uint64_t offset, uint64_t size)
{
    if (offset + size > ZONE_BYTES)
        return false;
    for (uint64_t g = offset / GRANULE; g <= (offset + size - 1) / GRANULE; g++)
        if (z->used[g / 64] >> g % 64 & 1)
            return false;
    return true;
}

static void slot_take(struct zone *z, uint64_t offset, uint64_t size)
{
    for (uint64_t g = offset / GRANULE; g <= (offset + size - 1) / GRANULE; g++)
        z->used[g / 64] |= 1ull << g % 64;
}

/* While several memories share the table, only what is in place for all of them may change, and
 * for nobody else. */
static bool may_change(struct mm *mm, const struct patches *p, uaddr_t start, uaddr_t end)
{
    if (atomic_load(&p->refs) == 1)
        return true;
    return (present_get(start) & PAGE_COMMON) && (present_get(end - 1) & PAGE_COMMON) &&
           !family_strangers(mm, align_down(start, PAGE_SIZE), align_up(end, PAGE_SIZE));
}

/* A slot from where the window's jump is right; 0: none. */
static uaddr_t slot_find(struct mm *mm, const struct patches *p, const struct zone *z,
                         const struct patch_window *w, uint64_t size)
{
    bool exact = w->boundaries & 2; /* the lowest byte of the distance matters */
    uaddr_t at = z->base;
    while (at < z->base + ZONE_BYTES) {
        uint64_t distance = at - (w->start + PATCH_JUMP);
        if (patch_fits(w, at)) {
            if (slot_free(z, at - z->base, size) && may_change(mm, p, at, at + size))
                return at;
            at += exact ? 1 : GRANULE - at % GRANULE;
        } else {
            at += exact ? 1 : 0x100 - (distance & 0xff); /* where the next byte changes */
        }
    }
    return 0;
}

/* Trampolines are not worth it to share addresses with another memory. */
static bool claim_zone(struct mm *mm, uaddr_t base)
{
    images_evict(base, base + ZONE_BYTES);
    struct family *rival = range_rival(mm, base, base + ZONE_BYTES);

    family_put(rival);
    return !rival && !range_claim(mm, base, base + ZONE_BYTES);
}

/* Maps a zone from which every window near `site` can be served: the two high bytes of each
 * distance are such as trap. */
static int zone_make(struct mm *mm, struct patches *p, uaddr_t site) HELD(mm->lock)
{
    static const uint8_t near[] = {0x07, 0x06, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27,
                                   0x2f, 0x37, 0x3f, 0x60, 0x61, 0xea, 0xce, 0x9a};
    /* A growing heap above shall not meet us early. */
    bool far_first = mm->brk_start > site && mm->brk_start - site < 1ull << 31;
    struct zone *z;
    if (p->zone_count >= MAX_ZONES || atomic_load(&p->refs) > 1)
        return -ENOSPC;
    z = kzalloc(sizeof(*z));
    if (!z)
        return -ENOMEM;
    z->image = image_of(mm, site);
    for (size_t i = 0; i < sizeof(near); i++) {
        uint8_t top = near[far_first ? (i + sizeof(near) - 4) % sizeof(near) : i];
        int64_t distance = (int32_t)((uint32_t)top << 24 | 0x060000u);
        struct vm_map_args args = {
            .address = align_up(site + PATCH_JUMP + (uint64_t)distance, PAGE_SIZE),
            .length = ZONE_BYTES,
            .prot = PROT_READ | PROT_EXEC,
            .name = "[trampolines]",
            .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE};
        if (user_range_ok(args.address, ZONE_BYTES) && claim_zone(mm, args.address) &&
            map_locked(mm, &args) >= 0) {
            z->base = args.address;
            list_append(&p->zones, &z->node);
            p->zone_count++;
            return 0;
        }
    }
    kfree(z);
    return -ENOSPC;
}

static int slot_get(struct mm *mm, struct patches *p, const struct patch_window *w,
                    uaddr_t *out) HELD(mm->lock)
{
    uint64_t size = w->end - w->start + 4u * w->count + 32;
    uaddr_t image = image_of(mm, w->site);
    struct zone *z;
    for (int round = 0; round < 2; round++) {
        list_for_each (z, &p->zones, node) {
            *out = z->image == image ? slot_find(mm, p, z, w, size) : 0;
            if (*out) {
                slot_take(z, *out - z->base, size);
                return 0;
            }
        }
        int e = round ? -ENOSPC : zone_make(mm, p, w->start);
        if (e)
            return e;
    }
    return -ENOSPC;
}

/* ---- writing ---- */

static int make_present(struct mm *mm, struct vma *v, uaddr_t start, uaddr_t end)
{
    for (uaddr_t page = align_down(start, PAGE_SIZE); page < end; page += PAGE_SIZE) {
        int e = present_get(page) ? 0 : pages_bring_in(mm, v, page, page + PAGE_SIZE);
        if (e)
            return e;
    }
    return 0;
}

/* To present pages that programs cannot write. */
static int write_pages(uaddr_t at, const void *bytes, size_t size)
{
    size_t left = 0;
    for (size_t done = 0, n; done < size && !left; done += n) {
        uaddr_t page = align_down(at + done, PAGE_SIZE);
        uint32_t perms = present_get(page) & PAGE_PERMS;
        n = MIN(size - done, (size_t)(page + PAGE_SIZE - (at + done)));
        if (!(perms & PAGES_W))
            enclave_pages_protect(page, 1, perms, perms | PAGES_W);
        left = user_copy_raw((void *)(at + done), (const char *)bytes + done, n);
        if (!(perms & PAGES_W))
            enclave_pages_protect(page, 1, perms | PAGES_W, perms);
    }
    return left ? -EFAULT : 0;
}

static int write_trampoline(struct mm *mm, uaddr_t at, const uint8_t *code, size_t size)
    HELD(mm->lock)
{
    struct vma *v = vma_at(mm, at);
    if (!v || v->prot != (PROT_READ | PROT_EXEC) || v->shared || v->end < at + size)
        return -EFAULT;
    int e = make_present(mm, v, at, at + size);
    return e ? e : write_pages(at, code, size);
}

static bool may_rewrite(const struct vma *v, uaddr_t start, uaddr_t end)
{
    return v && !v->shared && v->prot & PROT_EXEC && !(v->prot & PROT_WRITE) &&
           v->start <= start && v->end >= end;
}

/* Enters the site as rewritten; false: it has been forgotten meanwhile. */
static bool site_publish(struct patches *p, const struct work *k)
{
    spin_lock(&p->lock);
    struct site *s = site_from(p, k->built.site);
    bool good = s && s->at == k->built.site && s->state == SITE_COUNTING;
    if (good) {
        s->p = k->built;
        s->state = SITE_PATCHED;
        memcpy(s->jump, k->jump, sizeof(s->jump));
        memcpy(s->old, k->text.bytes + (k->built.start - k->text.start), sizeof(s->old));
        trampoline_insert(p, s);
        p->rewritten++;
    }
    spin_unlock(&p->lock);
    return good;
}

static void site_unpublish(struct patches *p, uaddr_t at)
{
    spin_lock(&p->lock);
    struct site *s = site_from(p, at);
    rb_remove(&p->trampolines, &s->by_trampoline);
    s->state = SITE_COUNTING;
    spin_unlock(&p->lock);
}

/* The jump, if the text still is what the plan was made from. Nobody runs while text and table
 * disagree. */
static int write_jump(struct mm *mm, struct patches *p, const struct patch_window *w,
                      const struct work *k) HELD(mm->lock)
{
    uint8_t now[PATCH_MAX_WINDOW];
    size_t size = w->end - w->start;
    struct vma *v = vma_at(mm, w->start);
    if (!may_rewrite(v, w->start, w->end))
        return -EACCES;
    int e = make_present(mm, v, w->start, w->end);
    if (!e && !may_change(mm, p, w->start, w->start + PATCH_JUMP))
        e = -EAGAIN;
    if (e)
        return e;
    sched_freeze(&mm->sched);
    if (atomic_load(&p->refs) == 1)
        e = family_part(mm, align_down(w->start, PAGE_SIZE),
                        align_up(w->start + PATCH_JUMP, PAGE_SIZE));
    if (!e)
        e = -EAGAIN;
    if (e == -EAGAIN && !user_copy_raw(now, (const void *)w->start, size) &&
        !memcmp(now, k->text.bytes + (w->start - k->text.start), size) && site_publish(p, k)) {
        e = write_pages(w->start, k->jump, PATCH_JUMP);
        if (e)
            site_unpublish(p, w->site);
    }
    sched_thaw(&mm->sched);
    return e;
}

static int rewrite(struct mm *mm, struct patches *p, const struct patch_window *w,
                   struct work *k)
{
    uaddr_t slot;
    mutex_lock(&mm->lock);
    int e = slot_get(mm, p, w, &slot);
    mutex_unlock(&mm->lock);
    if (!e)
        e = patch_build(w, &k->text, slot, (uaddr_t)syscall_entry, k->code, &k->built);
    if (e)
        return e;
    patch_jump(w, slot, k->jump);
    mutex_lock(&mm->lock);
    e = may_change(mm, p, slot, slot + k->built.length)
            ? write_trampoline(mm, slot, k->code, k->built.length)
            : -EAGAIN; /* there was a fork meanwhile */
    if (!e)
        e = write_jump(mm, p, w, k);
    mutex_unlock(&mm->lock);
    return e;
}

/* ---- deciding ---- */

/* A copy of the text around `site`, as far as its mapping reaches. */
static int read_text(struct mm *mm, uaddr_t site, uint8_t *buffer, struct patch_text *t)
{
    mutex_lock(&mm->lock);
    struct vma *v = vma_at(mm, site);
    bool good = may_rewrite(v, site, site + 2);
    uaddr_t start = good ? MAX(v->start, site - MIN(site, (uaddr_t)PATCH_BEFORE)) : 0;
    uaddr_t end = good ? MIN(v->end, site + PATCH_AFTER_SITE) : 0;
    mutex_unlock(&mm->lock);
    if (!good)
        return -EACCES;
    *t = (struct patch_text){.start = start, .bytes = buffer, .size = end - start};
    return copy_from_user(buffer, start, t->size);
}

static int patch_now(struct mm *mm, struct patches *p, uaddr_t site)
{
    struct work *k = kmalloc(sizeof(*k));
    if (!k)
        return -ENOMEM;
    int e = read_text(mm, site, k->bytes, &k->text);
    unsigned n = e ? 0 : patch_plan(&k->text, site, k->windows);
    if (!e)
        e = -ENOEXEC;
    for (unsigned i = 0; i < n && e; i++) {
        if (!window_taken(p, &k->windows[i]))
            e = rewrite(mm, p, &k->windows[i], k);
    }
    kfree(k);
    return e;
}

/* Counts the trap; *fresh becomes NULL when the table took it. True: time to rewrite the site.
 */
static bool site_due(struct patches *p, uaddr_t at, struct site **fresh)
{
    bool due = false;
    spin_lock(&p->lock);
    p->traps++;
    struct site *s = site_from(p, at);
    if ((!s || s->at != at) && *fresh && p->site_count < MAX_SITES) {
        s = *fresh;
        *fresh = NULL;
        s->at = at;
        s->threshold = PATCH_TRAPS;
        site_insert(p, s);
    }
    if (s && s->at == at && s->state == SITE_COUNTING)
        due = ++s->traps >= s->threshold;
    spin_unlock(&p->lock);
    return due;
}

static bool site_known(struct patches *p, uaddr_t at)
{
    spin_lock(&p->lock);
    struct site *s = site_from(p, at);
    bool known = s && s->at == at;
    spin_unlock(&p->lock);
    return known;
}

/* What cannot be done stays so; what could not be done now is tried again, ever more rarely. */
static void site_failed(struct patches *p, uaddr_t at, bool for_ever)
{
    spin_lock(&p->lock);
    struct site *s = site_from(p, at);
    if (s && s->at == at && s->state == SITE_COUNTING) {
        s->traps = 0;
        s->threshold = MIN(s->threshold * 4, 1024u);
        if (for_ever)
            s->state = SITE_FAILED;
    }
    spin_unlock(&p->lock);
}

/* False: no rewritten site there, or its text was replaced behind our back; then it is
 * forgotten, unless another memory, with text of its own, may still have it. */
static bool still_ours(struct patches *p, uaddr_t rip)
{
    uint8_t now[PATCH_JUMP], jump[PATCH_JUMP];
    uaddr_t start = 0, at = 0;
    spin_lock(&p->lock);
    struct site *s = site_from(p, rip);
    if (!s || s->at != rip || s->state != SITE_PATCHED)
        s = site_around(p, rip);
    if (s) {
        start = s->p.start;
        at = s->at;
        memcpy(jump, s->jump, sizeof(jump));
    }
    spin_unlock(&p->lock);
    if (!s)
        return false;
    if (!copy_from_user(now, start, sizeof(now)) && !memcmp(now, jump, sizeof(now)))
        return true;
    spin_lock(&p->lock);
    s = site_from(p, at);
    if (s && s->at == at && s->state == SITE_PATCHED && s->p.start == start &&
        atomic_load(&p->refs) == 1)
        site_remove(p, s);
    spin_unlock(&p->lock);
    return false;
}

int patch_site(struct mm *mm, uaddr_t site)
{
    struct patches *p = patches_of(mm);
    struct site *fresh = NULL;
    if (!p)
        p = patches_make(mm);
    if (!p)
        return -ENOMEM;
    (void)still_ours(p, site); /* original text where we wrote a jump: start afresh */
    if (!site_known(p, site)) {
        fresh = kzalloc(sizeof(*fresh));
        if (!fresh)
            return -ENOMEM;
    }
    bool due = site_due(p, site, &fresh);
    kfree(fresh);
    if (!due || atomic_exchange(&p->busy, true))
        return -EAGAIN;
    int e = patch_now(mm, p, site);
    atomic_store(&p->busy, false);
    if (e)
        site_failed(p, site, e == -ENOEXEC);
    return e;
}

/* ---- cpuid, in text that nobody runs ---- */

static bool all_present(uaddr_t start, uaddr_t end)
{
    uint8_t state;
    for (uaddr_t at = align_down(start, PAGE_SIZE); at < end;) {
        at = present_run(at, end, &state);
        if (!(state & PAGE_PRESENT))
            return false;
    }
    return true;
}

/* The text around, as far as it is in place. */
static bool read_present(const struct vma *v, uaddr_t site, uint8_t *buffer,
                         struct patch_text *t)
{
    uaddr_t start = MAX(v->start, site - MIN(site, (uaddr_t)PATCH_BEFORE));
    uaddr_t end = MIN(v->end, site + PATCH_AFTER_SITE);
    *t = (struct patch_text){.start = start, .bytes = buffer, .size = end - start};
    return all_present(start, end) && !user_copy_raw(buffer, (const void *)start, t->size);
}

/* For several writes. Whoever keeps or drops the pages looks at their permissions. */
static void open_pages(uaddr_t start, uaddr_t end)
{
    for (uaddr_t page = align_down(start, PAGE_SIZE); page < end; page += PAGE_SIZE) {
        uint8_t state = present_get(page);
        if (!(state & PAGE_PRESENT) || (state & PAGES_W))
            continue;
        enclave_pages_protect(page, 1, state & PAGE_PERMS, (state & PAGE_PERMS) | PAGES_W);
        present_set(page, page + PAGE_SIZE, state | PAGES_W);
    }
}

static int rest_window(struct mm *mm, struct patches *p, const struct patch_window *w,
                       struct work *k) HELD(mm->lock)
{
    uaddr_t slot;
    int e = slot_get(mm, p, w, &slot);
    if (!e)
        e = patch_build(w, &k->text, slot, (uaddr_t)cpuid_entry, k->code, &k->built);
    if (e)
        return e;
    open_pages(slot, slot + k->built.length);
    open_pages(w->start, w->start + PATCH_JUMP);
    e = write_trampoline(mm, slot, k->code, k->built.length);
    if (e)
        return e;
    patch_jump(w, slot, k->jump);
    return site_publish(p, k) ? write_pages(w->start, k->jump, PATCH_JUMP) : -EAGAIN;
}

static void rest_site(struct mm *mm, struct patches *p, const struct vma *v, uaddr_t at,
                      struct work *k) HELD(mm->lock)
{
    if (site_known(p, at) || p->site_count >= MAX_SITES ||
        !read_present(v, at, k->bytes, &k->text))
        return;
    unsigned n = patch_plan(&k->text, at, k->windows);
    struct site *s = n ? kzalloc(sizeof(*s)) : NULL;
    if (!s)
        return;
    s->at = at;
    spin_lock(&p->lock);
    site_insert(p, s);
    spin_unlock(&p->lock);
    for (unsigned i = 0; i < n; i++) {
        if (!window_taken(p, &k->windows[i]) && !rest_window(mm, p, &k->windows[i], k))
            return;
    }
    spin_lock(&p->lock);
    site_remove(p, s);
    spin_unlock(&p->lock);
}

static bool has_a2(uint64_t word)
{
    word ^= 0xa2a2a2a2a2a2a2a2ull;
    return (word - 0x0101010101010101ull) & ~word & 0x8080808080808080ull;
}

/* The next cpuid in a page at or after `at`, or the page's size; not one at its very end. */
static size_t find_cpuid(const uint8_t *page, size_t at)
{
    uint64_t word;

    for (at++; at < PAGE_SIZE; at++) {
        if (at % 8 == 0) {
            memcpy(&word, page + at, sizeof(word));
            if (!has_a2(word)) {
                at += 7;
                continue;
            }
        }
        if (page[at] == 0xa2 && page[at - 1] == 0x0f)
            return at - 1;
    }
    return PAGE_SIZE;
}

/* A cpuid costs an exit of a virtual machine, and dozens are executed in each start of a
 * program. Nobody runs here: no freezing. The pages get their permissions from who keeps them.
 */
void patch_cpuid(struct mm *mm, struct vma *v) HELD(mm->lock)
{
    struct patches *p = patches_of(mm);
    struct work *k = kmalloc(sizeof(*k));
    uint8_t *page = kmalloc(PAGE_SIZE);
    if (!p)
        p = patches_make(mm);
    bool good =
        p && k && page && atomic_load(&p->refs) == 1 && may_rewrite(v, v->start, v->end);
    for (uaddr_t at = v->start; good && at < v->end; at += PAGE_SIZE) {
        if (!(present_get(at) & PAGE_PRESENT) ||
            user_copy_raw(page, (const void *)at, PAGE_SIZE))
            continue;
        for (size_t i = find_cpuid(page, 0); i < PAGE_SIZE; i = find_cpuid(page, i + 1))
            rest_site(mm, p, v, at + i, k);
    }
    kfree(page);
    kfree(k);
}

/* ---- translating ---- */

uaddr_t patch_site_of(struct mm *mm, uaddr_t rip)
{
    struct patches *p = patches_of(mm);
    if (!p)
        return rip;
    spin_lock(&p->lock);
    struct site *s = site_of_trampoline(p, rip);
    uaddr_t text = s ? patch_to_text(&s->p, rip) : rip;
    spin_unlock(&p->lock);
    return text;
}

bool patch_redirect(struct mm *mm, uaddr_t rip, uaddr_t *new_rip)
{
    struct patches *p = patches_of(mm);
    if (!p || !still_ours(p, rip))
        return false;
    spin_lock(&p->lock);
    struct site *s = site_around(p, rip);
    bool found = s && patch_to_trampoline(&s->p, rip, new_rip);
    spin_unlock(&p->lock);
    return found;
}

/* ---- the life of a memory ---- */

void patch_forget(struct mm *mm, uaddr_t start, uaddr_t end)
{
    struct patches *p = patches_of(mm);
    if (!p || atomic_load(&p->refs) > 1) /* the others still have that text */
        return;
    spin_lock(&p->lock);
    struct site *s = site_from(p, start < PATCH_MAX_WINDOW ? 0 : start - PATCH_MAX_WINDOW);
    while (s && s->at < end + PATCH_MAX_WINDOW) {
        struct site *next = site_next(s);
        uaddr_t from = s->state == SITE_PATCHED ? s->p.start : s->at;
        uaddr_t to = s->state == SITE_PATCHED ? s->p.end : s->at + 2;
        if (from < end && start < to)
            site_remove(p, s);
        s = next;
    }
    spin_unlock(&p->lock);
}

static bool window_present(uaddr_t start)
{
    return present_get(start) && present_get(start + PATCH_JUMP - 1);
}

/* Puts the text of one site back; nobody runs meanwhile. */
static void restore_site(struct mm *mm, struct patches *p, uaddr_t at)
{
    uint8_t now[PATCH_JUMP], old[PATCH_JUMP], jump[PATCH_JUMP];
    bool frozen = atomic_load(&mm->sched.frozen_by) == current;
    if (!frozen)
        sched_freeze(&mm->sched);
    spin_lock(&p->lock);
    struct site *s = site_from(p, at);
    uaddr_t start = s->p.start;
    memcpy(old, s->old, sizeof(old));
    memcpy(jump, s->jump, sizeof(jump));
    if (atomic_load(&p->refs) == 1)
        site_remove(p, s);
    spin_unlock(&p->lock);
    if (window_present(start) && !user_copy_raw(now, (const void *)start, sizeof(now)) &&
        !memcmp(now, jump, sizeof(now)) && write_pages(start, old, sizeof(old)))
        log_warn("a rewritten system call at 0x%lx could not be put back", start);
    if (!frozen)
        sched_thaw(&mm->sched);
}

uaddr_t patch_next(struct mm *mm, uaddr_t start, uaddr_t end)
{
    struct patches *p = patches_of(mm);
    uaddr_t next = end;

    if (!p)
        return end;
    spin_lock(&p->lock);
    struct site *s = site_from(p, start < PATCH_MAX_WINDOW ? 0 : start - PATCH_MAX_WINDOW);
    while (s && (s->state != SITE_PATCHED || s->p.start + PATCH_JUMP <= start))
        s = site_next(s);
    if (s)
        next = MIN(MAX(align_down(s->p.start, PAGE_SIZE), start), end);
    spin_unlock(&p->lock);
    return next;
}

void patch_restore(struct mm *mm, uaddr_t start, uaddr_t end)
{
    struct patches *p = patches_of(mm);
    uaddr_t at = start < PATCH_MAX_WINDOW ? 0 : start - PATCH_MAX_WINDOW;
    while (p && at < end + PATCH_MAX_WINDOW) {
        spin_lock(&p->lock);
        struct site *s = site_from(p, at);
        bool hit = s && s->state == SITE_PATCHED && s->p.start < end &&
                   start < s->p.start + PATCH_JUMP;
        at = s ? s->at : UINT64_MAX;
        spin_unlock(&p->lock);
        if (hit)
            restore_site(mm, p, at);
        if (!s)
            return;
        at++;
    }
}

static bool zone_near(struct mm *mm, struct patches *p, uaddr_t site)
{
    uaddr_t image = image_of(mm, site);
    struct zone *z;
    list_for_each (z, &p->zones, node) {
        int64_t distance = (int64_t)(z->base - site);
        if (z->image == image && distance == (int32_t)distance)
            return true;
    }
    return false;
}

/* The next site at or above *at that is not rewritten; false: there is none. */
static bool next_counting(struct patches *p, uaddr_t *at)
{
    spin_lock(&p->lock);
    struct site *s = site_from(p, *at);
    while (s && s->state != SITE_COUNTING)
        s = site_next(s);
    if (s)
        *at = s->at;
    spin_unlock(&p->lock);
    return s != NULL;
}

/* The fork holds parent->lock. */
UNCHECKED_LOCKING void patch_fork_prepare(struct mm *parent)
{
    struct patches *p = patches_of(parent);
    struct zone *z;
    if (!p || atomic_exchange(&p->busy, true))
        return;
    if (atomic_load(&p->refs) == 1) {
        for (uaddr_t at = 0; next_counting(p, &at); at++)
            if (!zone_near(parent, p, at) && zone_make(parent, p, at))
                break;
        list_for_each (z, &p->zones, node) {
            struct vma *v = vma_at(parent, z->base);
            uaddr_t end = z->base + FORK_PAGES * PAGE_SIZE;
            if (v && v->prot == (PROT_READ | PROT_EXEC) && v->end >= end &&
                make_present(parent, v, z->base, end))
                break;
        }
    }
    atomic_store(&p->busy, false);
}

void patch_mm_fork(struct mm *child, struct mm *parent)
{
    struct patches *p = patches_of(parent);
    if (!p)
        p = patches_make(parent);
    if (!p)
        return; /* each its own table; a change of text first parts them */
    atomic_fetch_add(&p->refs, 1);
    child->patch = p;
}

void patch_stats(struct mm *mm, struct patch_stats *out)
{
    struct patches *p = patches_of(mm);
    *out = (struct patch_stats){0};
    if (!p)
        return;
    spin_lock(&p->lock);
    out->zones = p->zone_count;
    out->traps = p->traps;
    out->rewritten = p->rewritten;
    for (struct site *s = site_from(p, 0); s; s = site_next(s)) {
        out->sites++;
        out->patched += s->state == SITE_PATCHED;
        out->failed += s->state == SITE_FAILED;
    }
    spin_unlock(&p->lock);
}

void patch_mm_fini(struct mm *mm)
{
    struct patch_stats st;
    if (log_levels[LOG_HERE] >= LOG_DEBUG && mm->patch) {
        patch_stats(mm, &st);
        log_debug("%lu system calls trapped, %lu sites rewritten, %lu zones", st.traps,
                  st.rewritten, st.zones);
    }
    patches_put(mm->patch);
    mm->patch = NULL;
}
