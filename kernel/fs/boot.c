/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file systems at boot: registers all kinds, mounts what the measured configuration lists,
 * makes the first context. Every refusal is explained here, because nobody else can.
 */
#include "abi/errno.h"
#include "fs/core/fd.h"
#include "fs/core/path.h"
#include "fs/devfs/devfs.h"
#include "fs/erofs/erofs.h"
#include "fs/hostfs/hostfs.h"
#include "fs/procfs/procfs.h"
#include "fs/ramfs/ramfs.h"
#include "fs/sefs/sefs.h"
#include "fs/unionfs/unionfs.h"
#include "ipc/ipc.h"
#include "ipc/sysv.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

static void register_all(void)
{
    static bool done;
    if (done)
        return;
    done = true;
    ramfs_register();
    unionfs_register();
    erofs_register();
    hostfs_register();
    sefs_register();
    devfs_register();
    procfs_register();
    ipc_register();
    sigio_register();
    ipc_memory_file = ramfs_new_memfd;
}

static struct fs_type *type_of_config(uint32_t fs)
{
    static const char *const names[] = {
        [CONFIG_FS_EROFS] = "erofs",     [CONFIG_FS_HOSTFS] = "hostfs",
        [CONFIG_FS_RAMFS] = "tmpfs",     [CONFIG_FS_DEVFS] = "devfs",
        [CONFIG_FS_PROCFS] = "proc",     [CONFIG_FS_SEFS] = "sefs",
        [CONFIG_FS_UNIONFS] = "overlay",
    };
    return fs < ARRAY_SIZE(names) && names[fs] ? fs_type_find(names[fs]) : NULL;
}

/* The directory to mount on, made with its parents where the tree allows it. */
static int boot_target(const char *target, struct path *out)
{
    char *path = kstrdup(target);
    if (!path)
        return -ENOMEM;
    for (char *p = path + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = 0;
        (void)!path_create(AT_FDCWD, path, S_IFDIR | 0755, 0, NULL);
        *p = '/';
    }
    (void)!path_create(AT_FDCWD, path, S_IFDIR | 0755, 0, NULL);
    kfree(path);
    return path_walk(AT_FDCWD, target, WALK_FOLLOW | WALK_DIRECTORY, out);
}

static int attach_new(struct super *sb, const char *target, uint32_t flags, const char *source)
{
    struct path at = {0};
    struct dentry *root = dentry_new_root(inode_get(sb->root), "/");
    if (!root)
        return -ENOMEM;
    bool first = strcmp(target, "/") == 0 && !mount_have_root();
    int r = first ? 0 : boot_target(target, &at);
    if (r == 0)
        r = mount_attach(sb, root, first ? NULL : &at, flags, source);
    if (at.dentry)
        path_put(&at);
    dentry_put(root);
    return r;
}

/* Layers wait for the union that takes them; the lowest one first. */
static struct {
    struct super *sb[UNION_LAYERS_MAX + 1];
    size_t count;
    bool writable; /* the last one */
} layers;

static int add_layer(struct super *sb, bool writable)
{
    if (layers.count == ARRAY_SIZE(layers.sb) || layers.writable)
        return -EINVAL;
    layers.sb[layers.count++] = super_get(sb);
    layers.writable = writable;
    return 0;
}

static int make_union(struct super **out)
{
    struct super *lowers[UNION_LAYERS_MAX];
    size_t count = layers.count - layers.writable;
    struct super *upper = layers.writable ? layers.sb[count] : NULL;
    if (layers.count <= layers.writable || count > UNION_LAYERS_MAX)
        return -EINVAL;
    for (size_t i = 0; i < count; i++)
        lowers[i] = layers.sb[count - 1 - i];
    int r = unionfs_new_supers(lowers, count, upper, out);
    while (layers.count)
        super_put(layers.sb[--layers.count]);
    layers.writable = false;
    return r;
}

static int mount_one(const struct config_mount *m, struct fs_type *type, const char *target,
                     const char *source, const char *options)
{
    bool read_only = m->flags & CONFIG_MOUNT_RDONLY;
    struct super *sb = NULL;
    int r = m->fs == CONFIG_FS_UNIONFS ? make_union(&sb) : type->mount(m, source, options, &sb);
    if (r < 0)
        return r;
    if (m->flags & CONFIG_MOUNT_LAYER)
        r = add_layer(sb, !read_only);
    else
        r = attach_new(sb, target, read_only ? MS_RDONLY : 0, *source ? source : type->name);
    super_put(sb);
    return r;
}

/* Pseudo terminals have their names below /dev, as everywhere. */
static void mount_pts(const char *dev)
{
    char target[256];
    struct super *sb = NULL;
    struct fs_type *type = fs_type_find("devpts");
    size_t n = (size_t)format_string(target, sizeof(target), "%s/pts", dev);
    if (!type || n >= sizeof(target) || type->mount(NULL, "", "", &sb) < 0)
        return;
    int r = attach_new(sb, target, MS_NOSUID | MS_NOEXEC, "devpts");
    if (r < 0)
        log_always("mount %s: error %d: no pseudo terminals", target, -r);
    super_put(sb);
}

/* Wherever there is a /proc. A root that is read-only and has no /sys goes without. */
static void mount_sysfs(void)
{
    static const struct config_mount none = {.fs = CONFIG_FS_PROCFS};
    struct fs_type *type = fs_type_find("sysfs");
    struct super *sb;
    if (!type || type->mount(&none, "", "", &sb) < 0)
        return;
    (void)!attach_new(sb, "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, "sysfs");
    super_put(sb);
}

int fs_boot_mount(const struct config_mount *m, const char *target, const char *source,
                  const char *options)
{
    register_all();
    struct fs_type *type = type_of_config(m->fs);
    if (!type) {
        log_always("mount %s: this kernel has no file system of kind %u", target, m->fs);
        return -ENODEV;
    }
    bool layer = m->flags & CONFIG_MOUNT_LAYER;
    if (!layer && (target[0] != '/' || (!mount_have_root() && target[1]))) {
        log_always("mount %s: the first mount must be /, and all be absolute", target);
        return -EINVAL;
    }
    int r = mount_one(m, type, target, source, options);
    if (r == 0 && m->fs == CONFIG_FS_PROCFS && strcmp(target, "/proc") == 0)
        mount_sysfs();
    if (r == 0 && m->fs == CONFIG_FS_DEVFS)
        mount_pts(target);
    if (m->fs == CONFIG_FS_SEFS && layer && (r == -EBADMSG || r == -EINVAL || r == -EIO))
        log_always("mount %s: what programs have written before cannot be opened; "
                   "`occlum build --reset` removes it",
                   target);
    else if (r < 0)
        log_always("mount %s (%s from %s): error %d", target, type->name,
                   *source ? source : "nothing", -r);
    return r;
}

int fs_boot_context(const char *cwd, struct fs_context **out)
{
    struct path p;
    int r = fs_context_new(out);
    if (r < 0)
        return r;
    r = path_walk(AT_FDCWD, cwd, WALK_FOLLOW | WALK_DIRECTORY, &p);
    if (r < 0) {
        fs_context_put(*out);
        return r;
    }
    fs_context_set_cwd(*out, &p);
    path_put(&p);
    return 0;
}
