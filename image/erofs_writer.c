/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes an uncompressed EROFS image that depends on nothing but the tree: no time of building,
 * a zero UUID, inodes in the order of the sorted walk.
 *
 * The file is: the super block and all inodes, with xattrs and the tails of files, directories
 * and symbolic links behind them; then whole blocks of data in the same order. The places of
 * all inodes are known before anything is written. Data goes out as one stream, the metadata
 * last. Not here: compression, chunks, several devices, shared xattrs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/progress.h"
#include "image/erofs_format.h"
#include "image/pool.h"
#include "image/tree.h"

#define ROOT_NID ((EROFS_SUPER_OFFSET + sizeof(struct erofs_super)) / EROFS_SLOT)

struct writer {
    const char *name;
    int fd;
    uint64_t build_time;
    struct tree tree;
    uint8_t *meta; /* from offset 0 of the file */
    uint64_t meta_blocks, blocks;
    struct verity_build *verity;
    struct pool *pool;
    uint8_t *stream; /* the buffer being filled; belongs at stream_offset */
    size_t stream_used;
    uint64_t stream_offset;
};

static uint64_t block_count(uint64_t bytes)
{
    return (bytes + EROFS_BLOCK - 1) / EROFS_BLOCK;
}

/* ---- layout ------------------------------------------------------------- */

/* The size of a directory's data: entries do not cross blocks. */
static uint64_t directory_size(const struct tree_inode *dir)
{
    uint64_t full = 0;
    size_t used = 0;

    for (size_t i = 0; i < dir->entry_count; i++) {
        size_t bytes = sizeof(struct erofs_dirent) + strlen(dir->entries[i].name);

        if (used + bytes > EROFS_BLOCK) {
            full += EROFS_BLOCK;
            used = 0;
        }
        used += bytes;
    }
    return full + used;
}

static int fits_compact(const struct writer *w, const struct tree_inode *inode)
{
    return inode->uid <= UINT16_MAX && inode->gid <= UINT16_MAX && inode->nlink <= UINT16_MAX &&
           inode->size <= UINT32_MAX && inode->mtime == (int64_t)w->build_time &&
           inode->mtime_ns == 0;
}

static uint32_t head_bytes(const struct tree_inode *inode)
{
    return (inode->compact ? sizeof(struct erofs_inode_compact)
                           : sizeof(struct erofs_inode_extended)) +
           inode->xattr_bytes;
}

/* Places an inode at or behind `at`; returns where it ends. An inode and its tail share a
 * block. */
static uint64_t place_inode(struct writer *w, struct tree_inode *inode, uint64_t at)
{
    if (S_ISDIR(inode->mode))
        inode->size = directory_size(inode);
    inode->compact = fits_compact(w, inode);
    inode->inline_bytes = (uint32_t)(inode->size % EROFS_BLOCK);
    uint32_t head = head_bytes(inode);

    if (head + inode->inline_bytes > EROFS_BLOCK)
        inode->inline_bytes = 0; /* the tail gets a block of its own */
    uint64_t room = EROFS_BLOCK - at % EROFS_BLOCK;

    if (head + inode->inline_bytes > room)
        at += room;
    inode->nid = at / EROFS_SLOT;
    at += head + inode->inline_bytes;
    return (at + EROFS_SLOT - 1) & ~(uint64_t)(EROFS_SLOT - 1);
}

static struct err *lay_out(struct writer *w)
{
    uint64_t at = ROOT_NID * EROFS_SLOT;

    for (struct tree_inode *inode = w->tree.root; inode; inode = inode->next)
        at = place_inode(w, inode, at);
    w->meta_blocks = block_count(at);
    w->blocks = w->meta_blocks;
    for (struct tree_inode *inode = w->tree.root; inode; inode = inode->next) {
        uint64_t blocks = block_count(inode->size - inode->inline_bytes);

        if (w->blocks + blocks > UINT32_MAX)
            return err_new("%s: an image of more than 16 TB cannot be made", w->name);
        if (S_ISREG(inode->mode) || S_ISDIR(inode->mode) || S_ISLNK(inode->mode))
            inode->start_block = blocks ? (uint32_t)w->blocks : 0;
        else
            inode->start_block = inode->rdev;
        w->blocks += blocks;
    }
    w->meta = calloc(w->meta_blocks, EROFS_BLOCK);
    w->stream_offset = w->meta_blocks * EROFS_BLOCK;
    return w->meta ? NULL : err_sys(ENOMEM, "%s", w->name);
}

