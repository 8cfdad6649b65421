/* SPDX-License-Identifier: BSD-3-Clause */
/* procfs and sysfs: inodes and files over the tables of nodes (node.h). */
#include "fs/procfs/procfs.h"

#include "abi/errno.h"
#include "fs/core/cred.h"
#include "fs/procfs/node.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "proc/process.h"
#include "sched/task.h"

#define PROC_MAGIC 0x9fa0
#define SYS_MAGIC  0x62656572
#define STORE_MAX  256u
#define DYNAMIC    0x10000u /* positions of dynamic entries start here */

static const struct inode_ops proc_dir_ops, proc_link_ops, proc_magic_ops, proc_file_inode_ops;
static const struct file_ops proc_dir_file_ops, proc_file_ops;

char *text_room(struct text *t, size_t size)
{
    if (t->used + size + 1 > t->size && !t->failed) {
        size_t grown = MAX(t->size * 2, t->used + size + 1024);
        char *bytes = krealloc(t->bytes, grown);
        if (bytes) {
            t->bytes = bytes;
            t->size = grown;
        }
        t->failed = !bytes;
    }
    if (t->failed)
        return NULL;
    char *at = t->bytes + t->used;
    t->used += size;
    return at;
}

void text_add(struct text *t, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = format_string_v(NULL, 0, format, again);
    va_end(again);
    char *at = n > 0 ? text_room(t, (size_t)n) : NULL;
    if (at)
        format_string_v(at, (size_t)n + 1, format, args);
    va_end(args);
}

bool proc_number(const char *name, int *out)
{
    uint64_t v = 0;
    if (!*name || (name[0] == '0' && name[1]))
        return false;
    for (; *name; name++) {
        if (*name < '0' || *name > '9' || v > INT32_MAX / 10)
            return false;
        v = v * 10 + (uint64_t)(*name - '0');
    }
    *out = (int)v;
    return v <= INT32_MAX;
}

static struct proc_inode *proc_inode(struct inode *i)
{
    return container_of(i, struct proc_inode, inode);
}

static const struct inode_ops *ops_of(const struct proc_node *n)
{
    switch (n->mode & S_IFMT) {
    case S_IFDIR:
        return &proc_dir_ops;
    case S_IFLNK:
        return n->jump ? &proc_magic_ops : &proc_link_ops;
    default:
        return &proc_file_inode_ops;
    }
}

/* The same number for the same thing, as long as it lives. */
static uint64_t number_of(const struct proc_key *k)
{
    uint64_t h = (uint64_t)(uintptr_t)k->node;
    h = (h ^ (uint64_t)(uint32_t)k->pid) * 0x9e3779b97f4a7c15ull;
    h = (h ^ (uint64_t)(uint32_t)k->tid) * 0x9e3779b97f4a7c15ull;
    h = (h ^ (uint64_t)(uint32_t)k->fd) * 0x9e3779b97f4a7c15ull;
    return (h >> 16) | 1;
}

static void set_owner(struct proc_inode *i)
{
    struct process *p = i->key.pid ? process_find(i->key.pid) : NULL;
    if (!p)
        return;
    struct cred *c = process_cred(p);
    if (c) {
        i->inode.uid = c->euid;
        i->inode.gid = c->egid;
        cred_put(c);
    }
    i->start_ns = p->start_ns;
    process_put(p);
}

int procfs_process(struct file *f, struct process **out)
{
    if (f->inode->ops != &proc_dir_ops)
        return -EBADF;
    const struct proc_inode *i = proc_inode(f->inode);
    if (i->key.node != &proc_pid_node)
        return -EBADF;
    struct process *p = i->key.tid ? NULL : process_find(i->key.pid);
    if (p && p->start_ns != i->start_ns) {
        process_put(p);
        p = NULL;
    }
    *out = p;
    return p ? 0 : -ESRCH;
}

