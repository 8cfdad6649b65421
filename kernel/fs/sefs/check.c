/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checks a whole store: every node and every block of data opens, all items make sense, names
 * lead to inodes that are there, link counts are right, and the map of free space says exactly
 * what is used. Changes nothing; nothing may change meanwhile.
 */
#include "abi/errno.h"
#include "abi/stat.h"
#include "fs/sefs/internal.h"
#include "lib/radix.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

struct tally {
    uint32_t names;   /* that lead to it */
    uint32_t subdirs; /* of a directory */
    uint64_t blocks;
    uint32_t nlink, mode;
    uint64_t want_blocks;
    bool there, orphan;
};

struct checker {
    struct store *s;
    struct store_check *report;
    struct radix inodes; /* tallies */
    uint64_t *seen;      /* a bit a block */
    uint64_t blocks;     /* bits in it */
    uint64_t used, reserved;
    int64_t problems;
};

static void problem(struct checker *c, const char *what, uint64_t a, uint64_t b)
{
    char text[160];
    format_string(text, sizeof(text), what, (unsigned long)a, (unsigned long)b);
    c->problems++;
    if (c->report->problem)
        c->report->problem(c->report, text);
}

static struct tally *tally_of(struct checker *c, uint64_t ino)
{
    struct tally *t = radix_get(&c->inodes, ino);
    if (t)
        return t;
    t = kzalloc(sizeof(*t));
    if (t && radix_set(&c->inodes, ino, t) < 0) {
        kfree(t);
        t = NULL;
    }
    return t;
}

/* False: it has been seen before, or cannot be. */
static bool see(struct checker *c, uint64_t block, const char *what)
{
    if (block < SEFS_FIRST || block >= c->blocks) {
        problem(c, "block %lu lies outside of the store", block, 0);
        return false;
    }
    if (c->seen[block / 64] >> (block % 64) & 1) {
        problem(c, what, block, 0);
        return false;
    }
    c->seen[block / 64] |= 1ull << (block % 64);
    c->used++;
    if (c->report->progress && c->used % 1024 == 0)
        c->report->progress(c->report, c->used, c->s->space.used);
    return true;
}

static void check_extent(struct checker *c, uint64_t ino, struct tally *t,
                         const struct item *it)
{
    const struct sefs_extent *e = it->value;
    if (!extent_valid(it)) {
        problem(c, "inode %lu: the extent at block %lu makes no sense", ino, it->key.lo);
        return;
    }
    t->blocks += e->count;
    if (e->flags & SEFS_EXTENT_RESERVED) {
        c->reserved += e->count;
        return;
    }
    struct sefs_ptr ptr = {.block = e->block};
    memcpy(ptr.salt, e->salt, SEFS_SALT);
    for (uint32_t i = 0; i < e->count; i++, ptr.block++) {
        memcpy(ptr.tag, e->tags[i], SEFS_TAG);
        if (!see(c, ptr.block, "block %lu belongs to two files"))
            continue;
        if (block_read(c->s, &ptr, c->s->bounce) < 0)
            problem(c, "inode %lu: block %lu of the file cannot be read", ino, it->key.lo + i);
    }
}

static int check_names(struct checker *c, uint64_t dir, struct tally *t, const struct item *it)
{
    for (size_t at = 0; at < it->size;) {
        const struct sefs_name *n = (const struct sefs_name *)((uint8_t *)it->value + at);
        if (at + sizeof(*n) > it->size || at + sizeof(*n) + n->len > it->size || !n->len) {
            problem(c, "directory %lu: a name makes no sense", dir, 0);
            return 0;
        }
        struct tally *to = tally_of(c, n->ino);
        if (!to)
            return -ENOMEM;
        to->names++;
        t->subdirs += n->type == S_IFDIR >> 12;
        if (name_hash(c->s, n->name, n->len) != it->key.lo)
            problem(c, "directory %lu: the name of inode %lu is in the wrong place", dir,
                    n->ino);
        at += sizeof(*n) + n->len;
    }
    return 0;
}

static int check_item(struct checker *c, const struct item *it)
{
    uint64_t ino = it->key.hi >> 8;
    uint32_t type = it->key.hi & 0xff;
    struct tally *t = tally_of(c, type == SEFS_ITEM_ORPHAN ? it->key.lo : ino);
    const struct sefs_inode *i = it->value;
    if (!t)
        return -ENOMEM;
    switch (type) {
    case SEFS_ITEM_INODE:
        if (it->size != sizeof(*i)) {
            problem(c, "inode %lu has a record of %lu bytes", ino, it->size);
            return 0;
        }
        t->there = true;
        t->nlink = i->nlink;
        t->mode = i->mode;
        t->want_blocks = i->blocks;
        c->report->inodes++;
        return 0;
    case SEFS_ITEM_NAME:
        return check_names(c, ino, t, it);
    case SEFS_ITEM_EXTENT:
        check_extent(c, ino, t, it);
        return 0;
    case SEFS_ITEM_ORPHAN:
        t->orphan = true;
        return 0;
    case SEFS_ITEM_XATTR:
    case SEFS_ITEM_LINK:
        return 0;
    default:
        problem(c, "inode %lu has an item of kind %lu", ino, type);
        return 0;
    }
}

