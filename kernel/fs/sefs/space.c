/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Free space: bitmaps of 128 MiB each, all in memory. A block that is freed stays held until
 * the commit that no longer refers to it is durable, because the state before may still be
 * needed; that also keeps a commit from writing to one place twice. Search begins at the
 * lowest block, so that small commits go round in places that the host has already given.
 *
 * Changes travel in the root as long as they fit there; when they do not, the bitmaps that
 * changed are written, to new places as everything is.
 */
#include "abi/errno.h"
#include "fs/sefs/internal.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define PUNCH_MIN 64u /* blocks: shorter holes cost the host more than they give */
#define SMALL     8u  /* blocks of data after which nodes are to follow at once */
#define FOLLOW    4u  /* ... so many of them */
#define SLACK     64u /* free blocks that are left for that in a small store */

/* The processor has an instruction, but not every processor that runs this. */
static uint32_t count_bits(uint64_t v)
{
    v -= v >> 1 & 0x5555555555555555u;
    v = (v & 0x3333333333333333u) + (v >> 2 & 0x3333333333333333u);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (uint32_t)(v * 0x0101010101010101u >> 56);
}

static bool bit_get(const uint64_t *map, uint32_t i)
{
    return map[i / 64] >> (i % 64) & 1;
}

static void bit_put(uint64_t *map, uint32_t i, bool on)
{
    uint64_t bit = 1ull << (i % 64);
    map[i / 64] = on ? map[i / 64] | bit : map[i / 64] & ~bit;
}

/* The first bit at or after `from` that is `on`; SEFS_GROUP: none. */
static uint32_t bit_next(const uint64_t *map, uint32_t from, bool on)
{
    while (from < SEFS_GROUP) {
        uint64_t word = on ? map[from / 64] : ~map[from / 64];
        word >>= from % 64;
        if (word)
            return from + (uint32_t)__builtin_ctzll(word);
        from = (from / 64 + 1) * 64;
    }
    return SEFS_GROUP;
}

static int group_add(struct store *s)
{
    struct space *p = &s->space;
    if (p->count == SEFS_GROUPS_MAX)
        return -ENOSPC;
    struct group *g = kzalloc(sizeof(*g));
    if (!g)
        return -ENOMEM;
    g->free = g->longest = SEFS_GROUP;
    p->groups[p->count++] = g;
    if (p->count > 1)
        return 0;
    for (uint32_t i = 0; i < SEFS_FIRST; i++) {
        bit_put(g->used, i, true);
        bit_put(g->held, i, true);
    }
    g->free -= SEFS_FIRST;
    p->used += SEFS_FIRST;
    p->held += SEFS_FIRST;
    g->dirty = true;
    return 0;
}

static void delta_add(struct space *p, uint64_t start, uint64_t count, bool used)
{
    while (count && !p->delta_full) {
        uint64_t n = MIN(count, (uint64_t)SEFS_DELTA_COUNT);
        uint64_t kind = used ? SEFS_DELTA_USED : 0;
        uint64_t *last = p->delta_count ? &p->delta[p->delta_count - 1] : NULL;
        uint64_t have = last ? *last >> 48 & SEFS_DELTA_COUNT : 0;
        uint64_t end = last ? (*last & ((1ull << 48) - 1)) + have : 0;
        if (last && (*last & SEFS_DELTA_USED) == kind && end == start &&
            have + n <= SEFS_DELTA_COUNT)
            *last += n << 48;
        else if (p->delta_count == SEFS_DELTA_MAX)
            p->delta_full = true;
        else
            p->delta[p->delta_count++] = kind | n << 48 | start;
        start += n;
        count -= n;
    }
}

