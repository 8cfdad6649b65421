/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System V shared memory. A segment is a file in memory that has no name; attaching maps it, so
 * it lies at one address in all processes. LIMIT: shmat(2) at another address than the one
 * where the segment is already gives EINVAL, and attaching twice in one process gives one
 * address.
 */
#include "abi/errno.h"
#include "fs/core/file.h"
#include "ipc/sysv.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "mm/vm.h"

#define SEGMENTS_MAX 4096u
#define SIZE_MAX_    (UINT64_MAX - (1ull << 24))

struct segment {
    struct ipc_object object; /* first */
    struct file *file;        /* const */
    uint64_t size;            /* const */
    /* the table's lock */
    uint64_t attached; /* mappings; each has a reference */
    int64_t attach_time, detach_time, change_time;
    int creator, last;
};

int (*ipc_memory_file)(const char *name, uint32_t mode, struct file **out);

static void segment_free(struct ipc_object *o)
{
    struct segment *s = container_of(o, struct segment, object);
    file_put(s->file);
    kfree(s);
}

static struct ipc_table table = IPC_TABLE_INIT(SEGMENTS_MAX, segment_free);

/* ---- mapping ---- */

static ssize_t seg_read(void *file, uint64_t offset, struct iter *to)
{
    struct segment *s = file;
    return s->file->ops->read(s->file, to, &offset);
}

static ssize_t seg_write(void *file, uint64_t offset, struct iter *from)
{
    struct segment *s = file;
    return s->file->ops->write_mapped(s->file, from, offset);
}

static void seg_get(void *file)
{
    struct segment *s = file;
    atomic_fetch_add(&s->object.refs, 1);
    spin_lock(&table.lock);
    s->attached++;
    s->attach_time = ipc_now();
    s->last = current->tgid;
    spin_unlock(&table.lock);
}

/* A segment that has been removed goes with its last mapping. */
static void seg_put(void *file)
{
    struct segment *s = file;
    bool gone = false;
    spin_lock(&table.lock);
    s->attached--;
    s->detach_time = ipc_now();
    s->last = current->tgid;
    if (!s->attached && (s->object.perm.mode & SHM_DEST) && !s->object.removed) {
        ipc_remove(&table, &s->object);
        gone = true;
    }
    spin_unlock(&table.lock);
    ipc_put(&table, &s->object);
    if (gone)
        ipc_put(&table, &s->object); /* the table's */
}

static struct vm_object *_Atomic *seg_object(void *file)
{
    return &((struct segment *)file)->file->inode->mapped;
}

static void seg_describe(void *file, char *path, size_t size, uint64_t *dev, uint64_t *ino)
{
    struct segment *s = file;
    *dev = s->file->inode->sb->dev;
    *ino = (uint64_t)s->object.id;
    if (size)
        (void)format_string(path, size, "/SYSV%08x (deleted)", (unsigned)s->object.perm.key);
}

static const struct vm_file_ops segment_ops = {
    .read = seg_read,
    .write = seg_write,
    .get = seg_get,
    .put = seg_put,
    .object = seg_object,
    .only_object = true,
    .describe = seg_describe,
};

/* ---- the calls ---- */

static int fits(struct ipc_object *o, uint64_t size)
{
    return size > container_of(o, struct segment, object)->size ? -EINVAL : 0;
}

static int make(uint64_t size, struct ipc_object **out)
{
    if (!size || size > SIZE_MAX_)
        return -EINVAL;
    if (size > INT64_MAX)
        return -ENOMEM;
    struct segment *s = kzalloc(sizeof(*s));
    if (!s)
        return -ENOMEM;
    int r = ipc_memory_file("/SYSV (deleted)", 0777, &s->file);
    if (!r)
        r = file_truncate(s->file, align_up(size, PAGE_SIZE));
    if (r) {
        file_put(s->file);
        kfree(s);
        return r;
    }
    s->size = size;
    s->creator = current->tgid;
    s->change_time = ipc_now();
    *out = &s->object;
    return 0;
}

int64_t shm_get(int key, uint64_t size, int flags)
{
    struct ipc_get g = {.key = key, .flags = flags, .size = size, .fits = fits, .make = make};
    if (flags & SHM_HUGETLB)
        return cred_can(current->cred, CAP_IPC_LOCK) ? -ENOMEM
                                                     : -EPERM; /* no huge pages are set aside */
    return ipc_get(&table, &g);
}

static int check_address(uaddr_t *at, int flags)
{
    if (!*at)
        return flags & SHM_REMAP ? -EINVAL : 0;
    if (*at % PAGE_SIZE && !(flags & SHM_RND))
        return -EINVAL;
    *at = align_down(*at, PAGE_SIZE);
    return *at || !(flags & SHM_REMAP) ? 0 : -EINVAL;
}

