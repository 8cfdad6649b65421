/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sefs: mounting a store that lies in a file of the host. Nothing of that file is believed
 * before the store has authenticated it; a read or write that the host does not do, or not
 * wholly, is an error.
 */
#include "fs/sefs/vfs.h"

#include "abi/errno.h"
#include "enclave/clock.h"
#include "enclave/host.h"
#include "enclave/keys.h"
#include "fs/core/cred.h"
#include "fs/sefs/sefs.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "sched/hostio.h"
#include "sched/task.h"

#define SEFS_STATFS_MAGIC 0x2f8dbe2a
#define LOCK_EX_NB        6 /* LOCK_EX | LOCK_NB */
#define LOCK_NS           2000000000ull
#define LOCK_STEP_NS      20000000ull
#define SEND_BYTES        (4ull << 20) /* after so many the host's disk begins to work */

/* ---- the device: a file of the host ---- */

static struct vsuper *vsuper_of_dev(struct sefs_dev *d)
{
    return container_of(d, struct vsuper, dev);
}

static int store_file_read(struct sefs_dev *d, uint64_t block, size_t count, void *out)
{
    struct vsuper *v = vsuper_of_dev(d);
    size_t size = count * SEFS_BLOCK;
    for (size_t done = 0; done < size;) {
        uint64_t at = block * SEFS_BLOCK + done;
        ssize_t r = hostio_pread(v->fd, (uint8_t *)out + done, size - done, at);
        if (r <= 0)
            return r < 0 ? (int)r : -EIO;
        done += (size_t)r;
    }
    return 0;
}

static int store_file_write(struct sefs_dev *d, uint64_t block, size_t count, const void *in)
{
    struct vsuper *v = vsuper_of_dev(d);
    size_t size = count * SEFS_BLOCK;
    for (size_t done = 0; done < size;) {
        uint64_t at = block * SEFS_BLOCK + done;
        ssize_t r = hostio_pwrite(v->fd, (const uint8_t *)in + done, size - done, at);
        if (r <= 0)
            return r < 0 ? (int)r : -EIO;
        done += (size_t)r;
    }
    v->unsent += size;
    if (v->unsent >= SEND_BYTES) {
        v->unsent = 0;
        hostio_start_writing(v->fd);
    }
    return 0;
}

static int store_file_flush(struct sefs_dev *d)
{
    struct vsuper *v = vsuper_of_dev(d);
    v->unsent = 0;
    return hostio_fsync(v->fd, true);
}

static int store_file_punch(struct sefs_dev *d, uint64_t block, uint64_t count)
{
    return host_fallocate(vsuper_of_dev(d)->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                          block * SEFS_BLOCK, count * SEFS_BLOCK);
}

static const struct sefs_dev_ops file_dev_ops = {store_file_read, store_file_write,
                                                 store_file_flush, store_file_punch};

/* ---- opening ---- */

/* The folders that a path needs, as far as they can be made. */
static void make_parents(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        (void)!host_mkdir(AT_FDCWD, path, 0700);
        *slash = '/';
    }
}

static int open_path(struct vsuper *v, const char *source)
{
    struct abi_statx x;
    char *path = kmalloc(HOST_PATH_MAX);
    if (!path)
        return -ENOMEM;
    int n = format_string(path, HOST_PATH_MAX, "%s", source);
    int r = n >= (int)HOST_PATH_MAX - 8 ? -ENAMETOOLONG : 0;
    if (r == 0 && host_statx(AT_FDCWD, path, 0, &x) == 0 && (x.stx_mode & S_IFMT) == S_IFDIR)
        format_string(path + n, 8, "/store");
    uint32_t flags = v->read_only ? O_RDONLY : O_RDWR | O_CREAT;
    if (r == 0 && !v->read_only)
        make_parents(path);
    if (r == 0)
        r = host_openat(AT_FDCWD, path, flags | O_CLOEXEC, 0600, 0);
    kfree(path);
    return r;
}

/* The host ends what a killed enclave had under way, and with it the lock, a little later than
 * the enclave's process. */
static int lock_file(struct vsuper *v)
{
    struct wait_queue nobody;
    wait_queue_init(&nobody);
    uint64_t now = clock_monotonic_ns(), until = now + LOCK_NS;
    while (host_flock(v->fd, LOCK_EX_NB) < 0) {
        if (now >= until || wait_event(&nobody, false, now + LOCK_STEP_NS) == -ERESTARTSYS)
            return -EBUSY;
        now = clock_monotonic_ns();
    }
    return 0;
}

