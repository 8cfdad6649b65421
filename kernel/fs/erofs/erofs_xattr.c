/* SPDX-License-Identifier: BSD-3-Clause */
/* EROFS extended attributes: in the inode's body, and shared ones by number. */
#include "abi/errno.h"
#include "fs/erofs/node.h"
#include "lib/string.h"

#define BODY_HEADER 12u
#define LONG_PREFIX 0x80u /* LIMIT: names with a prefix of the image's own are not shown */

static const char *const prefixes[] = {
    NULL, "user.",     "system.posix_acl_access", "system.posix_acl_default", "trusted.",
    NULL, "security.",
};

/* One entry: where its parts lie. */
struct found {
    const char *prefix;
    char name[256];
    size_t name_len;
    uint64_t value;
    uint16_t value_size;
    uint32_t bytes; /* of the entry, padded */
};

static int entry_at(struct erofs_super *s, uint64_t position, struct found *f)
{
    struct erofs_disk_xattr e;
    int r = erofs_copy(s, position, &e, sizeof(e));
    if (r < 0)
        return r;
    r = erofs_copy(s, position + sizeof(e), f->name, e.name_len);
    if (r < 0)
        return r;
    f->name[e.name_len] = 0;
    f->name_len = e.name_len;
    f->value = position + sizeof(e) + e.name_len;
    f->value_size = e.value_size;
    f->bytes = (uint32_t)align_up(sizeof(e) + e.name_len + e.value_size, 4);
    bool known = !(e.name_index & LONG_PREFIX) && e.name_index < ARRAY_SIZE(prefixes);
    f->prefix = known ? prefixes[e.name_index] : NULL;
    return memchr(f->name, 0, f->name_len) ? -EIO : 0;
}

/* Calls `each` for every attribute until it answers other than 0. */
static int walk(struct erofs_node *n,
                int (*each)(struct erofs_super *s, struct found *f, void *arg), void *arg)
{
    struct erofs_super *s = erofs_super(&n->inode);
    uint64_t at = n->position + n->inode_size, end = at + n->xattr_size;
    uint8_t header[BODY_HEADER];
    struct found f;
    if (n->xattr_size < BODY_HEADER)
        return 0;
    int r = erofs_copy(s, at, header, sizeof(header));
    at += BODY_HEADER;
    for (unsigned i = 0; r == 0 && i < header[4]; i++, at += 4) {
        uint32_t id;
        if (at + 4 > end)
            return -EIO;
        r = erofs_copy(s, at, &id, sizeof(id));
        if (r == 0)
            r = entry_at(s, s->xattr_start + 4ull * id, &f);
        if (r == 0 && f.prefix)
            r = each(s, &f, arg);
    }
    while (r == 0 && at + sizeof(struct erofs_disk_xattr) <= end) {
        r = entry_at(s, at, &f);
        if (r == 0 && at + f.bytes > end)
            r = -EIO;
        if (r == 0 && f.prefix && (f.name_len || f.value_size))
            r = each(s, &f, arg);
        at += f.bytes;
    }
    return r;
}

struct get_arg {
    const char *name;
    void *buffer;
    size_t size;
    ssize_t result;
};

static int get_one(struct erofs_super *s, struct found *f, void *arg)
{
    struct get_arg *a = arg;
    size_t prefix = strlen(f->prefix);
    if (strncmp(a->name, f->prefix, prefix) != 0 || strcmp(a->name + prefix, f->name) != 0)
        return 0;
    a->result = f->value_size;
    if (a->size && a->size < f->value_size)
        a->result = -ERANGE;
    else if (a->size && erofs_copy(s, f->value, a->buffer, f->value_size) < 0)
        a->result = -EIO;
    return 1;
}

ssize_t erofs_getxattr(struct inode *i, const char *name, void *buffer, size_t size)
{
    struct get_arg a = {name, buffer, size, -ENODATA};
    int r = walk(erofs_node(i), get_one, &a);
    return r < 0 ? r : a.result;
}

struct list_arg {
    char *buffer;
    size_t size, used;
};

static int list_one(struct erofs_super *s, struct found *f, void *arg)
{
    struct list_arg *a = arg;
    size_t prefix = strlen(f->prefix), need = prefix + f->name_len + 1;
    (void)s;
    if (a->size && a->used + need > a->size)
        return -ERANGE;
    if (a->size) {
        memcpy(a->buffer + a->used, f->prefix, prefix);
        memcpy(a->buffer + a->used + prefix, f->name, f->name_len + 1);
    }
    a->used += need;
    return 0;
}

ssize_t erofs_listxattr(struct inode *i, char *buffer, size_t size)
{
    struct list_arg a = {buffer, size, 0};
    int r = walk(erofs_node(i), list_one, &a);
    return r < 0 ? r : (ssize_t)a.used;
}
