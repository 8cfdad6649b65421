/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sefs: mounting a store that lies in a file of the host. Nothing of that file is believed
 * before the store has authenticated it; a read or write that the host does not do, or not
 * wholly, is an error.
 *
 * Options, separated by commas: key=XX-XX-... (16 or 32 bytes; else the seal key), autokey=
 * mrsigner|mrenclave (for a new store), disk_size=N, cache_size=N (of tree nodes), temporary (a
 * new store each time, under a key that is forgotten), root=HEX (what `occlum print root`
 * showed: any other state is refused).
 */
#include "fs/sefs/vfs.h"

#include "abi/errno.h"
#include "crypto/random.h"
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
#define DISK_SIZE_DEFAULT (64ull << 30)
#define DISK_SIZE_MIN     (1ull << 20)
#define CACHE_DEFAULT     (16ull << 20)
#define CACHE_MIN         (192ull << 10)
#define LOCK_EX_NB        6 /* LOCK_EX | LOCK_NB */

struct options {
    uint8_t key[32];
    size_t key_size; /* 0: the seal key */
    uint8_t root[32];
    bool have_root, temporary;
    uint16_t policy;
    uint64_t disk_size, cache_size;
};

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
    return 0;
}

static int store_file_flush(struct sefs_dev *d)
{
    return hostio_fsync(vsuper_of_dev(d)->fd, true);
}

static int store_file_punch(struct sefs_dev *d, uint64_t block, uint64_t count)
{
    return host_fallocate(vsuper_of_dev(d)->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                          block * SEFS_BLOCK, count * SEFS_BLOCK);
}

static const struct sefs_dev_ops file_dev_ops = {store_file_read, store_file_write,
                                                 store_file_flush, store_file_punch};

/* ---- options ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Hexadecimal bytes, with or without dashes; how many, or -EINVAL. */
static int parse_hex(const char *text, uint8_t *out, size_t max)
{
    size_t n = 0;
    while (*text) {
        int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);
        if (low < 0 || n == max)
            return -EINVAL;
        out[n++] = (uint8_t)(high << 4 | low);
        text += 2;
        if (*text == '-' && text[1])
            text++;
    }
    return (int)n;
}

static int parse_size(const char *text, uint64_t *out)
{
    static const char units[] = "kmgt";
    char digits[24];
    size_t n = 0;
    while (n < sizeof(digits) - 1 && text[n] >= '0' && text[n] <= '9') {
        digits[n] = text[n];
        n++;
    }
    digits[n] = 0;
    int r = parse_u64(digits, 10, out);
    const char *unit = text[n] ? strchr(units, text[n] | 0x20) : NULL;
    uint64_t by = unit ? 1ull << (10 * (unit - units + 1)) : 1;
    if (r < 0 || (text[n] && !unit && (text[n] | 0x20) != 'b') || mul_overflows(*out, by, out))
        return -EINVAL;
    return 0;
}

static int parse_option(char *text, struct options *o)
{
    char *value = strchr(text, '=');
    int r = 0;
    if (value)
        *value++ = 0;
    if (strcmp(text, "temporary") == 0 && (!value || strcmp(value, "true") == 0)) {
        o->temporary = true;
    } else if (!value) {
        return -EINVAL;
    } else if (strcmp(text, "key") == 0) {
        r = parse_hex(value, o->key, sizeof(o->key));
        o->key_size = r > 0 ? (size_t)r : 0;
        r = r == 16 || r == 32 ? 0 : -EINVAL;
    } else if (strcmp(text, "root") == 0) {
        r = parse_hex(value, o->root, sizeof(o->root)) == 32 ? 0 : -EINVAL;
        o->have_root = true;
    } else if (strcmp(text, "disk_size") == 0) {
        r = parse_size(value, &o->disk_size);
    } else if (strcmp(text, "cache_size") == 0) {
        r = parse_size(value, &o->cache_size);
    } else if (strcmp(text, "autokey") == 0) {
        bool enclave = strcmp(value, "mrenclave") == 0;
        o->policy = enclave ? KEYPOLICY_MRENCLAVE : KEYPOLICY_MRSIGNER;
        r = enclave || strcmp(value, "mrsigner") == 0 ? 0 : -EINVAL;
    } else {
        r = -EINVAL;
    }
    if (r < 0)
        log_always("sefs: the option %s is unknown or its value makes no sense", text);
    return r;
}

static int parse_options(const char *options, struct options *o)
{
    *o = (struct options){.policy = KEYPOLICY_MRSIGNER,
                          .disk_size = DISK_SIZE_DEFAULT,
                          .cache_size = CACHE_DEFAULT};
    char *copy = kstrdup(options ? options : "");
    int r = copy ? 0 : -ENOMEM;
    for (char *at = copy; r == 0 && at && *at;) {
        char *next = strchr(at, ',');
        if (next)
            *next++ = 0;
        if (*at)
            r = parse_option(at, o);
        at = next;
    }
    if (copy)
        memzero_secret(copy, strlen(copy));
    kfree(copy);
    if (r == 0 && (o->disk_size < DISK_SIZE_MIN || o->cache_size < CACHE_MIN)) {
        log_always("sefs: disk_size is at least 1 MiB, cache_size at least 192 KiB");
        r = -EINVAL;
    }
    return r;
}

/* ---- keys ---- */

