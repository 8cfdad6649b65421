/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EROFS: super block, inodes, contents. Metadata goes through the cache of a nameless inode
 * that stands for the whole image; files have caches of their own. LIMIT: no compression, no
 * chunks, no further devices: such images are refused.
 */
#include "fs/erofs/erofs.h"

#include "abi/errno.h"
#include "fs/erofs/node.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

int erofs_map(struct erofs_super *s, uint64_t position, struct erofs_map *out)
{
    if (position >= s->bytes)
        return -EIO;
    int r = cache_get(&s->blocks->cache, position / EROFS_BLOCK, false, &out->page);
    if (r < 0)
        return r;
    out->at = out->page->data + position % EROFS_BLOCK;
    out->size = EROFS_BLOCK - position % EROFS_BLOCK;
    return 0;
}

void erofs_unmap(struct erofs_map *m)
{
    cache_put(m->page);
}

int erofs_copy(struct erofs_super *s, uint64_t position, void *buffer, size_t size)
{
    uint8_t *to = buffer;
    while (size) {
        struct erofs_map m;
        int r = erofs_map(s, position, &m);
        if (r < 0)
            return r;
        size_t n = MIN(size, m.size);
        memcpy(to, m.at, n);
        erofs_unmap(&m);
        to += n;
        position += n;
        size -= n;
    }
    return 0;
}

/* The number of the block that is kept behind the inode instead of on its own; none:
 * UINT64_MAX. */
static uint64_t inline_block(const struct erofs_node *n)
{
    uint64_t size = n->inode.size;
    if (n->layout != EROFS_INLINE || size == 0)
        return UINT64_MAX;
    return (size - 1) / EROFS_BLOCK;
}

int erofs_locate(struct erofs_node *n, uint64_t offset, uint64_t *position, size_t *size)
{
    uint64_t file_size = n->inode.size, block = offset / EROFS_BLOCK;
    if (offset >= file_size)
        return -EIO;
    if (block == inline_block(n)) {
        uint64_t start = n->position + n->inode_size + n->xattr_size;
        uint64_t tail = file_size - block * EROFS_BLOCK;
        if (start % EROFS_BLOCK + tail > EROFS_BLOCK)
            return -EIO; /* it would cross into the next block */
        *position = start + offset % EROFS_BLOCK;
        *size = (size_t)(file_size - offset);
        return 0;
    }
    *position = ((uint64_t)n->first_block + block) * EROFS_BLOCK + offset % EROFS_BLOCK;
    *size = (size_t)MIN((uint64_t)(EROFS_BLOCK - offset % EROFS_BLOCK), file_size - offset);
    return 0;
}

static int erofs_read_pages(struct inode *i, uint64_t index, void *const pages[], size_t count)
{
    struct erofs_node *n = erofs_node(i);
    struct erofs_super *s = erofs_super(i);
    uint64_t whole = inline_block(n);
    if (whole == UINT64_MAX)
        whole = (i->size + EROFS_BLOCK - 1) / EROFS_BLOCK;
    size_t plain = index >= whole ? 0 : (size_t)MIN((uint64_t)count, whole - index);
    if (plain) {
        int r = s->source->read(s->source, n->first_block + index, pages, plain);
        if (r < 0)
            return r;
    }
    if (plain == count || (index + plain) != inline_block(n))
        return 0;
    uint64_t position;
    size_t size;
    int r = erofs_locate(n, (index + plain) * EROFS_BLOCK, &position, &size);
    return r < 0 ? r : erofs_copy(s, position, pages[plain], size);
}

static ssize_t erofs_readlink(struct inode *i, char *buffer, size_t size)
{
    size_t done = 0, wanted = (size_t)MIN((uint64_t)size, i->size);
    while (done < wanted) {
        uint64_t position;
        size_t run;
        int r = erofs_locate(erofs_node(i), done, &position, &run);
        if (r < 0)
            return r;
        run = MIN(run, wanted - done);
        r = erofs_copy(erofs_super(i), position, buffer + done, run);
        if (r < 0)
            return r;
        done += run;
    }
    return memchr(buffer, 0, done) ? -EIO : (ssize_t)done;
}

static void erofs_free(struct inode *i)
{
    kfree(erofs_node(i));
}

static const struct inode_ops erofs_dir_ops = {
    .lookup = erofs_lookup,
    .getxattr = erofs_getxattr,
    .listxattr = erofs_listxattr,
    .free = erofs_free,
};
static const struct inode_ops erofs_file_inode_ops = {
    .getxattr = erofs_getxattr,
    .listxattr = erofs_listxattr,
    .read_pages = erofs_read_pages,
    .free = erofs_free,
};
static const struct inode_ops erofs_link_ops = {.readlink = erofs_readlink, .free = erofs_free};
static const struct inode_ops erofs_other_ops = {.free = erofs_free};

