/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /dev. As in Linux's devtmpfs, the nodes are ordinary inodes of a tmpfs, made at mount; what
 * they do is found by device number.
 */
#include "fs/devfs/devfs.h"

#include "abi/errno.h"

struct dev_node {
    const char *name;
    uint32_t mode;
    uint64_t rdev;
    const char *target;
};

static const struct dev_node nodes[] = {
    {"null", S_IFCHR | 0666, MAKEDEV(1, 3), NULL},
    {"zero", S_IFCHR | 0666, MAKEDEV(1, 5), NULL},
    {"full", S_IFCHR | 0666, MAKEDEV(1, 7), NULL},
    {"random", S_IFCHR | 0666, MAKEDEV(1, 8), NULL},
    {"urandom", S_IFCHR | 0666, MAKEDEV(1, 9), NULL},
    {"sgx", S_IFCHR | 0666, MAKEDEV(10, 125), NULL},
    {"tty", S_IFCHR | 0666, MAKEDEV(5, 0), NULL},
    {"ptmx", S_IFCHR | 0666, MAKEDEV(5, 2), NULL},
    {"console", S_IFCHR | 0600, MAKEDEV(5, 1), NULL},
    {"stdin", S_IFLNK | 0777, 0, "/proc/self/fd/0"},
    {"stdout", S_IFLNK | 0777, 0, "/proc/self/fd/1"},
    {"stderr", S_IFLNK | 0777, 0, "/proc/self/fd/2"},
    {"fd", S_IFLNK | 0777, 0, "/proc/self/fd"},
    {"shm", S_IFDIR | 01777, 0, NULL},
    {"pts", S_IFDIR | 0755, 0, NULL},
    {"mqueue", S_IFDIR | 01777, 0, NULL},
};

static int populate(struct inode *root)
{
    int r = 0;
    for (size_t i = 0; i < ARRAY_SIZE(nodes) && r == 0; i++) {
        struct inode_init init = {
            .mode = nodes[i].mode, .rdev = nodes[i].rdev, .target = nodes[i].target};
        struct inode *made = NULL;
        mutex_lock(&root->lock);
        r = root->ops->create(root, nodes[i].name, &init, &made);
        mutex_unlock(&root->lock);
        inode_put(made);
    }
    return r;
}

static int devfs_mount(const struct config_mount *config, const char *source,
                       const char *options, struct super **out)
{
    (void)options;
    struct fs_type *tmpfs = fs_type_find("tmpfs");
    if (!tmpfs)
        return -ENODEV;
    int r = tmpfs->mount(config, source, "mode=755", out);
    if (r < 0)
        return r;
    (*out)->type = "devtmpfs";
    return populate((*out)->root);
}

void devfs_register(void)
{
    static struct fs_type type = {.name = "devfs", .mount = devfs_mount};
    static struct fs_type alias = {
        .name = "devtmpfs", .user_mountable = true, .mount = devfs_mount};
    fs_type_register(&type);
    fs_type_register(&alias);
    devfs_register_mem();
    devfs_register_sgx();
    devfs_register_tty();
    devpts_register();
}
