/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a store mounted writable is asked to change. The kernel has checked names, types and
 * permissions; whoever mounted it has the key, so the kernel is not an enemy here, but lengths
 * and positions are looked at all the same. Contents go to the store at once; commits come with
 * fsync, after 32 MiB, after five quiet seconds and at the end.
 * Not here: fallocate, locks and leases, which the kernel does without us or refuses.
 */
#include <errno.h>
#include <stdio.h> /* RENAME_ */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "image/sefs/serve.h"

#define COMMIT_BYTES (32u << 20)
#define COMMIT_NODES 4096u
#define XATTR_BYTES  65536u

/* ---- helpers ---- */

static struct sefs_time now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (struct sefs_time){t.tv_sec, (uint32_t)t.tv_nsec};
}

static struct store *store_of(const struct server *s)
{
    return s->store->store;
}

/* Again, after a commit that gives space back? */
static bool try_again(struct server *s, int64_t r, bool *tried)
{
    if (r != -ENOSPC || *tried || !store_reclaimable(store_of(s)))
        return false;
    *tried = true;
    return store_commit(store_of(s)) == 0;
}

static int touch(struct server *s, uint64_t ino, bool contents)
{
    struct sefs_inode i;
    int r = store_inode_get(store_of(s), ino, &i);
    if (r < 0)
        return r;
    i.ctime = now();
    if (contents)
        i.mtime = i.ctime;
    return store_inode_set(store_of(s), ino, &i);
}

static struct opened *find_opened(struct server *s, uint64_t ino)
{
    for (size_t k = 0; k < s->opened_count; k++) {
        if (s->opened[k].ino == ino)
            return &s->opened[k];
    }
    return NULL;
}

int serve_opened(struct server *s, uint64_t ino)
{
    struct opened *o = find_opened(s, ino);
    if (o) {
        o->count++;
        return 0;
    }
    if (s->opened_count == s->opened_size) {
        size_t size = s->opened_size ? 2 * s->opened_size : 64;
        o = realloc(s->opened, size * sizeof(*o));
        if (!o)
            return -ENOMEM;
        s->opened = o;
        s->opened_size = size;
    }
    s->opened[s->opened_count++] = (struct opened){ino, 1};
    return 0;
}

/* A file without a name that nobody has open goes; what fails here is done at the next opening
 * of the store. */
static void drop_if_unused(struct server *s, uint64_t ino)
{
    struct sefs_inode i;
    if (s->store->write && !find_opened(s, ino) && !store_inode_get(store_of(s), ino, &i) &&
        i.nlink == 0)
        (void)!store_remove(store_of(s), ino);
}

void serve_closed(struct server *s, uint64_t ino)
{
    struct opened *o = find_opened(s, ino);
    if (!o || --o->count)
        return;
    *o = s->opened[--s->opened_count];
    drop_if_unused(s, ino);
}

void serve_pause(struct server *s, bool idle)
{
    struct store_stats st;
    if (!s->store->write || !store_dirty(store_of(s)))
        return;
    store_stats(store_of(s), &st);
    if (!idle && s->uncommitted < COMMIT_BYTES && st.dirty_nodes < COMMIT_NODES)
        return;
    s->uncommitted = 0;
    if (store_commit(store_of(s)) < 0)
        fprintf(stderr, "occlum: what was changed could not be written\n");
}

/* ---- contents ---- */

static int read_block(struct server *s, uint64_t ino, uint64_t block, uint8_t *out)
{
    void *page[1] = {out};
    memset(out, 0, SEFS_BLOCK);
    return store_read(store_of(s), ino, block, page, 1);
}

static int write_blocks(struct server *s, uint64_t ino, uint64_t first, const uint8_t *data,
                        size_t count)
{
    struct store_page pages[STORE_WRITE_MAX];
    bool tried = false;
    for (size_t i = 0; i < count; i++)
        pages[i] = (struct store_page){ino, first + i, data + i * SEFS_BLOCK};
    for (size_t done = 0; done < count;) {
        ssize_t r = store_write(store_of(s), pages + done, count - done);
        if (r < 0 && !try_again(s, r, &tried))
            return (int)r;
        done += r > 0 ? (size_t)r : 0;
    }
    s->uncommitted += count * SEFS_BLOCK;
    return 0;
}

static bool all_zero(const uint8_t *bytes, size_t size)
{
    while (size && bytes[size - 1] == 0)
        size--;
    return size == 0;
}

