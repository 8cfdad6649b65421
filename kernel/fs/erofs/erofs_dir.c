/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EROFS directories: blocks of entries sorted by name, each block with its entries first and
 * the names behind them. Two binary searches: for the block, by first names, then within it.
 */
#include "abi/errno.h"
#include "fs/erofs/node.h"
#include "lib/string.h"

struct dir_block {
    struct erofs_map map;
    size_t size;    /* bytes of the block that belong to the directory */
    uint32_t count; /* entries */
};

static struct erofs_disk_dirent entry(const struct dir_block *b, uint32_t index)
{
    struct erofs_disk_dirent d;
    memcpy(&d, b->map.at + index * sizeof(d), sizeof(d));
    return d;
}

static int block_open(struct erofs_node *dir, uint64_t block, struct dir_block *out)
{
    uint64_t position;
    size_t size;
    int r = erofs_locate(dir, block * EROFS_BLOCK, &position, &size);
    if (r < 0)
        return r;
    r = erofs_map(erofs_super(&dir->inode), position, &out->map);
    if (r < 0)
        return r;
    out->size = MIN(size, out->map.size);
    if (out->size >= sizeof(struct erofs_disk_dirent)) {
        uint32_t names = entry(out, 0).name_offset;
        out->count = names / (uint32_t)sizeof(struct erofs_disk_dirent);
        if (names % sizeof(struct erofs_disk_dirent) == 0 && out->count && names < out->size)
            return 0;
    }
    erofs_unmap(&out->map);
    return -EIO;
}

/* The name of an entry, within the block and not empty. */
static int name_of(const struct dir_block *b, uint32_t index, const char **name, size_t *len)
{
    size_t start = entry(b, index).name_offset, end = b->size;
    if (index + 1 < b->count)
        end = entry(b, index + 1).name_offset;
    if (start < b->count * sizeof(struct erofs_disk_dirent) || start >= end || end > b->size)
        return -EIO;
    *name = (const char *)b->map.at + start;
    *len = strnlen(*name, end - start);
    return *len == 0 || *len > NAME_MAX || memchr(*name, '/', *len) ? -EIO : 0;
}

static int compare(const struct dir_block *b, uint32_t index, const char *name, size_t len,
                   int *order)
{
    const char *have;
    size_t have_len;
    int r = name_of(b, index, &have, &have_len);
    if (r < 0)
        return r;
    int c = memcmp(name, have, MIN(len, have_len));
    *order = c ? c : (len > have_len) - (len < have_len);
    return 0;
}

/* 0: found, *nid is set; -ENOENT. */
static int search_block(const struct dir_block *b, const char *name, size_t len, uint64_t *nid)
{
    uint32_t low = 0, high = b->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order, r = compare(b, middle, name, len, &order);
        if (r < 0)
            return r;
        if (order == 0) {
            *nid = entry(b, middle).nid;
            return 0;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -ENOENT;
}

static int search(struct erofs_node *dir, const char *name, uint64_t *nid)
{
    uint64_t low = 0, high = (dir->inode.size + EROFS_BLOCK - 1) / EROFS_BLOCK;
    size_t len = strlen(name);
    /* the last block whose first name is not behind ours */
    while (low + 1 < high) {
        uint64_t middle = low + (high - low) / 2;
        struct dir_block b;
        int order, r = block_open(dir, middle, &b);
        if (r < 0)
            return r;
        r = compare(&b, 0, name, len, &order);
        erofs_unmap(&b.map);
        if (r < 0)
            return r;
        if (order < 0)
            high = middle;
        else
            low = middle;
    }
    struct dir_block b;
    int r = high ? block_open(dir, low, &b) : -ENOENT;
    if (r < 0)
        return r;
    r = search_block(&b, name, len, nid);
    erofs_unmap(&b.map);
    return r;
}

int erofs_lookup(struct inode *dir, const char *name, struct inode **out)
{
    uint64_t nid = 0;
    int r = search(erofs_node(dir), name, &nid);
    return r < 0 ? r : erofs_iget(erofs_super(dir), nid, out);
}

static uint32_t type_of(uint8_t type)
{
    static const uint8_t types[] = {DT_UNKNOWN, DT_REG,  DT_DIR,  DT_CHR,
                                    DT_BLK,     DT_FIFO, DT_SOCK, DT_LNK};
    return type < ARRAY_SIZE(types) ? types[type] : DT_UNKNOWN;
}

static bool is_dots(const char *name, size_t len)
{
    return name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'));
}

/* From entry `index` on; 1: the sink is full. */
static int emit_block(struct file *f, struct dir_sink *sink, const struct dir_block *b,
                      uint64_t block, uint32_t index)
{
    for (; index < b->count; index++) {
        struct erofs_disk_dirent d = entry(b, index);
        const char *name;
        size_t len;
        int r = name_of(b, index, &name, &len);
        if (r < 0)
            return r;
        uint64_t next = 2 + block * EROFS_BLOCK + index + 1;
        if (!is_dots(name, len) && !sink->emit(sink, name, len, d.nid, type_of(d.type), next))
            return 1;
        f->pos = next;
    }
    return 0;
}

/* Positions after the dots: 2, plus the block's offset, plus the entry's number in it. */
static int erofs_readdir(struct file *f, struct dir_sink *sink)
{
    struct erofs_node *dir = erofs_node(f->inode);
    if (!dir_emit_dots(f, sink))
        return 0;
    for (;;) {
        uint64_t block = (f->pos - 2) / EROFS_BLOCK;
        uint32_t index = (uint32_t)((f->pos - 2) % EROFS_BLOCK);
        struct dir_block b;
        if (block >= (dir->inode.size + EROFS_BLOCK - 1) / EROFS_BLOCK)
            return 0;
        int r = block_open(dir, block, &b);
        if (r < 0)
            return r;
        r = emit_block(f, sink, &b, block, index);
        erofs_unmap(&b.map);
        if (r)
            return r < 0 ? r : 0;
        f->pos = 2 + (block + 1) * EROFS_BLOCK;
    }
}

const struct file_ops erofs_dir_file_ops = {.readdir = erofs_readdir, .seek = file_seek_dir};
