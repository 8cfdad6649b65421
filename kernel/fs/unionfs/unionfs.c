/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unionfs: putting layers together. What the lower layers hold must not change below a mounted
 * union, as with overlayfs; a host's directory may, and shows it after a second.
 * LIMIT: a union over a union is refused. A directory that several layers have counts one link.
 */
#include "fs/unionfs/unionfs.h"

#include "abi/errno.h"
#include "fs/core/mount.h"
#include "fs/unionfs/node.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define OVERLAY_MAGIC 0x794c7630

static void union_free(struct inode *i)
{
    struct union_node *n = union_node(i);
    dentry_put(union_upper(n));
    for (uint32_t k = 0; k < n->lower_count; k++)
        dentry_put(n->lower[k].dentry);
    if (n->parent)
        inode_put(&n->parent->inode);
    kfree(n->name);
    kfree(n);
}

const struct inode_ops union_dir_ops = {
    .lookup = union_lookup,
    .create = union_create,
    .tmpfile = union_tmpfile,
    .link = union_link,
    .unlink = union_unlink,
    .rename = union_rename,
    .getattr = union_getattr,
    .setattr = union_setattr,
    .getxattr = union_getxattr,
    .setxattr = union_setxattr,
    .listxattr = union_listxattr,
    .revalidate = union_revalidate,
    .free = union_free,
};

const struct inode_ops union_file_inode_ops = {
    .getattr = union_getattr,
    .setattr = union_setattr,
    .open = union_open,
    .getxattr = union_getxattr,
    .setxattr = union_setxattr,
    .listxattr = union_listxattr,
    .free = union_free,
};

const struct inode_ops union_other_ops = {
    .readlink = union_readlink,
    .getattr = union_getattr,
    .setattr = union_setattr,
    .getxattr = union_getxattr,
    .setxattr = union_setxattr,
    .listxattr = union_listxattr,
    .free = union_free,
};

static int union_statfs(struct super *sb, struct abi_statfs *out)
{
    struct union_super *s = container_of(sb, struct union_super, sb);
    struct super *top = s->upper.mount ? s->upper.mount->sb : s->lower[0].mount->sb;
    return top->ops->statfs ? top->ops->statfs(top, out) : 0;
}

static int union_sync(struct super *sb)
{
    struct union_super *s = container_of(sb, struct union_super, sb);
    struct super *top = s->upper.mount ? s->upper.mount->sb : NULL;
    return top && top->ops->sync ? top->ops->sync(top) : 0;
}

static void layer_fini(struct union_layer *l)
{
    dentry_put(l->root);
    mount_put(l->mount);
}

static void union_super_free(struct super *sb)
{
    struct union_super *s = container_of(sb, struct union_super, sb);
    dentry_put(s->work);
    dentry_put(s->index);
    for (size_t i = 0; i < s->lower_count; i++)
        layer_fini(&s->lower[i]);
    layer_fini(&s->upper);
    kfree(s);
}

static const struct super_ops union_super_ops = {
    .statfs = union_statfs,
    .sync = union_sync,
    .free = union_super_free,
};

static int add_layer(const struct path *p, uint32_t flags, struct union_layer *out)
{
    if (!inode_is_dir(path_inode(p)))
        return -ENOTDIR;
    if (p->mount->sb->ops == &union_super_ops)
        return -EINVAL;
    int r = layer_mount(p->mount->sb, p->dentry, flags, &out->mount);
    if (r == 0)
        out->root = dentry_get(p->dentry);
    return r;
}

/* Names are believed as long as each layer believes them. */
static void take_ttls(struct union_super *s, const struct super *layer)
{
    uint64_t entry = layer->entry_ttl_ns, absence = layer->negative_ttl_ns;
    if (entry && (!s->sb.entry_ttl_ns || entry < s->sb.entry_ttl_ns))
        s->sb.entry_ttl_ns = entry;
    bool never = absence == UINT64_MAX || s->sb.negative_ttl_ns == UINT64_MAX;
    if (never)
        s->sb.negative_ttl_ns = UINT64_MAX;
    else if (absence && (!s->sb.negative_ttl_ns || absence < s->sb.negative_ttl_ns))
        s->sb.negative_ttl_ns = absence;
}