static int proc_inode_new(struct super *sb, const struct proc_key *key, struct inode **out)
{
    struct proc_inode *p = kzalloc(sizeof(*p));
    if (!p)
        return -ENOMEM;
    struct inode *i = &p->inode;
    p->key = *key;
    inode_init(i, sb, ops_of(key->node), key->node->mode);
    i->ino = number_of(key);
    i->atime = i->mtime = i->ctime = fs_now();
    if (inode_is_dir(i)) {
        i->nlink = 2;
        i->file_ops = &proc_dir_file_ops;
    } else if (inode_is_reg(i)) {
        i->file_ops = &proc_file_ops;
    }
    set_owner(p);
    *out = i;
    return 0;
}

static int proc_lookup(struct inode *dir, const char *name, struct inode **out)
{
    const struct proc_key *key = &proc_inode(dir)->key;
    const struct proc_node *n = key->node;
    for (size_t k = 0; k < n->count; k++) {
        if (strcmp(n->children[k].name, name) == 0) {
            struct proc_key child = {&n->children[k], key->pid, key->tid, key->fd};
            return proc_inode_new(dir->sb, &child, out);
        }
    }
    if (!n->lookup)
        return -ENOENT;
    struct proc_key child = *key;
    int r = n->lookup(key, name, &child);
    return r < 0 ? r : proc_inode_new(dir->sb, &child, out);
}

static ssize_t proc_readlink(struct inode *i, char *buffer, size_t size)
{
    const struct proc_key *key = &proc_inode(i)->key;
    return key->node->link(key, buffer, size);
}

static int proc_jump(struct inode *i, struct path *out)
{
    const struct proc_key *key = &proc_inode(i)->key;
    return key->node->jump(key, out);
}

static void proc_free(struct inode *i)
{
    kfree(proc_inode(i));
}

static int proc_setattr(struct inode *i, const struct attr_change *change)
{
    (void)i;
    return change->mask & ~(ATTR_SIZE | ATTR_MTIME | ATTR_CTIME) ? -EPERM : 0; /* O_TRUNC */
}

/* A process sees its own descriptors, whatever its file system user id is. */
static int proc_permission(const struct inode *i, const struct cred *c, int access)
{
    const struct proc_key *key = &container_of(i, struct proc_inode, inode)->key;
    (void)c;
    return !(access & W_OK) && key->pid && key->pid == current->tgid ? 0 : -EACCES;
}

static const struct inode_ops proc_dir_ops = {
    .lookup = proc_lookup,
    .permission = proc_permission,
    .free = proc_free,
};
static const struct inode_ops proc_link_ops = {.readlink = proc_readlink, .free = proc_free};
static const struct inode_ops proc_magic_ops = {
    .readlink = proc_readlink,
    .jump = proc_jump,
    .free = proc_free,
};
static const struct inode_ops proc_file_inode_ops = {.setattr = proc_setattr,
                                                     .free = proc_free};

/* ---- files: the text is made when reading starts, and again at position 0 ---- */

static int take_text(struct file *f)
{
    const struct proc_key *key = &proc_inode(f->inode)->key;
    struct text t = {0};
    int r = key->node->show(key, &t);
    if (r == 0 && t.failed)
        r = -ENOMEM;
    if (r < 0) {
        kfree(t.bytes);
        return r;
    }
    struct text *kept = f->private;
    if (!kept) {
        kept = kzalloc(sizeof(*kept));
        if (!kept) {
            kfree(t.bytes);
            return -ENOMEM;
        }
        f->private = kept;
    }
    kfree(kept->bytes);
    *kept = t;
    return 0;
}

static ssize_t read_locked(struct file *f, struct iter *to, uint64_t *pos)
{
    if (*pos == 0 || !f->private) {
        int r = take_text(f);
        if (r < 0)
            return r;
    }
    struct text *t = f->private;
    if (*pos >= t->used)
        return 0;
    size_t n = MIN(to->remaining, t->used - (size_t)*pos);
    size_t copied = iter_copy_to(to, t->bytes + *pos, n);
    *pos += copied;
    return copied || !n ? (ssize_t)copied : -EFAULT;
}

static ssize_t proc_read(struct file *f, struct iter *to, uint64_t *pos)
{
    const struct proc_node *n = proc_inode(f->inode)->key.node;
    if (to->remaining == 0)
        return 0;
    if (n->transfer)
        return n->transfer(&proc_inode(f->inode)->key, to, pos, false);
    mutex_lock(&f->inode->lock);
    ssize_t r = read_locked(f, to, pos);
    mutex_unlock(&f->inode->lock);
    return r;
}