/* Nothing is written behind the end, and the last block holds zeros there. */
static int clean_end(struct server *s, uint64_t ino, uint64_t size)
{
    uint8_t block[SEFS_BLOCK];
    uint64_t start, end, last = size / SEFS_BLOCK, whole = (size + SEFS_BLOCK - 1) / SEFS_BLOCK;
    int r = store_next_data(store_of(s), ino, whole, &start, &end);
    if (r == 1)
        r = store_punch(store_of(s), ino, whole, UINT64_MAX);
    if (r < 0 || whole == last)
        return r;
    r = store_next_data(store_of(s), ino, last, &start, &end);
    if (r <= 0 || start > last)
        return r;
    r = read_block(s, ino, last, block);
    size_t keep = size % SEFS_BLOCK;
    if (r < 0 || all_zero(block + keep, SEFS_BLOCK - keep))
        return r;
    memset(block + keep, 0, SEFS_BLOCK - keep);
    return write_blocks(s, ino, last, block, 1);
}

static int set_size(struct server *s, uint64_t ino, struct sefs_inode *i, uint64_t size)
{
    int r = size > INT64_MAX ? -EFBIG : 0;
    if (r == 0 && size < i->size) /* what was only set aside goes, too */
        r = store_punch(store_of(s), ino, (size + SEFS_BLOCK - 1) / SEFS_BLOCK, UINT64_MAX);
    if (r == 0)
        r = clean_end(s, ino, size < i->size ? size : i->size);
    if (r == 0)
        i->size = size;
    return r;
}

/* Blocks of which a part stays as it was are read first. */
static int put_data(struct server *s, uint64_t ino, uint64_t at, const char *data, size_t n)
{
    static uint8_t blocks[SERVE_MAX / SEFS_BLOCK + 1][SEFS_BLOCK];
    uint64_t first = at / SEFS_BLOCK, skip = at % SEFS_BLOCK;
    size_t count = (size_t)(skip + n + SEFS_BLOCK - 1) / SEFS_BLOCK;
    int r = skip || n < SEFS_BLOCK ? read_block(s, ino, first, blocks[0]) : 0;
    if (r == 0 && count > 1 && (skip + n) % SEFS_BLOCK)
        r = read_block(s, ino, first + count - 1, blocks[count - 1]);
    memcpy(blocks[0] + skip, data, n);
    return r < 0 ? r : write_blocks(s, ino, first, blocks[0], count);
}

static void do_write(struct server *s)
{
    const struct fuse_write_in *in = serve_argument(s, sizeof(*in));
    uint64_t ino = s->in.head.nodeid;
    struct sefs_inode i;
    struct fuse_write_out out = {0};
    bool fits = in && in->size <= SERVE_MAX && serve_argument(s, sizeof(*in) + in->size) &&
                in->offset <= (uint64_t)INT64_MAX - in->size;
    int r = fits ? store_inode_get(store_of(s), ino, &i) : -EINVAL;
    if (r == 0 && in->offset + in->size > i.size)
        r = clean_end(s, ino, i.size);
    if (r == 0 && in->size)
        r = put_data(s, ino, in->offset, (const char *)(in + 1), in->size);
    if (r == 0)
        r = store_inode_get(store_of(s), ino, &i);
    if (r == 0) {
        i.size = in->offset + in->size > i.size ? in->offset + in->size : i.size;
        i.mtime = i.ctime = now();
        out.size = in->size;
        r = store_inode_set(store_of(s), ino, &i);
    }
    serve_reply(s, r, &out, sizeof(out));
}

/* ---- attributes ---- */

static void apply(const struct fuse_setattr_in *in, struct sefs_inode *i)
{
    i->ctime = now();
    if (in->valid & FATTR_MODE)
        i->mode = (i->mode & S_IFMT) | (in->mode & 07777);
    if (in->valid & FATTR_UID)
        i->uid = in->uid;
    if (in->valid & FATTR_GID)
        i->gid = in->gid;
    if (in->valid & FATTR_ATIME)
        i->atime = (struct sefs_time){(int64_t)in->atime, in->atimensec};
    if (in->valid & FATTR_ATIME_NOW)
        i->atime = i->ctime;
    if (in->valid & (FATTR_MTIME_NOW | FATTR_SIZE))
        i->mtime = i->ctime;
    if ((in->valid & FATTR_MTIME) && !(in->valid & FATTR_MTIME_NOW))
        i->mtime = (struct sefs_time){(int64_t)in->mtime, in->mtimensec};
}

static void do_setattr(struct server *s)
{
    const struct fuse_setattr_in *in = serve_argument(s, sizeof(*in));
    uint64_t ino = s->in.head.nodeid;
    struct fuse_attr_out out = {.attr_valid = SERVE_VALID};
    struct sefs_inode i;
    int r = in ? store_inode_get(store_of(s), ino, &i) : -EINVAL;
    if (r == 0 && (in->valid & FATTR_SIZE))
        r = S_ISREG(i.mode) ? set_size(s, ino, &i, in->size) : -EINVAL;
    if (r == 0) {
        apply(in, &i);
        r = store_inode_set(store_of(s), ino, &i);
    }
    if (r == 0)
        r = store_inode_get(store_of(s), ino, &i);
    if (r == 0)
        serve_attr(ino, &i, &out.attr);
    serve_reply(s, r, &out, sizeof(out));
}