/* Which kind of attribute the upper layer keeps. */
static int choose_prefix(struct union_super *s)
{
    static const char *const prefixes[] = {"trusted.overlay.", "user.overlay."};
    char value[2];
    int r = -EOPNOTSUPP;
    for (size_t i = 0; i < ARRAY_SIZE(prefixes) && r < 0; i++) {
        s->prefix = prefixes[i];
        if (union_attr_get(s, s->work->inode, "opaque", value, sizeof(value)) == 1)
            return 0; /* has been here before */
        r = union_attr_set(s, s->work->inode, "opaque", "y");
    }
    if (r < 0)
        log_always("union: the upper layer (%s) keeps no extended attributes: error %d",
                   s->upper.mount->sb->type, -r);
    return r;
}

struct leftovers {
    struct dir_sink sink;
    char name[NAME_MAX + 1];
};

static bool first_name(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
                       uint32_t type, uint64_t next)
{
    struct leftovers *l = container_of(sink, struct leftovers, sink);
    (void)ino;
    (void)type;
    (void)next;
    if (name[0] == '.' || len > NAME_MAX)
        return true;
    memcpy(l->name, name, len);
    l->name[len] = 0;
    return false;
}

/* What a crash left in the work directory. */
static int clear_work(struct union_super *s)
{
    int r = 0;
    for (;;) {
        struct leftovers l = {.sink = {first_name}};
        struct dentry *d;
        r = layer_list(s->upper.mount, s->work, &l.sink);
        if (r < 0 || !l.name[0])
            return r;
        r = layer_lookup(s->work, l.name, &d);
        if (r < 0)
            return r;
        bool dir = inode_is_dir(d->inode);
        dentry_put(d);
        r = dir ? union_remove_dir(s, s->work, l.name) : layer_unlink(s->work, l.name);
        if (r < 0)
            return r;
    }
}

static int add_upper(struct union_super *s, const struct path *upper, const struct path *work)
{
    if (work->mount->sb != upper->mount->sb || !inode_is_dir(path_inode(work)))
        return -EINVAL;
    int r = add_layer(upper, 0, &s->upper);
    if (r == 0)
        r = layer_make_dir(work->dentry, "work", 0700, &s->work);
    if (r == 0)
        r = layer_make_dir(work->dentry, "index", 0700, &s->index);
    if (r == 0)
        r = choose_prefix(s);
    if (r == 0)
        r = clear_work(s);
    take_ttls(s, upper->mount->sb);
    return r;
}

static int make_root(struct union_super *s)
{
    struct union_stack stack = {0};
    if (s->upper.mount)
        stack.upper = dentry_get(s->upper.root);
    for (uint32_t i = 0; i < s->lower_count; i++)
        stack.lower[stack.count++] = (struct union_ref){dentry_get(s->lower[i].root), i};
    return union_node_get(s, NULL, "/", &stack, &s->sb.root);
}

int unionfs_new(const struct path lowers[], size_t count, const struct path *upper,
                const struct path *work, struct super **out)
{
    if (count == 0 || count > UNION_LAYERS_MAX)
        return -EINVAL;
    struct union_super *s = kzalloc(sizeof(*s));
    if (!s)
        return -ENOMEM;
    super_init(&s->sb, &union_super_ops, "overlay");
    s->sb.magic = OVERLAY_MAGIC;
    s->prefix = "trusted.overlay.";
    mutex_init(&s->sb.rename_lock, RANK_STACK_RENAME);
    mutex_init(&s->change, RANK_STACK_CHANGE);
    spin_init(&s->devs_lock, RANK_INODE_DATA);
    int r = 0;
    for (; r == 0 && s->lower_count < count; s->lower_count += r == 0) {
        const struct path *p = &lowers[s->lower_count];
        r = add_layer(p, MS_RDONLY, &s->lower[s->lower_count]);
        take_ttls(s, p->mount->sb);
    }
    for (size_t i = s->lower_count; r == 0 && i-- > 0;) /* the lowest one's stay as they are */
        (void)union_ino(s, (uint32_t)i, s->lower[i].root->inode);
    if (r == 0 && upper)
        r = add_upper(s, upper, work);
    else if (!upper)
        s->sb.flags |= SUPER_RDONLY;
    if (r == 0)
        r = make_root(s);
    if (r < 0)
        super_put(&s->sb);
    else
        *out = &s->sb;
    return r;
}

