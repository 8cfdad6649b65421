/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ramfs: directories, links, nodes and the mounting. Entries hold their inodes; a directory's
 * entries are found by name in a tree and listed in the order in which they were made.
 */
#include "fs/ramfs/ramfs.h"

#include "abi/errno.h"
#include "fs/ramfs/node.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define TMPFS_MAGIC 0x01021994

static const struct inode_ops ram_dir_ops, ram_file_inode_ops, ram_link_ops, ram_other_ops;

static const struct inode_ops *ops_of(uint32_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return &ram_dir_ops;
    case S_IFREG:
        return &ram_file_inode_ops;
    case S_IFLNK:
        return &ram_link_ops;
    default:
        return &ram_other_ops;
    }
}

static int node_new(struct ram_super *s, const struct inode_init *init, struct ram_node **out)
{
    struct ram_node *n = kzalloc(sizeof(*n));
    if (!n)
        return -ENOSPC;
    if (init->target) {
        n->target = kstrdup(init->target);
        if (!n->target) {
            kfree(n);
            return -ENOSPC;
        }
    }
    struct inode *i = &n->inode;
    inode_init(i, &s->sb, ops_of(init->mode), init->mode);
    radix_init(&n->order);
    list_init(&n->xattrs);
    n->next_cookie = 2;
    i->cache.keep = true;
    i->cached = inode_is_reg(i);
    i->ino = atomic_fetch_add(&s->sb.next_ino, 1);
    i->uid = init->uid;
    i->gid = init->gid;
    i->rdev = init->rdev;
    i->size = init->target ? strlen(init->target) : 0;
    i->nlink = inode_is_dir(i) ? 2 : 1;
    i->atime = i->mtime = i->ctime = i->btime = fs_now();
    if (inode_is_dir(i))
        i->file_ops = &ram_dir_file_ops;
    else if (inode_is_reg(i))
        i->file_ops = &ram_file_ops;
    i->seals = F_SEAL_SEAL;
    atomic_fetch_add(&s->inodes, 1);
    *out = n;
    return 0;
}

static int compare(const struct ram_entry *e, const char *name, size_t len)
{
    int c = memcmp(e->name, name, MIN((size_t)e->len, len));
    return c ? c : (int)e->len - (int)len;
}

static struct ram_entry *find(struct ram_node *dir, const char *name)
{
    size_t len = strlen(name);
    struct rb_node *n = dir->names.node;
    while (n) {
        struct ram_entry *e = container_of(n, struct ram_entry, by_name);
        int c = compare(e, name, len);
        if (c == 0)
            return e;
        n = c > 0 ? n->left : n->right;
    }
    return NULL;
}

static struct ram_entry *entry_new(const char *name)
{
    size_t len = strlen(name);
    struct ram_entry *e = kzalloc(sizeof(*e) + len + 1);
    if (!e)
        return NULL;
    memcpy(e->name, name, len);
    e->len = (uint32_t)len;
    return e;
}

/* Puts an entry with its node into the directory; takes over the node's reference. */
static int entry_add(struct ram_node *dir, struct ram_entry *e)
{
    e->cookie = dir->next_cookie;
    if (radix_set(&dir->order, e->cookie, e) < 0)
        return -ENOSPC;
    dir->next_cookie++;
    struct rb_node *parent = NULL, **link = &dir->names.node;
    while (*link) {
        parent = *link;
        struct ram_entry *at = container_of(parent, struct ram_entry, by_name);
        link = compare(at, e->name, e->len) > 0 ? &parent->left : &parent->right;
    }
    rb_insert(&dir->names, parent, link, &e->by_name);
    if (inode_is_dir(&e->node->inode)) {
        e->node->parent = dir;
        dir->inode.nlink++;
    }
    dir->inode.size += 20;
    inode_touch_modified(&dir->inode);
    return 0;
}

static void entry_remove(struct ram_node *dir, struct ram_entry *e)
{
    rb_remove(&dir->names, &e->by_name);
    radix_remove(&dir->order, e->cookie);
    if (inode_is_dir(&e->node->inode))
        dir->inode.nlink--;
    dir->inode.size -= 20;
    inode_touch_modified(&dir->inode);
}