/* ---- names ---- */

/* The group comes from a directory that hands its own on. */
static int make(struct server *s, const char *name, struct store_new *n, uint64_t *ino)
{
    uint64_t dir = s->in.head.nodeid;
    struct sefs_inode parent;
    bool tried = false;
    if (!name)
        return -EINVAL;
    int r = store_inode_get(store_of(s), dir, &parent);
    if (r < 0)
        return r;
    n->uid = s->in.head.uid;
    n->gid = parent.mode & S_ISGID ? parent.gid : s->in.head.gid;
    if (S_ISDIR(n->mode) && (parent.mode & S_ISGID))
        n->mode |= S_ISGID;
    n->now = now();
    do
        r = store_create(store_of(s), dir, name, n, ino);
    while (try_again(s, r, &tried));
    return r < 0 ? r : touch(s, dir, true);
}

static void make_and_reply(struct server *s, const char *name, struct store_new *n)
{
    struct fuse_entry_out out = {0};
    uint64_t ino = 0;
    int r = make(s, name, n, &ino);
    if (r == 0)
        r = serve_entry(s, ino, &out);
    serve_reply(s, r, &out, sizeof(out));
}

static void do_mknod(struct server *s)
{
    const struct fuse_mknod_in *in = serve_argument(s, sizeof(*in));
    struct store_new n = {.mode = in ? in->mode : 0, .rdev = in ? in->rdev : 0};
    make_and_reply(s, in ? serve_name(s, sizeof(*in), NULL) : NULL, &n);
}

static void do_mkdir(struct server *s)
{
    const struct fuse_mkdir_in *in = serve_argument(s, sizeof(*in));
    struct store_new n = {.mode = S_IFDIR | (in ? in->mode & 07777 : 0)};
    make_and_reply(s, in ? serve_name(s, sizeof(*in), NULL) : NULL, &n);
}

static void do_symlink(struct server *s)
{
    size_t after = 0;
    const char *name = serve_name(s, 0, &after), *target = NULL;
    size_t left = s->in_size - sizeof(s->in.head) - after;
    struct store_new n = {.mode = S_IFLNK | 0777};
    if (name && left)
        target = name + after;
    if (target && strnlen(target, left) == left)
        target = NULL;
    n.target = target;
    make_and_reply(s, target ? name : NULL, &n);
}

static void do_create(struct server *s)
{
    const struct fuse_create_in *in = serve_argument(s, sizeof(*in));
    struct store_new n = {.mode = S_IFREG | (in ? in->mode & 07777 : 0)};
    struct {
        struct fuse_entry_out entry;
        struct fuse_open_out open;
    } out = {.open.open_flags = FOPEN_KEEP_CACHE};
    uint64_t ino = 0;
    int r = make(s, in ? serve_name(s, sizeof(*in), NULL) : NULL, &n, &ino);
    if (r == 0)
        r = serve_entry(s, ino, &out.entry);
    if (r == 0)
        r = serve_opened(s, ino);
    serve_reply(s, r, &out, sizeof(out));
}

static void do_link(struct server *s)
{
    const struct fuse_link_in *in = serve_argument(s, sizeof(*in));
    const char *name = in ? serve_name(s, sizeof(*in), NULL) : NULL;
    struct fuse_entry_out out = {0};
    bool tried = false;
    int r = name ? 0 : -EINVAL;
    if (r == 0)
        do
            r = store_link(store_of(s), s->in.head.nodeid, name, in->oldnodeid);
        while (try_again(s, r, &tried));
    if (r == 0)
        r = touch(s, in->oldnodeid, false);
    if (r == 0)
        r = touch(s, s->in.head.nodeid, true);
    if (r == 0)
        r = serve_entry(s, in->oldnodeid, &out);
    serve_reply(s, r, &out, sizeof(out));
}

static void do_unlink(struct server *s)
{
    const char *name = serve_name(s, 0, NULL);
    uint64_t dir = s->in.head.nodeid, ino;
    bool tried = false;
    int r = name ? store_lookup(store_of(s), dir, name, &ino) : -EINVAL;
    if (r == 0)
        do
            r = store_unlink(store_of(s), dir, name);
        while (try_again(s, r, &tried));
    if (r == 0) {
        (void)!touch(s, ino, false);
        drop_if_unused(s, ino);
        r = touch(s, dir, true);
    }
    serve_reply(s, r, NULL, 0);
}

