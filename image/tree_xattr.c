/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The xattrs of a file in EROFS's form, sorted by name. Kept: user.*, trusted.*, POSIX ACLs and
 * security.capability. Left out: what belongs to the building machine (labels, IMA).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "image/erofs_format.h"
#include "image/tree.h"

#define NAMES_MAX 65536u
#define VALUE_MAX 65535u

struct prefix {
    const char *text;
    int whole; /* the text is the whole name */
    int strip; /* bytes that the index stands for */
    uint8_t index;
};

static const struct prefix prefixes[] = {
    {"user.", 0, 5, EROFS_XATTR_USER},
    {"trusted.", 0, 8, EROFS_XATTR_TRUSTED},
    {"security.capability", 1, 9, EROFS_XATTR_SECURITY},
    {"system.posix_acl_access", 1, 23, EROFS_XATTR_ACL_ACCESS},
    {"system.posix_acl_default", 1, 24, EROFS_XATTR_ACL_DEFAULT},
};

static const struct prefix *find_prefix(const char *name)
{
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        const struct prefix *p = &prefixes[i];

        if (p->whole ? !strcmp(name, p->text) : !strncmp(name, p->text, strlen(p->text)))
            return p;
    }
    return NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static struct err *append(struct tree_inode *inode, const char *name,
                          const struct prefix *prefix, const void *value, size_t value_bytes)
{
    const char *rest = name + prefix->strip;
    struct erofs_xattr_entry entry = {.name_bytes = (uint8_t)strlen(rest),
                                      .prefix = prefix->index,
                                      .value_bytes = (uint16_t)value_bytes};
    size_t old = inode->xattr_bytes ? inode->xattr_bytes : sizeof(struct erofs_xattr_header);
    size_t bytes = (sizeof(entry) + entry.name_bytes + value_bytes + 3) & ~3ul;

    if (old + bytes > 4ul * UINT16_MAX)
        return err_new("%s: more xattrs than EROFS can hold", name);
    uint8_t *grown = realloc(inode->xattrs, old + bytes);

    if (!grown)
        return err_sys(ENOMEM, "%s", name);
    if (!inode->xattr_bytes)
        memset(grown, 0, old);
    memset(grown + old, 0, bytes);
    memcpy(grown + old, &entry, sizeof(entry));
    memcpy(grown + old + sizeof(entry), rest, entry.name_bytes);
    memcpy(grown + old + sizeof(entry) + entry.name_bytes, value, value_bytes);
    inode->xattrs = grown;
    inode->xattr_bytes = (uint32_t)(old + bytes);
    return NULL;
}

/* Reads the values of the sorted names. */
static struct err *read_values(const char *path, char **names, size_t count,
                               struct tree_inode *inode)
{
    char *value = malloc(VALUE_MAX + 1);
    struct err *err = value ? NULL : err_sys(ENOMEM, "%s", path);

    for (size_t i = 0; !err && i < count; i++) {
        ssize_t n = lgetxattr(path, names[i], value, VALUE_MAX);

        if (n < 0)
            err = err_sys(errno, "its xattr %s", names[i]);
        else
            err = append(inode, names[i], find_prefix(names[i]), value, (size_t)n);
    }
    free(value);
    return err;
}

static struct err *read_names(const char *path, const char *list, size_t length,
                              struct tree_inode *inode)
{
    char **names = calloc(length / 2 + 1, sizeof(*names));
    size_t count = 0;

    if (!names)
        return err_sys(ENOMEM, "its xattrs");
    for (const char *at = list; at < list + length; at += strlen(at) + 1)
        if (find_prefix(at))
            names[count++] = (char *)at;
    qsort(names, count, sizeof(*names), by_name);
    struct err *err = count ? read_values(path, names, count, inode) : NULL;

    free(names);
    return err;
}

struct err *tree_read_xattrs(int dirfd, const char *name, struct tree_inode *inode)
{
    char path[320];
    char few[512];

    snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dirfd, name);
    ssize_t n = llistxattr(path, few, sizeof(few));

    if (n >= 0)
        return n ? read_names(path, few, (size_t)n, inode) : NULL;
    if (errno == ENOTSUP)
        return NULL;
    if (errno != ERANGE)
        return err_sys(errno, "its xattrs");
    char *list = malloc(NAMES_MAX);

    if (!list)
        return err_sys(ENOMEM, "its xattrs");
    n = llistxattr(path, list, NAMES_MAX);
    struct err *err =
        n < 0 ? err_sys(errno, "its xattrs") : read_names(path, list, (size_t)n, inode);

    free(list);
    return err;
}