static const struct file_ops erofs_file_ops = {
    .read = file_read_cached,
    .seek = file_seek_generic,
    .vm = &file_vm_ops_ro,
};

static const struct inode_ops *ops_of(uint32_t type)
{
    switch (type) {
    case S_IFREG:
        return &erofs_file_inode_ops;
    case S_IFDIR:
        return &erofs_dir_ops;
    case S_IFLNK:
        return &erofs_link_ops;
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
    case S_IFSOCK:
        return &erofs_other_ops;
    default:
        return NULL;
    }
}

/* The two shapes of an inode on disk, as one. */
struct raw_inode {
    uint16_t format, xattr_count, mode;
    uint32_t union_u, nlink, uid, gid, inode_size;
    uint64_t size;
    struct timespec64 mtime;
};

static int read_raw(struct erofs_super *s, uint64_t position, struct raw_inode *out)
{
    struct erofs_disk_compact c;
    int r = erofs_copy(s, position, &c, sizeof(c));
    if (r < 0)
        return r;
    *out = (struct raw_inode){c.format, c.xattr_count, c.mode,    c.union_u, c.nlink,
                              c.uid,    c.gid,         sizeof(c), c.size,    s->build_time};
    if (!(c.format & 1))
        return 0;
    struct erofs_disk_extended e;
    r = erofs_copy(s, position, &e, sizeof(e));
    if (r < 0)
        return r;
    uint32_t nsec = e.mtime_nsec < 1000000000u ? e.mtime_nsec : 0;
    *out = (struct raw_inode){
        e.format, e.xattr_count, e.mode,    e.union_u, e.nlink,
        e.uid,    e.gid,         sizeof(e), e.size,    {(int64_t)e.mtime, nsec}};
    return 0;
}

/* Does what the inode claims lie within the image? */
static int check_raw(struct erofs_super *s, uint64_t nid, const struct raw_inode *raw)
{
    uint32_t layout = raw->format >> 1 & 7, type = raw->mode & S_IFMT;
    unsigned long long number = nid;
    if ((raw->format >> 4) || (layout != EROFS_PLAIN && layout != EROFS_INLINE)) {
        log_always("EROFS inode %llu: %s data is not supported", number,
                   layout == EROFS_CHUNKS ? "chunked" : "compressed");
        return -EOPNOTSUPP;
    }
    if (!ops_of(type) || raw->size > INT64_MAX)
        return -EIO;
    if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK)
        return 0;
    uint64_t blocks = raw->size / EROFS_BLOCK + (raw->size % EROFS_BLOCK != 0);
    if (layout == EROFS_INLINE && blocks)
        blocks--;
    if (blocks && (uint64_t)raw->union_u + blocks > s->source->blocks)
        return -EIO;
    return type == S_IFLNK && (raw->size == 0 || raw->size >= PATH_MAX) ? -EIO : 0;
}

static int node_new(struct erofs_super *s, uint64_t nid, uint64_t position,
                    const struct raw_inode *raw, struct inode **out)
{
    struct erofs_node *n = kzalloc(sizeof(*n));
    if (!n)
        return -ENOMEM;
    struct inode *i = &n->inode;
    inode_init(i, &s->sb, ops_of(raw->mode & S_IFMT), raw->mode);
    i->ino = nid;
    i->uid = raw->uid;
    i->gid = raw->gid;
    i->nlink = raw->nlink;
    i->size = raw->size;
    i->blocks = (raw->size + 511) / 512;
    i->atime = i->mtime = i->ctime = i->btime = raw->mtime;
    if (i->type == S_IFCHR || i->type == S_IFBLK) {
        uint32_t d = raw->union_u;
        i->rdev = MAKEDEV(d >> 8 & 0xfff, (d & 0xff) | (d >> 12 & 0xfff00));
        i->size = 0;
    } else if (inode_is_reg(i)) {
        i->file_ops = &erofs_file_ops;
        i->cached = true;
    } else if (inode_is_dir(i)) {
        i->file_ops = &erofs_dir_file_ops;
    }
    n->position = position;
    n->inode_size = raw->inode_size;
    n->xattr_size = raw->xattr_count ? 12 + 4 * (raw->xattr_count - 1u) : 0;
    n->layout = raw->format >> 1 & 7;
    n->first_block = raw->union_u;
    *out = i;
    return 0;
}