static void mark(struct store *s, uint64_t start, uint64_t count, bool used)
{
    struct space *p = &s->space;
    delta_add(p, start, count, used);
    for (uint64_t b = start; b < start + count; b++) {
        struct group *g = p->groups[b / SEFS_GROUP];
        uint32_t i = (uint32_t)(b % SEFS_GROUP);
        if (unlikely(bit_get(g->used, i) == used)) {
            log_always("sefs %s: block %lu is counted twice: run the check", s->name,
                       (unsigned long)b);
            p->used = used ? p->used - 1 : p->used + 1;
            p->delta_full = true;
            continue;
        }
        bit_put(g->used, i, used);
        g->dirty = g->touched = true;
        if (used) {
            bit_put(g->held, i, true);
            g->free--;
        }
    }
    p->used = used ? p->used + count : p->used - count;
    p->held += used ? count : 0;
    s->dirty = true;
}

/* A run of `want` in one group, below `limit`. */
static bool find_in_group(struct store *s, uint32_t index, uint32_t want, uint64_t limit,
                          uint64_t *start)
{
    struct group *g = s->space.groups[index];
    uint64_t base = (uint64_t)index * SEFS_GROUP;
    uint32_t end = (uint32_t)MIN((uint64_t)SEFS_GROUP, limit > base ? limit - base : 0);
    uint32_t longest = 0;
    for (uint32_t at = bit_next(g->held, 0, false); at < end;) {
        uint32_t stop = MIN(bit_next(g->held, at, true), end);
        if (stop - at >= want) {
            *start = base + at;
            return true;
        }
        longest = MAX(longest, stop - at);
        at = bit_next(g->held, stop, false);
    }
    if (limit == s->space.limit)
        g->longest = longest;
    return false;
}

static bool find_run(struct store *s, uint32_t want, uint64_t limit, uint64_t *start)
{
    for (uint32_t i = 0; i < s->space.count && (uint64_t)i * SEFS_GROUP < limit; i++) {
        const struct group *g = s->space.groups[i];
        if (g->free >= want && g->longest >= want && find_in_group(s, i, want, limit, start))
            return true;
    }
    return false;
}

uint32_t space_alloc(struct store *s, uint32_t want, uint64_t *start)
{
    uint64_t size = (uint64_t)s->space.count * SEFS_GROUP, limit = s->space.limit;
    bool dense = s->space.held * 4 > size * 3; /* else short runs are taken before it grows */
    for (uint32_t n = want; n; n /= 2) {
        bool found = find_run(s, n, limit, start);
        if (!found && (dense || n == 1) && size < limit && group_add(s) == 0)
            found = find_run(s, n, limit, start);
        if (found) {
            mark(s, *start, n, true);
            return n;
        }
    }
    return 0;
}

/* Little data, synced at once, with the nodes behind it is one write of the disk less. For that
 * a third of what is in use may lie free between. */
uint32_t space_alloc_data(struct store *s, uint32_t want, uint64_t *start)
{
    struct space *p = &s->space;
    uint64_t bound = MIN(p->limit, p->held + p->held / 2 + SLACK);
    if (want > SMALL || !find_run(s, want + FOLLOW, bound, start))
        return space_alloc(s, want, start);
    mark(s, *start, want, true);
    p->follow = *start + want;
    return want;
}

uint32_t space_alloc_nodes(struct store *s, uint32_t want, uint64_t *start)
{
    struct space *p = &s->space;
    uint64_t at = p->follow;
    p->follow = 0;
    bool fits = at && at % SEFS_GROUP + want <= SEFS_GROUP && at + want <= p->limit;
    const struct group *g = fits ? p->groups[at / SEFS_GROUP] : NULL;
    for (uint32_t i = 0; fits && i < want; i++)
        fits = !bit_get(g->held, (uint32_t)(at % SEFS_GROUP) + i);
    if (!fits)
        return space_alloc(s, want, start);
    *start = at;
    mark(s, at, want, true);
    return want;
}

void space_free(struct store *s, uint64_t start, uint64_t count)
{
    mark(s, start, count, false);
}

bool space_is_used(const struct store *s, uint64_t block)
{
    return block < (uint64_t)s->space.count * SEFS_GROUP &&
           bit_get(s->space.groups[block / SEFS_GROUP]->used, (uint32_t)(block % SEFS_GROUP));
}

/* ---- commits ---- */