/* ---- the data stream ---------------------------------------------------- */

/* Hands the buffer over and takes a new one. An error of the pool shows up at its end. */
static struct err *stream_flush(struct writer *w)
{
    if (pool_failed(w->pool))
        return err_new("not written");
    pool_put(w->pool, w->stream, w->stream_used, w->stream_offset);
    w->stream_offset += w->stream_used;
    w->stream_used = 0;
    w->stream = pool_take(w->pool);
    return NULL;
}

static struct err *stream_put(struct writer *w, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;

    while (size > 0) {
        size_t n = POOL_BUFFER - w->stream_used;

        if (n > size)
            n = size;
        memcpy(w->stream + w->stream_used, from, n);
        w->stream_used += n;
        from += n;
        size -= n;
        struct err *err = w->stream_used == POOL_BUFFER ? stream_flush(w) : NULL;

        if (err)
            return err;
    }
    return NULL;
}

/* Zeros up to a whole block. */
static struct err *stream_pad(struct writer *w)
{
    size_t rest = w->stream_used % EROFS_BLOCK;

    if (!rest)
        return NULL;
    memset(w->stream + w->stream_used, 0, EROFS_BLOCK - rest);
    w->stream_used += EROFS_BLOCK - rest;
    return w->stream_used == POOL_BUFFER ? stream_flush(w) : NULL;
}

static struct err *read_fully(int fd, void *buffer, size_t size)
{
    uint8_t *to = buffer;

    while (size > 0) {
        ssize_t n = read(fd, to, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(errno, "cannot be read");
        if (n == 0)
            return err_new("became shorter while it was read");
        to += n;
        size -= (size_t)n;
    }
    return NULL;
}

/* `size` bytes of a file into the stream, without a copy in between. */
static struct err *stream_file(struct writer *w, int fd, uint64_t size)
{
    while (size > 0) {
        size_t n = POOL_BUFFER - w->stream_used;

        if (n > size)
            n = (size_t)size;
        struct err *err = read_fully(fd, w->stream + w->stream_used, n);

        if (err)
            return err;
        w->stream_used += n;
        size -= n;
        err = w->stream_used == POOL_BUFFER ? stream_flush(w) : NULL;
        if (err)
            return err;
    }
    return stream_pad(w);
}

/* ---- inodes ------------------------------------------------------------- */

/* Where an inode's tail goes. */
static uint8_t *inline_place(struct writer *w, const struct tree_inode *inode)
{
    return w->meta + inode->nid * EROFS_SLOT + head_bytes(inode);
}

static void put_inode(struct writer *w, const struct tree_inode *inode)
{
    uint8_t *at = w->meta + inode->nid * EROFS_SLOT;
    uint16_t format = (inode->compact ? 0 : EROFS_EXTENDED) |
                      (inode->inline_bytes ? EROFS_FLAT_INLINE : EROFS_FLAT_PLAIN);
    uint16_t xattrs = 0;

    if (inode->xattr_bytes)
        xattrs = (uint16_t)(1 + (inode->xattr_bytes - sizeof(struct erofs_xattr_header)) / 4);
    if (inode->compact) {
        struct erofs_inode_compact disk = {.format = format,
                                           .xattr_count = xattrs,
                                           .mode = (uint16_t)inode->mode,
                                           .nlink = (uint16_t)inode->nlink,
                                           .size = (uint32_t)inode->size,
                                           .start = inode->start_block,
                                           .ino = inode->ino,
                                           .uid = (uint16_t)inode->uid,
                                           .gid = (uint16_t)inode->gid};

        memcpy(at, &disk, sizeof(disk));
        at += sizeof(disk);
    } else {
        struct erofs_inode_extended disk = {.format = format,
                                            .xattr_count = xattrs,
                                            .mode = (uint16_t)inode->mode,
                                            .size = inode->size,
                                            .start = inode->start_block,
                                            .ino = inode->ino,
                                            .uid = inode->uid,
                                            .gid = inode->gid,
                                            .mtime = (uint64_t)inode->mtime,
                                            .mtime_ns = inode->mtime_ns,
                                            .nlink = inode->nlink};

        memcpy(at, &disk, sizeof(disk));
        at += sizeof(disk);
    }
    if (inode->xattr_bytes)
        memcpy(at, inode->xattrs, inode->xattr_bytes);
}

static uint8_t file_type(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return EROFS_FT_DIR;
    case S_IFCHR:
        return EROFS_FT_CHR;
    case S_IFBLK:
        return EROFS_FT_BLK;
    case S_IFIFO:
        return EROFS_FT_FIFO;
    case S_IFSOCK:
        return EROFS_FT_SOCK;
    case S_IFLNK:
        return EROFS_FT_SYMLINK;
    default:
        return EROFS_FT_REG;
    }
}