int erofs_iget(struct erofs_super *s, uint64_t nid, struct inode **out)
{
    struct raw_inode raw;
    uint64_t position;
    *out = inode_find(&s->sb, nid);
    if (*out)
        return 0;
    if (mul_overflows(nid, EROFS_SLOT, &position) ||
        add_overflows(position, s->meta_start, &position))
        return -EIO;
    int r = read_raw(s, position, &raw);
    if (r == 0)
        r = check_raw(s, nid, &raw);
    if (r == 0)
        r = node_new(s, nid, position, &raw, out);
    if (r < 0)
        return r;
    r = inode_hash(*out);
    if (r == -EEXIST) { /* two names of one inode, looked up at once */
        struct inode *winner = inode_find(&s->sb, nid);
        if (winner) {
            inode_put(*out);
            *out = winner;
        }
    }
    return 0;
}

/* ---- the image as a whole ---- */

static int blocks_read(struct inode *i, uint64_t index, void *const pages[], size_t count)
{
    struct erofs_super *s = erofs_super(i);
    if (index >= s->source->blocks)
        return -EIO;
    count = (size_t)MIN((uint64_t)count, s->source->blocks - index);
    return s->source->read(s->source, index, pages, count);
}

static void blocks_free(struct inode *i)
{
    kfree(i);
}

static const struct inode_ops blocks_ops = {.read_pages = blocks_read, .free = blocks_free};

static int erofs_statfs(struct super *sb, struct abi_statfs *out)
{
    struct erofs_super *s = container_of(sb, struct erofs_super, sb);
    out->f_bsize = out->f_frsize = EROFS_BLOCK;
    out->f_blocks = s->source->blocks;
    out->f_files = s->inode_count;
    return 0;
}

static void erofs_super_free(struct super *sb)
{
    struct erofs_super *s = container_of(sb, struct erofs_super, sb);
    if (s->blocks) {
        cache_empty(&s->blocks->cache);
        kfree(s->blocks);
    }
    s->source->free(s->source);
    kfree(s);
}

static const struct super_ops erofs_super_ops = {.statfs = erofs_statfs,
                                                 .free = erofs_super_free};

static int check_super(struct erofs_super *s, const struct erofs_disk_super *d)
{
    if (d->magic != EROFS_MAGIC) {
        log_always("the image holds no EROFS file system");
        return -EINVAL;
    }
    if (d->block_bits != 12 || d->dir_block_bits != 0) {
        log_always("EROFS: blocks of %u bytes are not supported, only 4096",
                   1u << (d->block_bits & 31));
        return -EINVAL;
    }
    if (d->feature_incompat & ~EROFS_INCOMPAT_ZERO_PADDING) {
        log_always(
            "occlum: EROFS: the image needs features 0x%x (compression, chunks or further "
            "devices), which are not supported",
            d->feature_incompat);
        return -EINVAL;
    }
    uint64_t bytes = (uint64_t)d->blocks * EROFS_BLOCK;
    s->meta_start = (uint64_t)d->meta_block * EROFS_BLOCK;
    s->xattr_start = (uint64_t)d->xattr_block * EROFS_BLOCK;
    if (bytes > s->bytes || s->meta_start >= s->bytes) {
        log_always("EROFS: the image is shorter than its super block says");
        return -EINVAL;
    }
    s->inode_count = d->inodes;
    s->build_time =
        (struct timespec64){(int64_t)d->build_time, d->build_time_nsec % 1000000000u};
    return 0;
}

static int fill_super(struct erofs_super *s)
{
    struct erofs_disk_super d;
    struct inode *blocks = kzalloc(sizeof(*blocks));
    if (!blocks)
        return -ENOMEM;
    inode_init(blocks, &s->sb, &blocks_ops, S_IFREG);
    atomic_fetch_sub(&s->sb.refs, 1); /* the super block owns it, not the other way round */
    blocks->size = s->bytes;
    s->blocks = blocks;
    int r = erofs_copy(s, EROFS_SUPER_OFFSET, &d, sizeof(d));
    if (r == 0)
        r = check_super(s, &d);
    if (r == 0)
        r = erofs_iget(s, d.root_nid, &s->sb.root);
    if (r == 0 && !inode_is_dir(s->sb.root)) {
        log_always("EROFS: the root is no directory");
        inode_put(s->sb.root);
        r = -EINVAL;
    }
    return r;
}

int erofs_open(struct block_source *source, struct super **out)
{
    struct erofs_super *s = kzalloc(sizeof(*s));
    if (!s) {
        source->free(source);
        return -ENOMEM;
    }
    super_init(&s->sb, &erofs_super_ops, "erofs");
    s->sb.magic = EROFS_MAGIC;
    s->sb.flags = SUPER_RDONLY;
    s->source = source;
    if (mul_overflows(source->blocks, (uint64_t)EROFS_BLOCK, &s->bytes))
        s->bytes = 0;
    int r = fill_super(s);
    if (r < 0) {
        super_put(&s->sb);
        return r;
    }
    *out = &s->sb;
    return 0;
}