static int rename_it(struct server *s, const struct store_rename *mv, uint32_t flags)
{
    uint64_t replaced = 0, moved;
    bool tried = false;
    int r = store_lookup(store_of(s), mv->old_dir, mv->old_name, &moved);
    int there = store_lookup(store_of(s), mv->new_dir, mv->new_name, &replaced);
    if (r == 0 && there < 0 && there != -ENOENT)
        r = there;
    if (r == 0 && there == 0 && (flags & RENAME_NOREPLACE))
        r = -EEXIST;
    if (r == 0)
        do
            r = store_rename(store_of(s), mv);
        while (try_again(s, r, &tried));
    if (r < 0)
        return r;
    r = touch(s, moved, false);
    if (r == 0 && there == 0 && replaced != moved) {
        (void)!touch(s, replaced, false);
        drop_if_unused(s, replaced);
    }
    if (r == 0)
        r = touch(s, mv->old_dir, true);
    return r < 0 ? r : touch(s, mv->new_dir, true);
}

static void rename_between(struct server *s, size_t head, uint64_t new_dir, uint32_t flags)
{
    size_t after = 0;
    const char *from = serve_name(s, head, &after);
    const char *to = from ? serve_name(s, head + after, NULL) : NULL;
    struct store_rename mv = {.old_dir = s->in.head.nodeid,
                              .new_dir = new_dir,
                              .old_name = from,
                              .new_name = to,
                              .exchange = flags & RENAME_EXCHANGE};
    bool known = to && !(flags & ~(uint32_t)(RENAME_EXCHANGE | RENAME_NOREPLACE));
    serve_reply(s, known ? rename_it(s, &mv, flags) : -EINVAL, NULL, 0);
}

static void do_rename(struct server *s)
{
    const struct fuse_rename_in *in = serve_argument(s, sizeof(*in));
    rename_between(s, sizeof(*in), in ? in->newdir : 0, in ? 0 : UINT32_MAX);
}

static void do_rename2(struct server *s)
{
    const struct fuse_rename2_in *in = serve_argument(s, sizeof(*in));
    rename_between(s, sizeof(*in), in ? in->newdir : 0, in ? in->flags : UINT32_MAX);
}

/* ---- the rest ---- */

static bool known_space(const char *name)
{
    return !strncmp(name, "user.", 5) || !strncmp(name, "trusted.", 8) ||
           !strncmp(name, "security.", 9);
}

static void do_setxattr(struct server *s)
{
    /* Without FUSE_SETXATTR_EXT the kernel sends the first two words alone. */
    const struct fuse_setxattr_in *in = serve_argument(s, FUSE_COMPAT_SETXATTR_IN_SIZE);
    size_t after = 0;
    const char *name = in ? serve_name(s, FUSE_COMPAT_SETXATTR_IN_SIZE, &after) : NULL;
    bool whole = name && in->size <= XATTR_BYTES &&
                 serve_argument(s, FUSE_COMPAT_SETXATTR_IN_SIZE + after + in->size);
    struct store_xattr x = {.name = name,
                            .value = whole ? name + after : NULL,
                            .size = whole ? in->size : 0,
                            .flags = whole ? (int)in->flags : 0};
    bool tried = false;
    int r = !whole ? -EINVAL : known_space(name) ? 0 : -EOPNOTSUPP;
    if (r == 0)
        do
            r = store_xattr_set(store_of(s), s->in.head.nodeid, &x);
        while (try_again(s, r, &tried));
    serve_reply(s, r < 0 ? r : touch(s, s->in.head.nodeid, false), NULL, 0);
}

static void do_removexattr(struct server *s)
{
    struct store_xattr x = {.name = serve_name(s, 0, NULL)};
    int r = x.name ? store_xattr_set(store_of(s), s->in.head.nodeid, &x) : -EINVAL;
    serve_reply(s, r < 0 ? r : touch(s, s->in.head.nodeid, false), NULL, 0);
}

static void do_fsync(struct server *s)
{
    s->uncommitted = 0;
    serve_reply(s, store_dirty(store_of(s)) ? store_commit(store_of(s)) : 0, NULL, 0);
}

serve_fn *serve_change(uint32_t opcode)
{
    static serve_fn *const ops[] = {
        [FUSE_SETATTR] = do_setattr,   [FUSE_SYMLINK] = do_symlink,
        [FUSE_MKNOD] = do_mknod,       [FUSE_MKDIR] = do_mkdir,
        [FUSE_UNLINK] = do_unlink,     [FUSE_RMDIR] = do_unlink,
        [FUSE_RENAME] = do_rename,     [FUSE_LINK] = do_link,
        [FUSE_WRITE] = do_write,       [FUSE_FSYNC] = do_fsync,
        [FUSE_SETXATTR] = do_setxattr, [FUSE_REMOVEXATTR] = do_removexattr,
        [FUSE_FSYNCDIR] = do_fsync,    [FUSE_CREATE] = do_create,
        [FUSE_RENAME2] = do_rename2,
    };
    return opcode < sizeof(ops) / sizeof(ops[0]) ? ops[opcode] : NULL;
}