void space_freeze(struct store *s)
{
    for (uint32_t i = 0; i < s->space.count; i++) {
        struct group *g = s->space.groups[i];
        if (!g->touched)
            continue;
        for (uint32_t w = 0; w < SEFS_GROUP / 64; w++)
            g->pend[w] = g->held[w] & ~g->used[w];
        g->pending = true;
        g->touched = false;
    }
}

static void punch_runs(struct store *s, uint32_t index, const struct group *g)
{
    for (uint32_t at = bit_next(g->pend, 0, true); at < SEFS_GROUP;) {
        uint32_t stop = bit_next(g->pend, at, false);
        if (stop - at >= PUNCH_MIN)
            (void)!s->dev->ops->punch(s->dev, (uint64_t)index * SEFS_GROUP + at, stop - at);
        at = bit_next(g->pend, stop, true);
    }
}

static void group_release(struct store *s, uint32_t index)
{
    struct group *g = s->space.groups[index];
    punch_runs(s, index, g);
    for (uint32_t w = 0; w < SEFS_GROUP / 64; w++) {
        uint32_t n = count_bits(g->pend[w]);
        g->held[w] &= ~g->pend[w];
        g->free += n;
        s->space.held -= n;
    }
    g->longest = SEFS_GROUP;
}

void space_end(struct store *s, bool durable)
{
    struct space *p = &s->space;
    for (uint32_t i = 0; i < p->count; i++) {
        struct group *g = p->groups[i];
        if (g->pending && durable)
            group_release(s, i);
        g->touched |= g->pending && !durable;
        g->dirty |= g->flushing && !durable;
        p->delta_full |= g->flushing && !durable;
        g->pending = g->flushing = false;
    }
}

static int place(struct store *s, struct sefs_ptr *ptr)
{
    uint64_t block;
    if (ptr->block)
        space_free(s, ptr->block, 1);
    ptr->block = 0;
    if (!space_alloc(s, 1, &block))
        return -ENOSPC;
    ptr->block = block;
    return 0;
}

/* New places for all bitmaps that changed, and those which that changes in turn. */
static int place_maps(struct store *s)
{
    struct space *p = &s->space;
    int r = 0;
    for (bool again = true; again && r == 0;) {
        again = false;
        for (uint32_t i = 0; i < p->count && r == 0; i++) {
            struct group *g = p->groups[i];
            uint32_t k = i / SEFS_INDEX_PTRS;
            bool map = g->dirty && !g->placed, index = g->dirty && !p->index_placed[k];
            if (map)
                r = place(s, &g->map);
            g->placed |= map && r == 0;
            if (r == 0 && index)
                r = place(s, &p->index[k]);
            p->index_placed[k] |= index && r == 0;
            again |= map || index;
        }
    }
    return r;
}

static int write_index(struct store *s, uint32_t k)
{
    struct space *p = &s->space;
    struct sefs_ptr *ptrs = (struct sefs_ptr *)s->scratch;
    memset(s->scratch, 0, SEFS_BLOCK);
    for (uint32_t i = 0; i < SEFS_INDEX_PTRS && k * SEFS_INDEX_PTRS + i < p->count; i++)
        ptrs[i] = p->groups[k * SEFS_INDEX_PTRS + i]->map;
    return writer_put(s, p->index[k].block, s->scratch, &p->index[k]);
}

static int write_maps(struct store *s)
{
    struct space *p = &s->space;
    int r = place_maps(s);
    for (uint32_t i = 0; i < p->count && r == 0; i++) {
        struct group *g = p->groups[i];
        if (!g->placed)
            continue;
        r = writer_put(s, g->map.block, g->used, &g->map);
        g->flushing = true;
    }
    for (uint32_t k = 0; k < SEFS_INDEX_MAX && r == 0; k++) {
        if (p->index_placed[k])
            r = write_index(s, k);
    }
    for (uint32_t i = 0; i < p->count; i++) {
        struct group *g = p->groups[i];
        g->dirty &= r < 0;
        g->placed = false;
    }
    memset(p->index_placed, 0, sizeof(p->index_placed));
    p->delta_count = 0;
    p->delta_full = r < 0;
    return r;
}