int64_t shm_attach(int id, uaddr_t at, int flags)
{
    bool ro = flags & SHM_RDONLY;
    uint32_t prot = PROT_READ | (ro ? 0 : PROT_WRITE) | (flags & SHM_EXEC ? PROT_EXEC : 0);
    int e = check_address(&at, flags);
    if (e)
        return e;
    uint32_t permissions = 0444 | (ro ? 0 : 0222) | (flags & SHM_EXEC ? 0111 : 0);
    struct ipc_object *o = ipc_lock(&table, id, permissions, &e);
    if (!o)
        return e;
    atomic_fetch_add(&o->refs, 1);
    ipc_unlock(&table);
    struct segment *s = container_of(o, struct segment, object);
    uint32_t fixed = flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
    struct vm_map_args a = {.address = at,
                            .length = align_up(s->size, PAGE_SIZE),
                            .prot = prot,
                            .flags = MAP_SHARED | (at ? fixed : 0),
                            .file = s,
                            .file_ops = &segment_ops,
                            .max_prot = ro ? PROT_READ | PROT_EXEC : 7u};
    int64_t r = vm_map(current->mm, &a);
    ipc_put(&table, o);
    return r == -EEXIST ? -EINVAL : r;
}

int shm_detach(uaddr_t at)
{
    return at % PAGE_SIZE ? -EINVAL : vm_detach(current->mm, at, &segment_ops);
}

static void fill(const struct segment *s, struct abi_shmid *d)
{
    *d = (struct abi_shmid){.perm = s->object.perm,
                            .size = s->size,
                            .atime = s->attach_time,
                            .dtime = s->detach_time,
                            .ctime = s->change_time,
                            .cpid = s->creator,
                            .lpid = s->last,
                            .nattch = s->attached};
}

static int64_t stat(int id, int command, uaddr_t buffer)
{
    struct abi_shmid d;
    int e;
    struct ipc_object *o = ipc_lock_stat(&table, id, command, SHM_STAT, &e);
    if (!o)
        return e;
    fill(container_of(o, struct segment, object), &d);
    int result = command == IPC_STAT ? 0 : o->id;
    ipc_unlock(&table);
    return copy_to_user(buffer, &d, sizeof(d)) ? -EFAULT : result;
}

static int set(int id, uaddr_t buffer)
{
    struct abi_shmid d;
    int e = copy_from_user(&d, buffer, sizeof(d));
    struct ipc_object *o = e ? NULL : ipc_lock_owned(&table, id, &e);
    if (!o)
        return e;
    e = ipc_set_perm(o, &d.perm);
    if (!e)
        container_of(o, struct segment, object)->change_time = ipc_now();
    ipc_unlock(&table);
    return e;
}

/* Nobody finds it by its key any more; it goes when nobody has it attached. */
static int mark_removed(int id)
{
    int e;
    struct ipc_object *o = ipc_lock_owned(&table, id, &e);
    if (!o)
        return e;
    bool gone = !container_of(o, struct segment, object)->attached;
    o->perm.mode |= SHM_DEST;
    o->perm.key = IPC_PRIVATE;
    if (gone)
        ipc_remove(&table, o);
    ipc_unlock(&table);
    if (gone)
        ipc_put(&table, o);
    return 0;
}

/* Enclave memory is never paged out by us: only the mark is kept. */
static int set_locked(int id, bool on)
{
    int e;
    struct ipc_object *o = ipc_lock_owned(&table, id, &e);
    if (!o)
        return e;
    o->perm.mode = on ? o->perm.mode | SHM_LOCKED : o->perm.mode & ~(uint32_t)SHM_LOCKED;
    ipc_unlock(&table);
    return 0;
}

static int64_t info(int command, uaddr_t buffer)
{
    struct abi_shminfo limits = {.shmmax = SIZE_MAX_,
                                 .shmmin = 1,
                                 .shmmni = SEGMENTS_MAX,
                                 .shmseg = SEGMENTS_MAX,
                                 .shmall = SIZE_MAX_};
    struct abi_shm_info used = {0};
    struct ipc_object *o;
    if (command == IPC_INFO && copy_to_user(buffer, &limits, sizeof(limits)))
        return -EFAULT;
    spin_lock(&table.lock);
    used.used_ids = (int32_t)table.objects.count;
    for (uint64_t i = 0; (o = radix_next(&table.objects, &i)) != NULL; i++)
        used.shm_tot += container_of(o, struct segment, object)->file->inode->size / PAGE_SIZE;
    spin_unlock(&table.lock);
    if (command == SHM_INFO && copy_to_user(buffer, &used, sizeof(used)))
        return -EFAULT;
    return ipc_highest(&table);
}

int64_t shm_control(int id, int command, uaddr_t buffer)
{
    switch (command & ~IPC_64) {
    case IPC_STAT:
    case SHM_STAT:
    case SHM_STAT_ANY:
        return stat(id, command & ~IPC_64, buffer);
    case IPC_SET:
        return set(id, buffer);
    case IPC_RMID:
        return mark_removed(id);
    case SHM_LOCK:
    case SHM_UNLOCK:
        return set_locked(id, (command & ~IPC_64) == SHM_LOCK);
    case IPC_INFO:
    case SHM_INFO:
        return info(command & ~IPC_64, buffer);
    default:
        return -EINVAL;
    }
}
