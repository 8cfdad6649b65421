/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Directories of a union: all layers' names, each once, as a snapshot taken when reading
 * starts, so that positions stay valid.
 */
#include "abi/errno.h"
#include "fs/unionfs/node.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define HIDDEN 0xffu

struct entry {
    uint64_t ino;
    uint32_t hash;
    uint8_t type, layer, len;
    char name[]; /* with its NUL */
};

struct listing {
    struct dir_sink sink;
    uint8_t layer; /* whose names come */
    bool failed;
    struct entry **entries;
    size_t count, room;
    uint32_t *slots; /* index + 1 by hash; a power of two, at least twice `room` */
};

static void listing_free(struct listing *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->count; i++)
        kfree(l->entries[i]);
    kfree(l->entries);
    kfree(l->slots);
    kfree(l);
}

static uint32_t hash_of(const char *name, size_t len)
{
    uint64_t h = len;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)name[i]) * 0x9e3779b97f4a7c15ull;
    return (uint32_t)(h >> 32);
}

/* The slot of that name, or the free one where it belongs. */
static uint32_t *slot_of(struct listing *l, const char *name, size_t len, uint32_t hash)
{
    size_t mask = l->room * 2 - 1, at = hash & mask;
    while (l->slots[at]) {
        struct entry *e = l->entries[l->slots[at] - 1];
        if (e->hash == hash && e->len == len && memcmp(e->name, name, len) == 0)
            break;
        at = (at + 1) & mask;
    }
    return &l->slots[at];
}

static bool grow(struct listing *l)
{
    size_t room = l->room ? l->room * 2 : 64;
    struct entry **entries = krealloc(l->entries, room * sizeof(struct entry *));
    if (!entries)
        return false;
    l->entries = entries;
    uint32_t *slots = kcalloc(room * 2, sizeof(*slots));
    if (!slots)
        return false;
    kfree(l->slots);
    l->slots = slots;
    l->room = room;
    for (size_t i = 0; i < l->count; i++) {
        struct entry *e = entries[i];
        *slot_of(l, e->name, e->len, e->hash) = (uint32_t)i + 1;
    }
    return true;
}

static bool is_dots(const char *name, size_t len)
{
    return name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'));
}

static bool take(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
                 uint32_t type, uint64_t next)
{
    struct listing *l = container_of(sink, struct listing, sink);
    (void)next;
    if (is_dots(name, len) || len > NAME_MAX)
        return true;
    if (l->count == l->room && !grow(l)) {
        l->failed = true;
        return false;
    }
    uint32_t hash = hash_of(name, len), *slot = slot_of(l, name, len, hash);
    if (*slot)
        return true; /* a layer above has it */
    struct entry *e = kmalloc(sizeof(*e) + len + 1);
    l->failed = !e;
    if (!e)
        return false;
    *e = (struct entry){ino, hash, (uint8_t)type, l->layer, (uint8_t)len};
    memcpy(e->name, name, len);
    e->name[len] = 0;
    l->entries[l->count++] = e;
    *slot = (uint32_t)l->count;
    return true;
}

static int list_layer(struct listing *l, struct mount *m, struct dentry *d, uint32_t layer)
{
    l->layer = (uint8_t)layer;
    int r = layer_list(m, d, &l->sink);
    return l->failed ? -ENOMEM : r;
}

/* Hides whiteouts: devices are looked at in their layer. */
static void check_whiteout(struct union_node *n, struct entry *e)
{
    struct dentry *dir = NULL, *d;
    if (e->type != DT_CHR && e->type != DT_UNKNOWN)
        return;
    if (e->layer == UNION_UPPER)
        dir = union_upper(n);
    for (uint32_t i = 0; i < n->lower_count && !dir; i++)
        dir = n->lower[i].layer == e->layer ? n->lower[i].dentry : NULL;
    if (!dir || layer_lookup(dir, e->name, &d) < 0)
        return;
    if (union_whiteout(d->inode))
        e->type = HIDDEN;
    dentry_put(d);
}

static int make_listing(struct union_node *n, struct listing **out)
{
    struct union_super *s = union_super(&n->inode);
    struct dentry *upper = union_upper(n);
    struct listing *l = kzalloc(sizeof(*l));
    int r = l ? 0 : -ENOMEM;
    if (r < 0)
        return r;
    l->sink.emit = take;
    if (upper)
        r = list_layer(l, s->upper.mount, upper, UNION_UPPER);
    for (uint32_t i = 0; r == 0 && i < n->lower_count; i++) {
        uint32_t layer = n->lower[i].layer;
        r = list_layer(l, s->lower[layer].mount, n->lower[i].dentry, layer);
    }
    for (size_t i = 0; r == 0 && i < l->count; i++)
        check_whiteout(n, l->entries[i]);
    if (r < 0)
        listing_free(l);
    else
        *out = l;
    return r;
}

int union_dir_empty(struct union_node *n)
{
    struct listing *l;
    int r = make_listing(n, &l);
    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < l->count; i++)
        r = l->entries[i]->type == HIDDEN ? 0 : -ENOTEMPTY;
    listing_free(l);
    return r;
}

/* Numbers as stat gives them: what was copied up keeps its own, so it is looked up. */
static void give_number(struct file *f, struct entry *e)
{
    struct union_super *s = union_super(f->inode);
    struct dentry *d;
    if (e->layer != UNION_UPPER) {
        struct union_origin o = {e->layer, 0, e->ino};
        e->ino = union_origin_ino(s, &o);
    } else if (path_lookup(f->path.dentry, e->name, true, &d) == 0) {
        if (d->inode)
            e->ino = d->inode->ino;
        dentry_put(d);
    }
}

static int refill(struct file *f)
{
    struct listing *l = NULL;
    int r = make_listing(union_node(f->inode), &l);
    if (r < 0)
        return r;
    for (size_t i = 0; i < l->count; i++) {
        if (l->entries[i]->type != HIDDEN)
            give_number(f, l->entries[i]);
    }
    listing_free(f->private);
    f->private = l;
    return 0;
}

static int union_readdir(struct file *f, struct dir_sink *sink)
{
    int r = f->pos == 0 || !f->private ? refill(f) : 0;
    if (r < 0 || !dir_emit_dots(f, sink))
        return r;
    struct listing *l = f->private;
    for (uint64_t at = f->pos - 2; at < l->count; at++) {
        struct entry *e = l->entries[at];
        bool more =
            e->type == HIDDEN || sink->emit(sink, e->name, e->len, e->ino, e->type, at + 3);
        if (!more)
            return 0;
        f->pos = at + 3;
    }
    return 0;
}

static void union_dir_release(struct file *f)
{
    listing_free(f->private);
}

static int union_dir_fsync(struct file *f, bool data_only)
{
    struct union_super *s = union_super(f->inode);
    struct dentry *upper = union_upper(union_node(f->inode));
    struct file *real;
    if (!upper)
        return 0;
    int r = layer_open(s->upper.mount, upper, O_RDONLY, &real);
    if (r < 0)
        return r;
    r = real->ops->fsync ? real->ops->fsync(real, data_only) : 0;
    file_put(real);
    return r;
}

const struct file_ops union_dir_file_ops = {
    .readdir = union_readdir,
    .seek = file_seek_dir,
    .fsync = union_dir_fsync,
    .release = union_dir_release,
};