static int ram_lookup(struct inode *dir, const char *name, struct inode **out)
{
    struct ram_entry *e = find(ram_node(dir), name);
    if (!e)
        return -ENOENT;
    *out = inode_get(&e->node->inode);
    return 0;
}

static int ram_create(struct inode *dir, const char *name, const struct inode_init *init,
                      struct inode **out)
{
    struct ram_node *n;
    struct ram_entry *e = entry_new(name);
    if (!e)
        return -ENOSPC;
    int r = node_new(ram_super(dir), init, &n);
    if (r < 0)
        goto free_entry;
    e->node = n;
    r = entry_add(ram_node(dir), e);
    if (r < 0)
        goto put_node;
    *out = inode_get(&n->inode);
    return 0;
put_node:
    inode_put(&n->inode);
free_entry:
    kfree(e);
    return r;
}

static int ram_tmpfile(struct inode *dir, const struct inode_init *init, struct inode **out)
{
    struct ram_node *n;
    int r = node_new(ram_super(dir), init, &n);
    if (r < 0)
        return r;
    n->inode.nlink = 0;
    *out = &n->inode;
    return 0;
}

static int ram_link(struct inode *dir, const char *name, struct inode *target)
{
    struct ram_entry *e = entry_new(name);
    if (!e)
        return -ENOSPC;
    e->node = ram_node(target);
    int r = entry_add(ram_node(dir), e);
    if (r < 0) {
        kfree(e);
        return r;
    }
    inode_get(target);
    target->nlink++;
    target->ctime = fs_now();
    return 0;
}

static void unlinked(struct inode *victim)
{
    victim->nlink = inode_is_dir(victim) ? 0 : victim->nlink - 1;
    victim->ctime = fs_now();
}

static int ram_unlink(struct inode *dir, const char *name, struct inode *victim)
{
    struct ram_entry *e = find(ram_node(dir), name);
    if (!e || &e->node->inode != victim)
        return -ENOENT;
    if (inode_is_dir(victim) && e->node->names.node)
        return -ENOTEMPTY;
    entry_remove(ram_node(dir), e);
    unlinked(victim);
    inode_put(victim);
    kfree(e);
    return 0;
}

/* Both names keep their entries; what they lead to changes places. */
static int exchange(struct ram_node *from, struct ram_entry *a, struct ram_node *to,
                    struct ram_entry *b)
{
    struct ram_node *n = a->node;
    bool da = inode_is_dir(&a->node->inode), db = inode_is_dir(&b->node->inode);
    from->inode.nlink += (uint32_t)db - (uint32_t)da;
    to->inode.nlink += (uint32_t)da - (uint32_t)db;
    a->node = b->node;
    b->node = n;
    a->node->parent = from;
    b->node->parent = to;
    a->node->inode.ctime = b->node->inode.ctime = fs_now();
    inode_touch_modified(&from->inode);
    inode_touch_modified(&to->inode);
    return 0;
}

/* The entry that stays at the old name leads to a whiteout from now on. */
static void leave_whiteout(struct ram_node *dir, struct ram_entry *old, struct ram_node *white)
{
    if (inode_is_dir(&old->node->inode))
        dir->inode.nlink--;
    old->node = white;
    inode_touch_modified(&dir->inode);
}

static int ram_rename(const struct rename_args *args)
{
    struct ram_node *from = ram_node(args->old_dir), *to = ram_node(args->new_dir);
    struct ram_entry *old = find(from, args->old_name), *there = find(to, args->new_name);
    if (!old || &old->node->inode != args->inode ||
        (there ? &there->node->inode : NULL) != args->replaced)
        return -ENOENT;
    if (args->flags & RENAME_EXCHANGE)
        return there ? exchange(from, old, to, there) : -ENOENT;
    if (there && inode_is_dir(args->replaced) && there->node->names.node)
        return -ENOTEMPTY;
    struct inode_init white_init = {
        .mode = S_IFCHR, .uid = fs_cred()->fsuid, .gid = fs_cred()->fsgid};
    struct ram_entry *e = entry_new(args->new_name);
    struct ram_node *white = NULL;
    int r = e ? 0 : -ENOSPC;
    if (r == 0 && (args->flags & RENAME_WHITEOUT))
        r = node_new(ram_super(args->inode), &white_init, &white);
    if (r < 0)
        goto free_new;
    e->node = old->node;
    if (there)
        entry_remove(to, there);
    r = entry_add(to, e);
    if (r < 0) {
        if (there && entry_add(to, there) < 0)
            assert(!"a cookie just removed can be set again");
        goto free_new;
    }
    if (white) {
        leave_whiteout(from, old, white);
    } else {
        entry_remove(from, old);
        kfree(old); /* its reference went to e */
    }
    args->inode->ctime = fs_now();
    if (there) {
        unlinked(args->replaced);
        inode_put(args->replaced);
        kfree(there);
    }
    return 0;
free_new:
    if (white)
        inode_put(&white->inode);
    kfree(e);
    return r;
}