static ssize_t proc_write(struct file *f, struct iter *from, uint64_t *pos)
{
    const struct proc_key *key = &proc_inode(f->inode)->key;
    char data[STORE_MAX + 1];
    if (key->node->transfer)
        return key->node->transfer(key, from, pos, true);
    if (!key->node->store || from->remaining > STORE_MAX)
        return -EINVAL;
    size_t n = iter_copy_from(from, data, from->remaining);
    if (from->remaining)
        return -EFAULT;
    data[n] = 0;
    int r = key->node->store(key, data, n);
    return r < 0 ? r : (ssize_t)n;
}

static void proc_release(struct file *f)
{
    struct text *t = f->private;
    if (t)
        kfree(t->bytes);
    kfree(t);
}

static const struct file_ops proc_file_ops = {
    .read = proc_read,
    .write = proc_write,
    .seek = file_seek_generic,
    .release = proc_release,
};

static bool emit_fixed(struct file *f, struct dir_sink *sink, const struct proc_key *key)
{
    const struct proc_node *n = key->node;
    while (f->pos - 2 < n->count) {
        const struct proc_node *c = &n->children[f->pos - 2];
        struct proc_key child = {c, key->pid, key->tid, key->fd};
        if (!sink->emit(sink, c->name, strlen(c->name), number_of(&child),
                        (c->mode & S_IFMT) >> 12, f->pos + 1))
            return false;
        f->pos++;
    }
    return true;
}

static int proc_readdir(struct file *f, struct dir_sink *sink)
{
    const struct proc_key *key = &proc_inode(f->inode)->key;
    if (!dir_emit_dots(f, sink))
        return 0;
    if (f->pos < DYNAMIC && !emit_fixed(f, sink, key))
        return 0;
    if (!key->node->list)
        return 0;
    uint64_t number = f->pos < DYNAMIC ? 0 : f->pos - DYNAMIC;
    char name[16];
    uint32_t dt_type;
    while (key->node->list(key, &number, name, &dt_type)) {
        if (!sink->emit(sink, name, strlen(name), number + 1, dt_type, DYNAMIC + number + 1))
            return 0;
        f->pos = DYNAMIC + ++number;
    }
    return 0;
}

static const struct file_ops proc_dir_file_ops = {
    .readdir = proc_readdir,
    .seek = file_seek_dir,
};

/* ---- mounting ---- */

static void proc_super_free(struct super *sb)
{
    kfree(sb);
}

static const struct super_ops proc_super_ops = {.free = proc_super_free};

static int mount_tree(const struct proc_node *root, const char *type, uint64_t magic,
                      struct super **out)
{
    struct super *sb = kzalloc(sizeof(*sb));
    if (!sb)
        return -ENOMEM;
    super_init(sb, &proc_super_ops, type);
    sb->magic = magic;
    sb->flags = SUPER_PSEUDO;
    struct proc_key key = {.node = root, .fd = -1};
    int r = proc_inode_new(sb, &key, &sb->root);
    if (r < 0) {
        super_put(sb);
        return r;
    }
    *out = sb;
    return 0;
}

static int proc_mount(const struct config_mount *config, const char *source,
                      const char *options, struct super **out)
{
    (void)config;
    (void)source;
    (void)options;
    return mount_tree(&proc_root_node, "proc", PROC_MAGIC, out);
}

static int sys_mount_type(const struct config_mount *config, const char *source,
                          const char *options, struct super **out)
{
    (void)config;
    (void)source;
    (void)options;
    return mount_tree(&sys_root_node, "sysfs", SYS_MAGIC, out);
}

void procfs_register(void)
{
    static struct fs_type proc = {.name = "proc", .user_mountable = true, .mount = proc_mount};
    static struct fs_type sys = {
        .name = "sysfs", .user_mountable = true, .mount = sys_mount_type};
    fs_type_register(&proc);
    fs_type_register(&sys);
}