/* A new upper directory looks like the topmost lower one. */
static int make_upper(const struct path *root, struct inode *like, struct dentry **out)
{
    struct inode_init init = {S_IFDIR | like->mode, like->uid, like->gid, 0, NULL};
    int r = layer_lookup(root->dentry, "upper", out);
    if (r == -ENOENT)
        r = layer_create(root->dentry, "upper", &init, out);
    return r;
}

static int root_path(struct super *sb, struct path *out)
{
    out->dentry = dentry_new_root(inode_get(sb->root), "/");
    if (!out->dentry) {
        inode_put(sb->root);
        return -ENOMEM;
    }
    return layer_mount(sb, out->dentry, 0, &out->mount);
}

int unionfs_new_supers(struct super *const lowers[], size_t count, struct super *upper,
                       struct super **out)
{
    struct path lower[UNION_LAYERS_MAX] = {{0}}, top = {0}, up = {0}, work = {0};
    int r = count && count <= UNION_LAYERS_MAX ? 0 : -EINVAL;
    for (size_t i = 0; r == 0 && i < count; i++)
        r = root_path(lowers[i], &lower[i]);
    if (r == 0 && upper) {
        r = root_path(upper, &top);
        if (r == 0)
            r = make_upper(&top, lowers[0]->root, &up.dentry);
        if (r == 0)
            r = layer_make_dir(top.dentry, "work", 0700, &work.dentry);
        up.mount = work.mount = top.mount;
    }
    if (r == 0)
        r = unionfs_new(lower, count, upper ? &up : NULL, upper ? &work : NULL, out);
    dentry_put(up.dentry);
    dentry_put(work.dentry);
    path_put(&top);
    for (size_t i = 0; i < count && i < UNION_LAYERS_MAX; i++)
        path_put(&lower[i]);
    return r;
}

/* ---- mount -t overlay ---- */

struct options {
    struct path lower[UNION_LAYERS_MAX], upper, work;
    size_t count;
};

static void options_put(struct options *o)
{
    for (size_t i = 0; i < o->count; i++)
        path_put(&o->lower[i]);
    path_put(&o->upper);
    path_put(&o->work);
}

static int take_lowers(struct options *o, char *list)
{
    int r = 0;
    while (r == 0 && list && *list) {
        char *colon = strchr(list, ':');
        if (colon)
            *colon = 0;
        if (o->count == UNION_LAYERS_MAX)
            return -EINVAL;
        r = path_walk(AT_FDCWD, list, WALK_FOLLOW | WALK_DIRECTORY, &o->lower[o->count]);
        o->count += r == 0;
        list = colon ? colon + 1 : NULL;
    }
    return r;
}

static int take_option(struct options *o, char *text)
{
    static const uint32_t how = WALK_FOLLOW | WALK_DIRECTORY;
    if (str_starts(text, "lowerdir="))
        return o->count ? -EINVAL : take_lowers(o, text + 9);
    if (str_starts(text, "upperdir="))
        return o->upper.dentry ? -EINVAL : path_walk(AT_FDCWD, text + 9, how, &o->upper);
    if (str_starts(text, "workdir="))
        return o->work.dentry ? -EINVAL : path_walk(AT_FDCWD, text + 8, how, &o->work);
    /* What holds here anyway. */
    if (!strcmp(text, "redirect_dir=on") || !strcmp(text, "index=on") ||
        !strcmp(text, "xino=on") || !strcmp(text, "xino=auto") || *text == 0)
        return 0;
    return -EINVAL;
}

static int union_mount(const struct config_mount *config, const char *source,
                       const char *options, struct super **out)
{
    (void)config;
    (void)source;
    struct options *o = kzalloc(sizeof(*o));
    char *text = kstrdup(options ? options : "");
    int r = o && text ? 0 : -ENOMEM;
    for (char *at = text; r == 0 && at;) {
        char *comma = strchr(at, ',');
        if (comma)
            *comma = 0;
        r = take_option(o, at);
        at = comma ? comma + 1 : NULL;
    }
    bool upper = o && o->upper.dentry;
    if (r == 0 && upper != (o->work.dentry != NULL))
        r = -EINVAL;
    if (r == 0)
        r = unionfs_new(o->lower, o->count, upper ? &o->upper : NULL, upper ? &o->work : NULL,
                        out);
    if (o)
        options_put(o);
    kfree(o);
    kfree(text);
    return r;
}

void unionfs_register(void)
{
    static struct fs_type type = {
        .name = "overlay", .user_mountable = true, .mount = union_mount};
    fs_type_register(&type);
}