int space_write(struct store *s, struct sefs_root *root)
{
    struct space *p = &s->space;
    int r = 0;
    if (p->delta_full || root->group_count != p->count)
        r = write_maps(s);
    if (r < 0)
        return r;
    root->group_count = p->count;
    root->used_blocks = p->used;
    root->delta_count = p->delta_count;
    memcpy(root->delta, p->delta, sizeof(root->delta));
    memcpy(root->index, p->index, sizeof(root->index));
    return 0;
}

/* ---- loading ---- */

int space_claim(struct store *s, uint64_t start, uint64_t count, bool used)
{
    struct space *p = &s->space;
    uint64_t end = (uint64_t)p->count * SEFS_GROUP;
    if (start < SEFS_FIRST || start >= end || count > end - start)
        return -EIO;
    for (uint64_t b = start; b < start + count; b++) {
        struct group *g = p->groups[b / SEFS_GROUP];
        uint32_t i = (uint32_t)(b % SEFS_GROUP);
        if (bit_get(g->used, i) == used)
            return -EIO;
        bit_put(g->used, i, used);
        g->dirty = true;
    }
    return 0;
}

static int load_index(struct store *s, uint32_t k, uint32_t groups)
{
    struct space *p = &s->space;
    const struct sefs_ptr *ptrs = (const struct sefs_ptr *)s->bounce;
    int r = block_read(s, &p->index[k], s->bounce);
    for (uint32_t i = 0; i < groups && r == 0; i++) {
        r = group_add(s);
        if (r < 0)
            break;
        struct group *g = p->groups[p->count - 1];
        g->map = ptrs[i];
        g->dirty = false;
        r = g->map.block ? block_read(s, &g->map, g->used) : -EIO;
    }
    return r;
}

static void count_group(struct space *p, struct group *g)
{
    uint32_t used = 0;
    for (uint32_t w = 0; w < SEFS_GROUP / 64; w++)
        used += count_bits(g->used[w]);
    memcpy(g->held, g->used, sizeof(g->held));
    g->free = SEFS_GROUP - used;
    p->used += used;
    p->held += used;
}

static uint64_t last_used(const struct space *p)
{
    for (uint64_t b = (uint64_t)p->count * SEFS_GROUP; b; b--) {
        const struct group *g = p->groups[(b - 1) / SEFS_GROUP];
        uint32_t i = (uint32_t)((b - 1) % SEFS_GROUP);
        if (!g->used[i / 64])
            b -= i % 64; /* the whole word */
        else if (bit_get(g->used, i))
            return b;
    }
    return 0;
}

int space_load(struct store *s, const struct sefs_root *root)
{
    struct space *p = &s->space;
    int r = 0;
    memcpy(p->index, root->index, sizeof(p->index));
    for (uint32_t left = root->group_count, k = 0; left && r == 0; k++) {
        uint32_t n = MIN(left, SEFS_INDEX_PTRS);
        r = load_index(s, k, n);
        left -= n;
    }
    for (uint32_t i = 0; i < root->delta_count && r == 0; i++) {
        uint64_t d = root->delta[i];
        r = space_claim(s, d & ((1ull << 48) - 1), d >> 48 & SEFS_DELTA_COUNT,
                        d & SEFS_DELTA_USED);
    }
    p->used = p->held = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        count_group(p, p->groups[i]);
        bool known = space_is_used(s, p->groups[i]->map.block) &&
                     space_is_used(s, p->index[i / SEFS_INDEX_PTRS].block);
        r = known || r < 0 ? r : -EIO;
    }
    if (r < 0)
        return r;
    s->writer.end = last_used(p);
    p->delta_count = root->delta_count;
    memcpy(p->delta, root->delta, sizeof(p->delta));
    bool same = p->used == root->used_blocks;
    return same ? 0 : -EIO;
}

void space_drop(struct store *s)
{
    for (uint32_t i = 0; i < s->space.count; i++)
        kfree(s->space.groups[i]);
    s->space.count = 0;
    s->space.used = s->space.held = 0;
}