/* The store's file: the source itself, or "store" in it where that is a directory. */
static int open_file(struct vsuper *v, const char *source, uint64_t *size)
{
    struct abi_statx x;
    int r = open_path(v, source);
    if (r < 0) {
        log_always("sefs %s: cannot be opened or made: error %d", v->name, -r);
        return r;
    }
    v->fd = r;
    r = host_statx(v->fd, "", AT_EMPTY_PATH, &x);
    if (r < 0)
        return r;
    if ((x.stx_mode & S_IFMT) != S_IFREG) {
        log_always("sefs %s: no file", v->name);
        return -EINVAL;
    }
    if (lock_file(v) < 0) {
        log_always("sefs %s: another enclave has it open", v->name);
        return -EBUSY;
    }
    *size = x.stx_size;
    return 0;
}

static int check_root(struct vsuper *v, const struct vs_options *o)
{
    uint8_t id[32];
    store_root_id(v->store, id);
    if (!o->have_root || mem_equal_secret(id, o->root, sizeof(id)))
        return 0;
    log_always("sefs %s: this is not the state that was required: an older one, or another",
               v->name);
    return -ESTALE;
}

static bool all_zero(const uint8_t *bytes, size_t size)
{
    while (size && bytes[size - 1] == 0)
        size--;
    return size == 0;
}

/* A store is new if its file is empty, or if making it never got as far as the first root. */
static int is_new(struct vsuper *v, uint64_t size, bool *out)
{
    uint64_t head = SEFS_FIRST * SEFS_BLOCK;
    *out = size == 0;
    if (size == 0)
        return 0;
    uint8_t *start = kzalloc(head);
    if (!start)
        return -ENOMEM;
    ssize_t n = hostio_pread(v->fd, start, head, 0);
    bool super = n > 0 && memcmp(start, SEFS_MAGIC, 8) == 0;
    *out = n >= 0 && (super || all_zero(start, SEFS_BLOCK)) &&
           all_zero(start + SEFS_BLOCK, head - SEFS_BLOCK);
    kfree(start);
    return n < 0 ? (int)n : 0;
}

static int read_super(struct vsuper *v, struct sefs_super *sb)
{
    int r = store_peek(&v->dev, sb);
    if (r == -EINVAL)
        log_always("sefs %s: this file is no store", v->name);
    else if (r < 0)
        log_always("sefs %s: cannot be read: error %d", v->name, -r);
    return r;
}

static int refuse_new(struct vsuper *v, const struct vs_options *o)
{
    if (o->have_root)
        log_always("sefs %s: there is no store, and a state of one is required", v->name);
    return o->have_root ? -ESTALE : v->read_only ? -EROFS : 0;
}

static int format_store(struct vsuper *v, const struct store_params *p)
{
    int r = host_truncate(v->fd, 0);
    if (r == 0)
        r = store_format(&v->dev, p);
    if (r < 0)
        log_always("sefs %s: cannot be made: error %d", v->name, -r);
    return r;
}

static int open_store(struct vsuper *v, struct vs_options *o, uint64_t size)
{
    struct sefs_super sb;
    struct seal_info info;
    struct store_params p = {.limit_blocks = o->disk_size / SEFS_BLOCK,
                             .cache_nodes = (uint32_t)(o->cache_size / SEFS_BLOCK),
                             .uid = current->cred->fsuid,
                             .gid = current->cred->fsgid,
                             .name = v->name};
    bool fresh = true;
    int r = o->temporary ? 0 : is_new(v, size, &fresh);
    if (r == 0)
        r = fresh ? refuse_new(v, o) : read_super(v, &sb);
    if (r == 0)
        r = vs_choose_key(v, o, fresh ? NULL : &sb, &info, &p);
    if (r == 0 && fresh)
        r = format_store(v, &p);
    if (r == 0)
        r = store_open(&v->dev, &p, &v->store);
    if (r == -EBADMSG && p.key_kind != SEFS_KEY_GIVEN)
        log_always("sefs %s: sealed by an enclave of another %s, or on another machine",
                   v->name, p.key_kind == SEFS_KEY_MRENCLAVE ? "build" : "signer");
    if (r == 0 && fresh)
        r = read_super(v, &sb);
    if (r == 0)
        r = check_root(v, o);
    v->sb.id = r < 0 ? 0 : super_id(sb.id);
    if (r == 0)
        r = vs_counter_check(v);
    if (r == 0 && !v->read_only)
        r = store_remove_orphans(v->store);
    return r;
}

/* ---- the super block ---- */

