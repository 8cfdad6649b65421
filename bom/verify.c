/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * copy_bom --verify: compares a root with the plan that filled it. Folders and links must be
 * there; a file must have the hash that the bom gives, or else the contents of its source.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bom/bom.h"
#include "bom/hash.h"
#include "bom/root.h"

struct verifier {
    const struct bom_plan *plan;
    int root_fd;
    size_t checked, missing, different;
};

/* The place of `dest`, as a path of this machine. */
static bool find(const struct verifier *v, const char *dest, char path[PATH_MAX])
{
    struct stat st;
    int dir = root_open_dir(v->root_fd, path_dirname(v->plan->pool, dest), false);
    if (dir < 0)
        return false;
    char proc[64];
    snprintf(proc, sizeof(proc), "/proc/self/fd/%d", dir);
    ssize_t n = readlink(proc, path, PATH_MAX - NAME_MAX - 2);
    if (n > 0)
        snprintf(path + n, NAME_MAX + 2, "/%s", path_basename(dest));
    close(dir);
    return n > 0 && !lstat(path, &st);
}

static bool present(struct verifier *v, const struct plan_item *item, char path[PATH_MAX])
{
    v->checked++;
    if (find(v, item->dest, path))
        return true;
    v->missing++;
    bom_warn("%s: %s is missing", item->where, item->dest);
    return false;
}

static void differs(struct verifier *v, const struct plan_item *item, const char *what)
{
    v->different++;
    bom_warn("%s: %s %s", item->where, item->dest, what);
}

static struct err *verify_file(struct verifier *v, const struct plan_item *item)
{
    char path[PATH_MAX], got[65], want[65] = "";
    struct err *err;

    if (!present(v, item, path))
        return NULL;
    err = file_hash(path, got);
    if (!err && !item->hash)
        err = file_hash(item->src, want);
    if (!err && strcasecmp(got, item->hash ? item->hash : want))
        differs(v, item, item->hash ? "has another hash" : "differs from its source");
    return err;
}

/* A library that was found by itself takes the place of a link of its name; the folder may have
 * another name there. */
static bool is_library(const struct bom_plan *plan, const char *dest)
{
    for (size_t i = 0; i < plan->libs.count; i++)
        if (!strcmp(path_basename(plan->libs.items[i].dest), path_basename(dest)))
            return true;
    return false;
}

static void verify_link(struct verifier *v, const struct plan_item *item)
{
    char path[PATH_MAX], text[PATH_MAX];

    if (!present(v, item, path) || is_library(v->plan, item->dest))
        return;
    ssize_t n = readlink(path, text, sizeof(text));
    if (n != (ssize_t)strlen(item->src) || memcmp(text, item->src, (size_t)n))
        differs(v, item, "leads elsewhere");
}

static struct err *verify_all(struct verifier *v)
{
    const struct plan_items *files[] = {&v->plan->files, &v->plan->libs};
    const struct plan_items *folders[] = {&v->plan->mkdirs, &v->plan->dirs};
    char path[PATH_MAX];

    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < folders[i]->count; j++)
            (void)present(v, &folders[i]->items[j], path);
    for (size_t j = 0; j < v->plan->links.count; j++)
        verify_link(v, &v->plan->links.items[j]);
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < files[i]->count; j++) {
            struct err *err = verify_file(v, &files[i]->items[j]);
            if (err)
                return err;
        }
    }
    return NULL;
}

struct err *verify_plan(const struct bom_plan *plan, const struct bom_options *options)
{
    struct verifier v = {.plan = plan};

    v.root_fd = open(options->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (v.root_fd < 0)
        return err_with_status(err_sys(errno, "%s", options->root), BOM_NO_FILE);
    struct err *err = verify_all(&v);
    close(v.root_fd);
    if (err)
        return err;
    bom_say("%zu entries: %zu missing, %zu different", v.checked, v.missing, v.different);
    if (!v.missing && !v.different)
        return NULL;
    err = err_new("%s: %zu entries are missing and %zu are different", options->root, v.missing,
                  v.different);
    return err_with_status(err, v.different ? BOM_HASH : BOM_NO_FILE);
}
