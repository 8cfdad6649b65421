/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mount_root_fs, for /bin/init of the first stage alone: mounts the instance's root file system
 * with all that belongs to it, under a key if one is given. The number and the arguments are
 * the original's. LIMIT: no other image can be named here; mount(2) of an erofs does that.
 */
#include "abi/errno.h"
#include "fs/core/cred.h"
#include "fs/core/fd.h"
#include "fs/core/image_key.h"
#include "fs/core/path.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/user.h"
#include "net/names.h"
#include "proc/process.h"
#include "stage.h"
#include "syscall/syscall.h"

#define KEY_BYTES  16u
#define ENV_MAX    1024u
#define STRING_MAX 65536u

/* As the program has it: pointers. */
struct root_config {
    uint64_t len, upper_layer_path, lower_layer_path, entry_point, hostfs_source, hostfs_target;
    uint64_t envp;
};

/* The same, taken over. */
struct wanted {
    char *entry, *source, *target;
    char **env;
};

static int take_string(uaddr_t from, char **out)
{
    return from ? strdup_from_user(from, PATH_MAX, out) : 0;
}

static int take_environment(uaddr_t from, char ***out)
{
    uint64_t at;
    int r = from ? 0 : 1;

    if (r == 0) {
        *out = kcalloc(ENV_MAX + 1, sizeof(char *));
        r = *out ? 0 : -ENOMEM;
    }
    for (unsigned i = 0; r == 0; i++) {
        if (get_user(&at, from + 8 * i))
            return -EFAULT;
        if (!at)
            break;
        r = i < ENV_MAX ? strdup_from_user(at, STRING_MAX, &(*out)[i]) : -E2BIG;
    }
    return MIN(r, 0);
}

static int take_config(uaddr_t from, struct wanted *w)
{
    struct root_config c = {.len = 0};

    if (!from)
        return 0;
    if (get_user(&c, from))
        return -EFAULT;
    if (c.len < sizeof(c) || c.upper_layer_path || c.lower_layer_path ||
        !c.hostfs_source != !c.hostfs_target)
        return -EINVAL;
    int r = take_string(c.entry_point, &w->entry);
    if (r == 0)
        r = take_string(c.hostfs_source, &w->source);
    if (r == 0)
        r = take_string(c.hostfs_target, &w->target);
    if (r == 0)
        r = take_environment(c.envp, &w->env);
    return r;
}

static void drop(struct wanted *w)
{
    for (char **e = w->env; e && *e; e++)
        kfree(*e);
    kfree(w->env);
    kfree(w->entry);
    kfree(w->source);
    kfree(w->target);
}

static int take_key(uaddr_t from)
{
    uint8_t key[KEY_BYTES];
    int r = copy_from_user(key, from, sizeof(key));

    if (r == 0)
        image_key_set(key, sizeof(key));
    memzero_secret(key, sizeof(key));
    return r;
}

static int mount_root(const struct wanted *w)
{
    static const struct config_mount hostfs = {.fs = CONFIG_FS_HOSTFS};
    int r = stage_mount(false);

    if (r == 0 && w->target)
        r = fs_boot_mount(&hostfs, w->target, w->source, "");
    if (r == 0)
        names_import();
    return r;
}

int64_t sys_mount_root_fs(uaddr_t key, uaddr_t config)
{
    static _Atomic bool done;
    struct wanted w = {.entry = NULL};

    if (!stage_configured())
        return -ENOSYS;
    if (!stage_running() || !cred_can(fs_cred(), CAP_SYS_ADMIN))
        return -EPERM;
    int r = take_config(config, &w);
    if (r == 0 && atomic_exchange(&done, true))
        r = -EPERM;
    if (r == 0 && key)
        r = take_key(key);
    if (r == 0)
        r = mount_root(&w);
    if (r == 0)
        proc_boot_override(w.entry, w.env);
    kfree(w.source);
    kfree(w.target);
    w.source = w.target = NULL;
    if (r)
        drop(&w);
    return r;
}