static ssize_t ram_readlink(struct inode *i, char *buffer, size_t size)
{
    size_t n = MIN(size, (size_t)i->size);
    memcpy(buffer, ram_node(i)->target, n);
    return (ssize_t)n;
}

static int ram_getattr(struct inode *i)
{
    if (inode_is_reg(i))
        i->blocks = cache_page_count(&i->cache) * (PAGE_SIZE / 512);
    return 0;
}

static void ram_free(struct inode *i)
{
    struct ram_node *n = ram_node(i);
    struct rb_node *at;
    while ((at = rb_first(&n->names)) != NULL) {
        struct ram_entry *e = container_of(at, struct ram_entry, by_name);
        rb_remove(&n->names, at);
        radix_remove(&n->order, e->cookie);
        inode_put(&e->node->inode);
        kfree(e);
    }
    ram_xattr_free(n);
    atomic_fetch_sub(&ram_super(i)->inodes, 1);
    kfree(n->target);
    kfree(n);
}

static const struct inode_ops ram_dir_ops = {
    .lookup = ram_lookup,
    .create = ram_create,
    .tmpfile = ram_tmpfile,
    .link = ram_link,
    .unlink = ram_unlink,
    .rename = ram_rename,
    .setattr = ram_setattr,
    .getxattr = ram_getxattr,
    .setxattr = ram_setxattr,
    .listxattr = ram_listxattr,
    .free = ram_free,
};

static const struct inode_ops ram_file_inode_ops = {
    .getattr = ram_getattr,
    .setattr = ram_setattr,
    .getxattr = ram_getxattr,
    .setxattr = ram_setxattr,
    .listxattr = ram_listxattr,
    .free = ram_free,
};

static const struct inode_ops ram_link_ops = {
    .readlink = ram_readlink,
    .setattr = ram_setattr,
    .getxattr = ram_getxattr,
    .setxattr = ram_setxattr,
    .listxattr = ram_listxattr,
    .free = ram_free,
};

static const struct inode_ops ram_other_ops = {
    .setattr = ram_setattr,
    .getxattr = ram_getxattr,
    .setxattr = ram_setxattr,
    .listxattr = ram_listxattr,
    .free = ram_free,
};

static int ram_statfs(struct super *sb, struct abi_statfs *out)
{
    struct ram_super *s = container_of(sb, struct ram_super, sb);
    struct heap_stats heap;
    heap_stats(&heap);
    uint64_t used = atomic_load(&s->pages);
    uint64_t total = s->limit_pages;
    if (!total) /* then names and inodes take what files could have */
        used += atomic_load(&s->inodes) / 8 + 1;
    if (!total)
        total = used + (heap.limit_bytes - MIN(heap.used_bytes, heap.limit_bytes)) / PAGE_SIZE;
    out->f_bsize = out->f_frsize = PAGE_SIZE;
    out->f_blocks = total;
    out->f_bfree = out->f_bavail = total - MIN(used, total);
    out->f_files = 1u << 20;
    out->f_ffree = out->f_files - MIN(atomic_load(&s->inodes), out->f_files);
    return 0;
}

static void ram_super_free(struct super *sb)
{
    kfree(container_of(sb, struct ram_super, sb));
}

static int ram_remount(struct super *sb, const char *options);
static const struct super_ops ram_super_ops = {
    .statfs = ram_statfs,
    .remount = ram_remount,
    .free = ram_super_free,
};

