/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /dev/pts and /dev/ptmx: numbers and names of pseudo terminals (pts(4)). One instance, however
 * often it is mounted. LIMIT: options of the mount (gid, mode, ptmxmode, newinstance) are not
 * looked at.
 */
#include "abi/errno.h"
#include "fs/devfs/devfs.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define DEVPTS_MAGIC 0x1cd1u
#define PTY_MAX      4096u
#define PTY_MAJOR    136u
#define TTY_GROUP    5u
#define INO_PTMX     2u
#define INO_FIRST    3u
#define FIRST_NAME   3u /* position in the directory: after ".", ".." and "ptmx" */

static struct super pts_super;
static struct spinlock pts_lock = SPINLOCK_INIT(RANK_INODE_DATA);
static struct pty *table[PTY_MAX]; /* pts_lock; not counted: a terminal leaves when it ends */

static void pts_inode_free(struct inode *i)
{
    kfree(i);
}

static const struct inode_ops pts_node_ops = {.free = pts_inode_free};

static int pts_setattr(struct inode *i, const struct attr_change *change)
{
    inode_apply_attr(i, change);
    return 0;
}

static const struct inode_ops pts_tty_ops = {.free = pts_inode_free, .setattr = pts_setattr};

static int node_new(const struct inode_ops *ops, uint32_t mode, uint64_t ino, uint64_t rdev,
                    struct inode **out)
{
    struct inode *i = kzalloc(sizeof(*i));
    if (!i)
        return -ENOMEM;
    inode_init(i, &pts_super, ops, mode);
    i->ino = ino;
    i->rdev = rdev;
    i->nlink = 1;
    i->atime = i->mtime = i->ctime = i->btime = fs_now();
    *out = i;
    return 0;
}

/* ---- numbers ---- */

static void number_free(struct pty *p)
{
    spin_lock(&pts_lock);
    table[p->index] = NULL;
    spin_unlock(&pts_lock);
}

static int number_take(struct pty *p)
{
    spin_lock(&pts_lock);
    int i = 0;
    while (i < (int)PTY_MAX && table[i])
        i++;
    if (i < (int)PTY_MAX)
        table[i] = p;
    spin_unlock(&pts_lock);
    return i < (int)PTY_MAX ? i : -ENOSPC;
}

/* With a reference, or NULL. */
static struct pty *find(uint32_t index)
{
    struct pty *p = NULL;
    spin_lock(&pts_lock);
    if (index < PTY_MAX && table[index] && table[index]->inode)
        p = table[index];
    if (p && !tty_get_live(&p->tty))
        p = NULL;
    spin_unlock(&pts_lock);
    return p;
}

int devpts_new(struct pty **out)
{
    struct pty *p = pty_new(number_free);
    if (!p)
        return -ENOMEM;
    int r = number_take(p);
    if (r < 0) {
        pty_discard(p);
        return r;
    }
    p->index = r;
    uint64_t rdev = MAKEDEV(PTY_MAJOR, (uint32_t)p->index);
    r = node_new(&pts_tty_ops, S_IFCHR | 0620, INO_FIRST + (uint64_t)p->index, rdev, &p->inode);
    if (r < 0) {
        number_free(p);
        pty_discard(p);
        return r;
    }
    p->inode->uid = fs_cred()->fsuid;
    p->inode->gid = TTY_GROUP;
    p->tty.rdev = rdev;
    *out = p;
    return 0;
}

/* ---- the directory ---- */

static int pts_lookup(struct inode *dir, const char *name, struct inode **out)
{
    uint64_t index;
    char again[16];
    (void)dir;
    if (strcmp(name, "ptmx") == 0)
        return node_new(&pts_node_ops, S_IFCHR | 0666, INO_PTMX, MAKEDEV(5, 2), out);
    if (parse_u64(name, 10, &index) < 0 || index >= PTY_MAX)
        return -ENOENT;
    format_string(again, sizeof(again), "%u", (unsigned)index);
    struct pty *p = strcmp(name, again) == 0 ? find((uint32_t)index) : NULL;
    if (!p)
        return -ENOENT;
    mutex_lock(&p->lock);
    *out = p->inode ? inode_get(p->inode) : NULL;
    mutex_unlock(&p->lock);
    tty_put(&p->tty);
    return *out ? 0 : -ENOENT;
}

static int pts_readdir(struct file *f, struct dir_sink *sink)
{
    if (!dir_emit_dots(f, sink))
        return 0;
    if (f->pos == 2) {
        if (!sink->emit(sink, "ptmx", 4, INO_PTMX, DT_CHR, 3))
            return 0;
        f->pos = FIRST_NAME;
    }
    for (; f->pos - FIRST_NAME < PTY_MAX; f->pos++) {
        uint32_t index = (uint32_t)(f->pos - FIRST_NAME);
        char name[16];
        struct pty *p = find(index);
        if (!p)
            continue;
        tty_put(&p->tty);
        int n = format_string(name, sizeof(name), "%u", index);
        if (!sink->emit(sink, name, (size_t)n, INO_FIRST + index, DT_CHR, f->pos + 1))
            return 0;
    }
    return 0;
}

static const struct inode_ops pts_dir_ops = {.lookup = pts_lookup, .free = pts_inode_free};
static const struct file_ops pts_dir_file_ops = {
    .readdir = pts_readdir,
    .seek = file_seek_dir,
};

/* ---- devices ---- */

static int ptmx_open(struct file *f)
{
    struct pty *p;
    int r = devpts_new(&p);
    if (r == 0)
        pty_attach_master(p, f);
    return r;
}

static int pts_open(struct file *f)
{
    struct pty *p = find(DEV_MINOR(f->inode->rdev));
    if (!p)
        return -EIO;
    int r = pty_attach_slave(p, f);
    if (r < 0)
        tty_put(&p->tty);
    return r;
}

/* ---- mounting ---- */

static void pts_super_free(struct super *sb)
{
    (void)sb; /* static, and its first reference is never put */
}

static const struct super_ops pts_super_ops = {.free = pts_super_free};

static int pts_mount(const struct config_mount *config, const char *source, const char *options,
                     struct super **out)
{
    (void)config;
    (void)source;
    (void)options;
    *out = super_get(&pts_super);
    return 0;
}

static int make_super(void)
{
    super_init(&pts_super, &pts_super_ops, "devpts");
    pts_super.magic = DEVPTS_MAGIC;
    pts_super.flags = SUPER_PSEUDO;
    atomic_fetch_add(&pts_super.mounts, 1); /* the root stays when it is mounted nowhere */
    int r = node_new(&pts_dir_ops, S_IFDIR | 0755, 1, 0, &pts_super.root);
    if (r == 0) {
        pts_super.root->file_ops = &pts_dir_file_ops;
        pts_super.root->nlink = 2;
    }
    return r;
}

void devpts_register(void)
{
    static struct fs_type type = {.name = "devpts", .user_mountable = true, .mount = pts_mount};
    static struct device ptmx = {.major = 5,
                                 .minor = 2,
                                 .name = "ptmx",
                                 .state = FILE_STREAM,
                                 .ops = &tty_file_ops,
                                 .open = ptmx_open};
    static struct device slaves = {.major = PTY_MAJOR,
                                   .count = PTY_MAX,
                                   .name = "pts",
                                   .state = FILE_STREAM,
                                   .ops = &tty_file_ops,
                                   .open = pts_open};
    if (make_super() < 0)
        return;
    fs_type_register(&type);
    device_register(&ptmx);
    device_register(&slaves);
}