/* How many entries from `first` on fit a block; *bytes is what they take. */
static size_t block_entries(const struct tree_inode *dir, size_t first, size_t *bytes)
{
    size_t i = first;

    *bytes = 0;
    for (; i < dir->entry_count; i++) {
        size_t more = sizeof(struct erofs_dirent) + strlen(dir->entries[i].name);

        if (*bytes + more > EROFS_BLOCK)
            break;
        *bytes += more;
    }
    return i - first;
}

static struct err *emit_directory(struct writer *w, const struct tree_inode *dir)
{
    size_t count, bytes;

    for (size_t first = 0; first < dir->entry_count; first += count) {
        uint8_t block[EROFS_BLOCK] = {0};

        count = block_entries(dir, first, &bytes);
        size_t name_at = count * sizeof(struct erofs_dirent);

        for (size_t i = 0; i < count; i++) {
            const struct tree_entry *entry = &dir->entries[first + i];
            struct erofs_dirent disk = {.nid = entry->inode->nid,
                                        .name_offset = (uint16_t)name_at,
                                        .file_type = file_type(entry->inode->mode)};

            memcpy(block + i * sizeof(disk), &disk, sizeof(disk));
            memcpy(block + name_at, entry->name, strlen(entry->name));
            name_at += strlen(entry->name);
        }
        if (first + count == dir->entry_count && dir->inline_bytes) {
            memcpy(inline_place(w, dir), block, bytes);
            return NULL;
        }
        struct err *err = stream_put(w, block, sizeof(block));

        if (err)
            return err;
    }
    return NULL;
}

static struct err *emit_file(struct writer *w, int dirfd, const char *name,
                             const struct tree_inode *inode)
{
    struct stat st;
    uint8_t extra;

    if (inode->size == 0)
        return NULL;
    int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return err_sys(errno, "cannot be opened");
    struct err *err = NULL;

    if (fstat(fd, &st))
        err = err_sys(errno, "cannot be read");
    else if (st.st_dev != inode->host_dev || st.st_ino != inode->host_ino ||
             (uint64_t)st.st_size != inode->size)
        err = err_new("changed while the image was being made");
    if (!err)
        err = stream_file(w, fd, inode->size - inode->inline_bytes);
    if (!err && inode->inline_bytes)
        err = read_fully(fd, inline_place(w, inode), inode->inline_bytes);
    if (!err && read(fd, &extra, 1) != 0)
        err = err_new("changed while the image was being made");
    close(fd);
    return err;
}

static struct err *emit_link(struct writer *w, const struct tree_inode *inode)
{
    if (inode->inline_bytes) {
        memcpy(inline_place(w, inode), inode->link, inode->inline_bytes);
        return NULL;
    }
    struct err *err = stream_put(w, inode->link, inode->size);

    return err ? err : stream_pad(w);
}

static struct err *emit_children(struct writer *w, int fd, struct tree_inode *dir);

/* In the order of the walk, so that blocks come out as they were numbered. */
static struct err *emit_inode(struct writer *w, int dirfd, const char *name,
                              struct tree_inode *inode)
{
    inode->emitted = 1;
    put_inode(w, inode);
    if (S_ISREG(inode->mode))
        return emit_file(w, dirfd, name, inode);
    if (S_ISLNK(inode->mode))
        return emit_link(w, inode);
    if (!S_ISDIR(inode->mode))
        return NULL;
    struct err *err = emit_directory(w, inode);

    if (err || !inode->host_ino)
        return err;
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return err_sys(errno, "cannot be opened");
    err = emit_children(w, fd, inode);
    close(fd);
    return err;
}

/* Directories that were added have no host inode; they follow when the walked ones are done. */
static struct err *emit_children(struct writer *w, int fd, struct tree_inode *dir)
{
    for (size_t i = 0; i < dir->entry_count; i++) {
        struct tree_entry *entry = &dir->entries[i];

        if (entry->inode->emitted || !entry->inode->host_ino)
            continue;
        struct err *err = err_at(emit_inode(w, fd, entry->name, entry->inode), entry->name);

        if (err)
            return err;
    }
    return NULL;
}