static int vs_statfs(struct super *sb, struct abi_statfs *out)
{
    struct vsuper *v = container_of(sb, struct vsuper, sb);
    struct store_stats st;
    vs_lock(v);
    store_stats(v->store, &st);
    vs_unlock(v);
    uint64_t promised = (uint64_t)MAX(atomic_load(&v->promised), (int64_t)0);
    uint64_t free = st.free_blocks - MIN(st.free_blocks, promised);
    out->f_bsize = out->f_frsize = SEFS_BLOCK;
    out->f_blocks = st.limit_blocks;
    out->f_bfree = out->f_bavail = free;
    out->f_files = st.inodes + free;
    out->f_ffree = free;
    return 0;
}

static int vs_sync_op(struct super *sb)
{
    struct vsuper *v = container_of(sb, struct vsuper, sb);
    return v->read_only ? 0 : vs_sync(v, true);
}

void vs_destroy(struct vsuper *v)
{
    store_close(v->store);
    for (size_t i = 0; i < ARRAY_SIZE(v->spare); i++)
        store_fetch_free(atomic_load(&v->spare[i]));
    if (v->fd >= 0)
        host_close(v->fd);
    if (v->counter)
        v->counter->ops->free(v->counter);
    kfree(v->batch);
    kfree(v->name);
    kfree(v);
}

static void vs_free(struct super *sb)
{
    struct vsuper *v = container_of(sb, struct vsuper, sb);
    if (v->store && !v->read_only) {
        vs_stop_flusher(v);
        if (vs_sync(v, true) < 0)
            log_always("sefs %s: what was changed last could not be written", v->name);
    }
    if (v->flusher && current == v->flusher)
        v->ended = true;
    else
        vs_destroy(v);
}

static const struct super_ops vs_ops = {
    .statfs = vs_statfs, .sync = vs_sync_op, .free = vs_free};

static struct vsuper *vsuper_new(const char *source)
{
    struct vsuper *v = kzalloc(sizeof(*v));
    if (!v)
        return NULL;
    super_init(&v->sb, &vs_ops, "sefs");
    v->sb.magic = SEFS_STATFS_MAGIC;
    v->dev.ops = &file_dev_ops;
    v->fd = -1;
    v->name = kstrdup(source);
    v->batch = kzalloc(sizeof(*v->batch));
    mutex_init(&v->lock, RANK_FS_PRIVATE);
    mutex_init(&v->commit_lock, RANK_FS_COMMIT);
    spin_init(&v->list_lock, RANK_INODE_DATA);
    list_init(&v->with_pages);
    list_init(&v->with_attr);
    wait_queue_init(&v->wake);
    if (v->name && v->batch)
        return v;
    super_put(&v->sb);
    return NULL;
}

/* A store that could not be mounted: without a flusher, and nothing to be written. */
static void abandon(struct vsuper *v)
{
    store_close(v->store);
    v->store = NULL;
    super_put(&v->sb);
}

static int take_options(const struct config_mount *config, const char *options,
                        struct vs_options *o)
{
    int r = vs_options_parse(options, o);
    bool boot_layer = config->flags & CONFIG_MOUNT_LAYER;
    return r == 0 && boot_layer ? vs_options_required(o) : r;
}

static int open_all(struct vsuper *v, const char *source, struct vs_options *o)
{
    uint64_t size;
    int r = open_file(v, source, &size);
    if (r == 0 && o->counter)
        r = vs_counter_open_file(o->counter, &v->counter);
    if (r == 0)
        r = open_store(v, o, size);
    if (r == 0)
        r = vnode_get(v, SEFS_ROOT_INO, &v->sb.root);
    if (r == 0 && !v->read_only)
        r = vs_start_flusher(v);
    return r;
}

static int sefs_mount(const struct config_mount *config, const char *source,
                      const char *options, struct super **out)
{
    struct vs_options o;
    if (!source || !*source)
        return -EINVAL;
    int r = take_options(config, options, &o);
    struct vsuper *v = r < 0 ? NULL : vsuper_new(source);
    if (!v) {
        vs_options_end(&o);
        return r < 0 ? r : -ENOMEM;
    }
    v->read_only = config->flags & CONFIG_MOUNT_RDONLY;
    if (v->read_only)
        v->sb.flags |= SUPER_RDONLY;
    r = open_all(v, source, &o);
    vs_options_end(&o);
    if (r < 0) {
        inode_put(v->sb.root);
        v->sb.root = NULL;
        abandon(v);
        return r;
    }
    *out = &v->sb;
    return 0;
}

void sefs_register(void)
{
    static struct fs_type type = {.name = "sefs", .user_mountable = true, .mount = sefs_mount};
    fs_type_register(&type);
}