/* "size=64m": bytes with k, m or g. */
static int parse_size(const char *text, uint64_t *pages)
{
    char digits[24];
    size_t n = 0;
    while (n < sizeof(digits) - 1 && text[n] >= '0' && text[n] <= '9') {
        digits[n] = text[n];
        n++;
    }
    digits[n] = 0;
    uint64_t value, unit = 1;
    char suffix = text[n] | 0x20;
    if (parse_u64(digits, 10, &value) < 0)
        return -EINVAL;
    if (suffix == 'k')
        unit = 1u << 10;
    else if (suffix == 'm')
        unit = 1u << 20;
    else if (suffix == 'g')
        unit = 1u << 30;
    else if (text[n] && text[n] != ',')
        return -EINVAL;
    if (mul_overflows(value, unit, &value))
        return -EINVAL;
    *pages = (value + PAGE_SIZE - 1) / PAGE_SIZE;
    return 0;
}

static int parse_options(const char *options, struct ram_super *s, uint32_t *mode)
{
    const char *at = options;
    while (at && *at) {
        char number[8] = {0};
        uint64_t value;
        int r = 0;
        if (str_starts(at, "size=")) {
            r = parse_size(at + 5, &s->limit_pages);
        } else if (str_starts(at, "mode=")) {
            for (size_t i = 0; i < sizeof(number) - 1 && at[5 + i] && at[5 + i] != ','; i++)
                number[i] = at[5 + i];
            r = parse_u64(number, 8, &value);
            *mode = (uint32_t)value & 07777;
        }
        if (r < 0)
            return r;
        at = strchr(at, ',');
        at = at ? at + 1 : NULL;
    }
    return 0;
}

/* Only the size changes, and never below what is there. */
static int ram_remount(struct super *sb, const char *options)
{
    struct ram_super *s = container_of(sb, struct ram_super, sb), wanted = {0};
    uint32_t mode;
    wanted.limit_pages = s->limit_pages;
    int r = parse_options(options, &wanted, &mode);
    if (r == 0 && wanted.limit_pages && wanted.limit_pages < atomic_load(&s->pages))
        r = -EINVAL;
    if (r == 0)
        s->limit_pages = wanted.limit_pages;
    return r;
}

static int super_new(struct ram_super **out)
{
    struct ram_super *s = kzalloc(sizeof(*s));
    if (!s)
        return -ENOMEM;
    super_init(&s->sb, &ram_super_ops, "tmpfs");
    s->sb.magic = TMPFS_MAGIC;
    s->sb.flags = SUPER_WHITEOUT;
    *out = s;
    return 0;
}

static int ramfs_mount(const struct config_mount *config, const char *source,
                       const char *options, struct super **out)
{
    struct ram_super *s;
    struct ram_node *root;
    uint32_t mode = 01777;
    (void)config;
    (void)source;
    int r = super_new(&s);
    if (r < 0)
        return r;
    r = parse_options(options, s, &mode);
    struct inode_init init = {.mode = S_IFDIR | mode};
    if (r == 0)
        r = node_new(s, &init, &root);
    if (r < 0) {
        super_put(&s->sb);
        return r;
    }
    root->parent = root;
    s->sb.root = &root->inode;
    *out = &s->sb;
    return 0;
}

void ramfs_register(void)
{
    static struct fs_type type = {
        .name = "tmpfs", .user_mountable = true, .mount = ramfs_mount};
    static struct fs_type alias = {
        .name = "ramfs", .user_mountable = true, .mount = ramfs_mount};
    fs_type_register(&type);
    fs_type_register(&alias);
}

int ramfs_new_memfd(const char *name, uint32_t mode, struct file **out)
{
    static _Atomic(struct ram_super *) shared;
    struct ram_super *s = atomic_load(&shared), *none = NULL;
    struct ram_node *n;
    int r = s ? 0 : super_new(&s);
    if (r < 0)
        return r;
    if (!atomic_load(&shared) && !atomic_compare_exchange_strong(&shared, &none, s)) {
        super_put(&s->sb);
        s = none;
    }
    const struct cred *c = fs_cred();
    struct inode_init init = {.mode = S_IFREG | mode, .uid = c->fsuid, .gid = c->fsgid};
    r = node_new(s, &init, &n);
    if (r < 0)
        return -ENOMEM;
    n->inode.nlink = 0;
    r = file_new_anonymous(&n->inode, name, O_RDWR, &ram_file_ops, NULL, out);
    if (r == 0)
        atomic_fetch_or(&(*out)->flags, O_LARGEFILE);
    return r;
}