/* What a node says must lie between its neighbours' keys. */
static int check_node(struct checker *c, const struct sefs_ptr *ptr, unsigned level,
                      struct sefs_key *last)
{
    struct bnode *n;
    int r = node_get(c->s, ptr, level, &n);
    if (r == -ENOMEM)
        return r;
    if (!(ptr->block & NODE_MEMORY) && !see(c, ptr->block, "block %lu is used twice"))
        return 0;
    if (r < 0) {
        problem(c, "block %lu, a node of level %lu, cannot be read", ptr->block, level);
        return 0;
    }
    r = 0;
    for (uint32_t i = 0; i < n->head->count && r == 0; i++) {
        if (level) {
            r = check_node(c, &inner_slots(n)[i].ptr, level - 1, last);
            continue;
        }
        const struct sefs_slot_leaf *v = &leaf_slots(n)[i];
        struct item it = {.key = v->key, .value = n->data + v->at, .size = v->size};
        if (key_compare(*last, v->key) >= 0)
            problem(c, "block %lu: keys are not in order", ptr->block, 0);
        *last = v->key;
        r = check_item(c, &it);
    }
    return r;
}

static void check_tallies(struct checker *c)
{
    struct tally *t;
    for (uint64_t ino = 0; (t = radix_next(&c->inodes, &ino)) != NULL; ino++) {
        bool dir = (t->mode & S_IFMT) == S_IFDIR;
        uint32_t want = dir ? t->subdirs + 2 : t->names;
        if (!t->there)
            problem(c, "inode %lu is named but is not there", ino, 0);
        else if (t->orphan ? t->names || t->nlink : t->nlink != want)
            problem(c, "inode %lu has %lu links, which is wrong", ino, t->nlink);
        else if (!t->orphan && ino != SEFS_ROOT_INO && (dir ? t->names != 1 : !t->names))
            problem(c, "inode %lu has no name, or a directory has several", ino, 0);
        if (t->there && t->blocks != t->want_blocks)
            problem(c, "inode %lu holds %lu blocks, its record says otherwise", ino, t->blocks);
    }
}

static void check_space(struct checker *c)
{
    const struct space *p = &c->s->space;
    for (uint32_t i = 0; i < SEFS_FIRST; i++)
        c->seen[0] |= 1ull << i;
    for (uint32_t i = 0; i < p->count; i++) {
        if (p->groups[i]->map.block)
            (void)see(c, p->groups[i]->map.block, "block %lu of a bitmap is used twice");
    }
    for (uint32_t k = 0; k * SEFS_INDEX_PTRS < p->count; k++) {
        if (p->index[k].block)
            (void)see(c, p->index[k].block, "block %lu of the map is used twice");
    }
    for (uint64_t b = 0; b < c->blocks; b++) {
        bool seen = c->seen[b / 64] >> (b % 64) & 1;
        if (seen != space_is_used(c->s, b))
            problem(c,
                    seen ? "block %lu is in use but counts as free"
                         : "block %lu is free but counts as used",
                    b, 0);
    }
    if (c->reserved != c->s->root.reserved_blocks)
        problem(c, "%lu blocks are set aside, the root says %lu", c->reserved,
                c->s->root.reserved_blocks);
}

bool store_block_used(const struct store *s, uint64_t block)
{
    return space_is_used(s, block);
}

int64_t store_check(struct store *s, struct store_check *report)
{
    struct checker c = {.s = s, .report = report};
    struct sefs_key last = {0};
    struct tally *t;
    c.blocks = (uint64_t)s->space.count * SEFS_GROUP;
    c.seen = kcalloc(c.blocks / 64, sizeof(uint64_t));
    if (!c.seen)
        return -ENOMEM;
    radix_init(&c.inodes);
    int r = check_node(&c, &s->root.tree, s->root.height - 1u, &last);
    if (r == 0) {
        check_tallies(&c);
        check_space(&c);
        if (c.report->inodes != s->root.inode_count)
            problem(&c, "there are %lu inodes, the root says %lu", c.report->inodes,
                    s->root.inode_count);
    }
    report->blocks = c.used;
    for (uint64_t ino = 0; (t = radix_next(&c.inodes, &ino)) != NULL; ino++)
        kfree(radix_remove(&c.inodes, ino));
    kfree(c.seen);
    return r < 0 ? r : c.problems;
}