static int seal_key(struct options *o, const struct sefs_super *sb, struct seal_info *info)
{
    uint16_t policy = o->policy;
    if (sb && sb->key_kind != SEFS_KEY_GIVEN) {
        memcpy(info, sb->key_info, sizeof(*info));
        policy = sb->key_kind == SEFS_KEY_MRENCLAVE ? KEYPOLICY_MRENCLAVE : KEYPOLICY_MRSIGNER;
    } else {
        seal_info_new(info);
    }
    o->key_size = 16;
    o->policy = policy;
    return enclave_seal_key(policy, info, o->key);
}

static int choose_key(struct vsuper *v, struct options *o, const struct sefs_super *sb,
                      struct seal_info *info, struct store_params *p)
{
    p->key_kind = SEFS_KEY_GIVEN;
    if (o->temporary) {
        o->key_size = sizeof(o->key);
        random_bytes(o->key, sizeof(o->key));
    } else if (!o->key_size) {
        if (sb && sb->key_kind == SEFS_KEY_GIVEN) {
            log_always("sefs %s: a key is needed: give the image key, or the option key=",
                       v->name);
            return -ENOKEY;
        }
        int r = seal_key(o, sb, info);
        if (r < 0)
            return r;
        p->key_kind = o->policy == KEYPOLICY_MRENCLAVE ? SEFS_KEY_MRENCLAVE : SEFS_KEY_MRSIGNER;
        p->key_info = (const uint8_t *)info;
    }
    p->key = o->key;
    p->key_size = o->key_size;
    return 0;
}

/* ---- opening ---- */

/* The store's file: the source itself, or "store" in it where that is a directory. */
static int open_file(struct vsuper *v, const char *source, uint64_t *size)
{
    struct abi_statx x;
    char *path = kmalloc(HOST_PATH_MAX);
    if (!path)
        return -ENOMEM;
    int n = format_string(path, HOST_PATH_MAX, "%s", source);
    int r = n >= (int)HOST_PATH_MAX - 8 ? -ENAMETOOLONG : 0;
    if (r == 0 && host_statx(AT_FDCWD, path, 0, &x) == 0 && (x.stx_mode & S_IFMT) == S_IFDIR)
        format_string(path + n, 8, "/store");
    char *slash = strrchr(path, '/');
    if (r == 0 && slash && slash != path) {
        *slash = 0;
        (void)!host_mkdir(AT_FDCWD, path, 0700);
        *slash = '/';
    }
    uint32_t flags = v->read_only ? O_RDONLY : O_RDWR | O_CREAT;
    if (r == 0)
        r = host_openat(AT_FDCWD, path, flags | O_CLOEXEC, 0600, 0);
    kfree(path);
    if (r < 0)
        return r;
    v->fd = r;
    r = host_statx(v->fd, "", AT_EMPTY_PATH, &x);
    if (r == 0 && (x.stx_mode & S_IFMT) != S_IFREG)
        r = -EINVAL;
    if (r == 0 && host_flock(v->fd, LOCK_EX_NB) < 0) {
        log_always("sefs %s: somebody else has it open", v->name);
        r = -EBUSY;
    }
    *size = x.stx_size;
    return r;
}

static int check_root(struct vsuper *v, const struct options *o)
{
    uint8_t id[32];
    store_root_id(v->store, id);
    if (!o->have_root || mem_equal_secret(id, o->root, sizeof(id)))
        return 0;
    log_always("sefs %s: this is not the state that was required: an older one, or another",
               v->name);
    return -ESTALE;
}

static int open_store(struct vsuper *v, struct options *o, uint64_t size)
{
    struct sefs_super sb;
    struct seal_info info;
    bool fresh = size == 0 || o->temporary;
    struct store_params p = {.limit_blocks = o->disk_size / SEFS_BLOCK,
                             .cache_nodes = (uint32_t)(o->cache_size / SEFS_BLOCK),
                             .uid = current->cred->fsuid,
                             .gid = current->cred->fsgid,
                             .name = v->name};
    int r = fresh ? 0 : store_peek(&v->dev, &sb);
    if (r == -EINVAL)
        log_always("sefs %s: this file is no store", v->name);
    if (r == 0 && fresh && (v->read_only || o->have_root))
        r = o->have_root ? -ESTALE : -EROFS;
    if (r == 0)
        r = choose_key(v, o, fresh ? NULL : &sb, &info, &p);
    if (r == 0 && fresh) {
        (void)!host_truncate(v->fd, 0);
        r = store_format(&v->dev, &p);
    }
    if (r == 0)
        r = store_open(&v->dev, &p, &v->store);
    if (r == 0)
        r = check_root(v, o);
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
    if (v->fd >= 0)
        host_close(v->fd);
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

static int sefs_mount(const struct config_mount *config, const char *source,
                      const char *options, struct super **out)
{
    struct options o;
    uint64_t size;
    if (!source || !*source)
        return -EINVAL;
    int r = parse_options(options, &o);
    struct vsuper *v = r < 0 ? NULL : vsuper_new(source);
    if (!v)
        return r < 0 ? r : -ENOMEM;
    v->read_only = config->flags & CONFIG_MOUNT_RDONLY;
    if (v->read_only)
        v->sb.flags |= SUPER_RDONLY;
    r = open_file(v, source, &size);
    if (r == 0)
        r = open_store(v, &o, size);
    memzero_secret(&o, sizeof(o));
    if (r == 0)
        r = vnode_get(v, SEFS_ROOT_INO, &v->sb.root);
    if (r == 0 && !v->read_only)
        r = vs_start_flusher(v);
    if (r < 0) {
        inode_put(v->sb.root);
        v->sb.root = NULL;
        log_always("sefs: %s cannot be mounted: error %d", source, -r);
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