static struct err *emit_added(struct writer *w)
{
    for (struct tree_inode *inode = w->tree.root; inode; inode = inode->next) {
        struct err *err = inode->emitted ? NULL : emit_inode(w, -1, NULL, inode);

        if (err)
            return err;
    }
    return NULL;
}

/* ---- the whole ---------------------------------------------------------- */

static uint32_t crc32c(uint32_t crc, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return crc;
}

static void put_super(struct writer *w)
{
    struct erofs_super super = {
        .magic = EROFS_MAGIC,
        .feature_compat = EROFS_COMPAT_SB_CHECKSUM | EROFS_COMPAT_MTIME,
        .block_bits = EROFS_BLOCK_BITS,
        .root_nid = (uint16_t)w->tree.root->nid,
        .inodes = w->tree.inode_count,
        .build_time = w->build_time,
        .blocks = (uint32_t)w->blocks,
    };
    uint8_t *at = w->meta + EROFS_SUPER_OFFSET;

    memcpy(at, &super, sizeof(super));
    super.checksum = crc32c(UINT32_MAX, at, EROFS_BLOCK - EROFS_SUPER_OFFSET);
    memcpy(at, &super, sizeof(super));
}

/* The metadata through the pool as well. */
static void put_meta(struct writer *w)
{
    uint64_t bytes = w->meta_blocks * EROFS_BLOCK;

    for (uint64_t at = 0; at < bytes; at += POOL_BUFFER) {
        size_t n = bytes - at < POOL_BUFFER ? bytes - at : POOL_BUFFER;
        uint8_t *buffer = pool_take(w->pool);

        memcpy(buffer, w->meta + at, n);
        pool_put(w->pool, buffer, n, at);
    }
}

static struct err *emit_all(struct writer *w, int source)
{
    struct err *err;

    w->tree.root->emitted = 1;
    put_inode(w, w->tree.root);
    err = emit_directory(w, w->tree.root);
    if (!err)
        err = emit_children(w, source, w->tree.root);
    if (!err)
        err = emit_added(w);
    if (!err)
        err = stream_flush(w);
    if (err)
        return err;
    if (w->stream_offset != w->blocks * EROFS_BLOCK)
        return err_new("the layout and the data disagree");
    put_super(w);
    put_meta(w);
    return NULL;
}

static struct err *write_all(struct writer *w, const struct erofs_options *options, int source)
{
    w->verity = verity_begin(w->blocks);
    w->pool = w->verity ? pool_new(w->fd, w->name, w->verity, options->xts_key) : NULL;
    if (!w->pool)
        return err_sys(ENOMEM, "%s", w->name);
    w->stream = pool_take(w->pool);
    progress_begin("writing the image", w->blocks * EROFS_BLOCK);
    struct err *err = err_at(emit_all(w, source), options->source);

    pool_put(w->pool, w->stream, 0, 0);
    struct err *failure = pool_finish(w->pool);

    progress_end();
    if (!failure)
        return err;
    err_free(err); /* it came of the failure, or does not matter any more */
    return failure;
}

static struct err *make_tree(struct writer *w, const struct erofs_options *options, int source)
{
    struct tree_clamp clamp = {.set = options->has_epoch, .epoch = options->epoch};
    struct err *err = tree_walk(source, options->source, &clamp, &w->tree);

    w->build_time = options->has_epoch && options->epoch > 0 ? (uint64_t)options->epoch : 0;
    for (size_t i = 0; !err && i < options->directory_count; i++)
        err = tree_make_directory(&w->tree, options->directories[i]);
    return err;
}

struct err *erofs_write(const struct erofs_options *options, int fd, const char *name,
                        struct erofs_stats *stats, struct verity_tree *tree)
{
    struct writer w = {.name = name, .fd = fd};
    int source = open(options->source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (source < 0)
        return err_sys(errno, "%s", options->source);
    struct err *err = make_tree(&w, options, source);

    if (!err)
        err = lay_out(&w);
    if (!err)
        err = write_all(&w, options, source);
    if (!err)
        err = verity_finish(w.verity, fd, name, tree);
    *stats = (struct erofs_stats){
        .blocks = w.blocks, .inodes = w.tree.inode_count, .bytes = w.tree.bytes};
    close(source);
    verity_free(w.verity);
    tree_free(&w.tree);
    free(w.meta);
    return err;
}
