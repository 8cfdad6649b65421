/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Carries out a plan: hashes first, so that a wrong file changes nothing, then folders, links,
 * copied folders, files and libraries. Files are copied with what a link leads to. In a copied
 * folder links stay links, unless they lead out of it; these become what they lead to.
 */
#include "bom/root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "bom/bom.h"
#include "bom/hash.h"

#define MAX_DEPTH 128       /* also ends links that lead in circles */

struct copier {
    struct bom_plan *plan;
    struct pool *pool;
    const struct bom_options *options;
    int root_fd;
    struct copy_counts counts;
};

/* One folder, or what stands in it, on its way. */
struct transfer {
    const struct plan_item *item;
    const char *src;
    const char *dest;
    const char *name;       /* inside the transfer; "" for a folder whose contents are copied */
    int depth;
};

/* ---- hashes ---- */

static struct err *check_hashes(const struct bom_plan *plan)
{
    for (size_t i = 0; i < plan->files.count; i++) {
        const struct plan_item *item = &plan->files.items[i];
        char hash[65] = "";
        if (!item->hash)
            continue;
        struct err *err = file_hash(item->src, hash);
        if (err)
            return err;
        if (strcasecmp(hash, item->hash)) {
            err = err_new("%s: %s is not the file that was meant", item->where, item->src);
            err = err_hint(err, "its SHA-256 is %s", hash);
            return err_with_status(err, BOM_HASH);
        }
    }
    return NULL;
}

/* ---- single entries ---- */

static struct err *failed(const struct plan_item *item, const char *dest, int error, int status)
{
    return err_with_status(err_sys(-error, "%s: %s", item->where, dest), status);
}

static struct err *make_dir(struct copier *c, const struct plan_item *item)
{
    bom_say("mkdir %s", item->dest);
    if (c->options->dry_run)
        return NULL;
    int fd = root_open_dir(c->root_fd, item->dest, true);
    if (fd < 0)
        return failed(item, item->dest, fd, BOM_MKDIR);
    close(fd);
    c->counts.folders++;
    return NULL;
}

static struct err *make_link(struct copier *c, const struct plan_item *item)
{
    bom_say("link %s -> %s", item->dest, item->src);
    if (c->options->dry_run)
        return NULL;
    int fd = root_open_dir(c->root_fd, path_dirname(c->pool, item->dest), true);
    if (fd < 0)
        return failed(item, item->dest, fd, BOM_LINK);
    int error = root_link(item->src, fd, path_basename(item->dest), &c->counts);
    close(fd);
    return error ? failed(item, item->dest, error, BOM_LINK) : NULL;
}

static struct err *copy_file(struct copier *c, const struct plan_item *item)
{
    bom_say("copy %s -> %s", item->src, item->dest);
    if (c->options->dry_run)
        return NULL;
    int fd = root_open_dir(c->root_fd, path_dirname(c->pool, item->dest), true);
    if (fd < 0)
        return failed(item, item->dest, fd, BOM_COPY_FILE);
    int error = root_copy_file(item->src, fd, path_basename(item->dest), &c->counts);
    close(fd);
    if (!error)
        return NULL;
    return failed(item, pool_printf(c->pool, "%s -> %s", item->src, item->dest), error,
                  BOM_COPY_FILE);
}

/* ---- folders ---- */

/* True if a link at t->name, with this text, leads out of the copied folder. */
static bool leads_out(const struct transfer *t, const char *text)
{
    int depth = t->item->contents ? 0 : -1;
    if (text[0] == '/')
        return true;
    for (const char *at = t->name; (at = strchr(at, '/')); at++)
        depth++;
    while (*text) {
        size_t span = strcspn(text, "/");
        if (span == 2 && !memcmp(text, "..", 2))
            depth--;
        else if (span && !(span == 1 && *text == '.'))
            depth++;
        if (depth < 0)
            return true;
        text += span + (text[span] == '/');
    }
    return false;
}

static struct err *copy_special(struct copier *c, const struct transfer *t, int dir_fd,
                                const struct stat *st)
{
    const char *name = path_basename(t->dest);
    if (S_ISSOCK(st->st_mode)) {
        bom_warn("%s: a socket, left out", t->src);
        return NULL;
    }
    unlinkat(dir_fd, name, 0);
    if (mknodat(dir_fd, name, st->st_mode, st->st_rdev))
        return failed(t->item, t->src, -errno, BOM_COPY_DIR);
    return NULL;
}

static struct err *copy_tree(struct copier *c, const struct transfer *t);

static struct err *copy_entry(struct copier *c, const struct transfer *t, int dir_fd)
{
    struct stat st;
    char text[4096];
    const char *name = path_basename(t->dest);
    int error = lstat(t->src, &st) ? -errno : 0;
    if (!error && S_ISLNK(st.st_mode)) {
        ssize_t length = readlink(t->src, text, sizeof(text) - 1);
        text[length < 0 ? 0 : length] = 0;
        bool dangling = stat(t->src, &st) < 0;
        if (dangling && leads_out(t, text))
            bom_warn("%s: leads to %s, which is not there", t->src, text);
        if (dangling || !leads_out(t, text)) {
            error = root_link(text, dir_fd, name, &c->counts);
            return error ? failed(t->item, t->src, error, BOM_COPY_DIR) : NULL;
        }
    }
    if (!error && S_ISDIR(st.st_mode))
        return copy_tree(c, t);
    if (!error && !S_ISREG(st.st_mode))
        return copy_special(c, t, dir_fd, &st);
    if (!error)
        error = root_copy_file(t->src, dir_fd, name, &c->counts);
    return error ? failed(t->item, t->src, error, BOM_COPY_DIR) : NULL;
}

/* Last, because copying into a folder changes its time, and its mode may forbid it. */
static void set_dir_attributes(const char *src, int fd)
{
    struct stat st;
    if (stat(src, &st))
        return;
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    if (geteuid() == 0 && fchown(fd, st.st_uid, st.st_gid))
        return;
    if (fchmod(fd, st.st_mode & 07777) || futimens(fd, times))
        bom_warn("%s: mode or time not kept", src);
}

static struct err *copy_entries(struct copier *c, const struct transfer *t, DIR *dir,
                                int dir_fd)
{
    struct err *err = NULL;
    struct dirent *entry;
    while (!err && (entry = readdir(dir))) {
        const char *name = entry->d_name;
        if (!strcmp(name, ".") || !strcmp(name, ".."))
            continue;
        struct transfer sub = {.item = t->item, .depth = t->depth + 1,
                               .src = path_join(c->pool, t->src, name),
                               .dest = path_join(c->pool, t->dest, name)};
        sub.name = *t->name ? path_join(c->pool, t->name, name)
                            : pool_printf(c->pool, "%s", name);
        if (!plan_excluded(c->plan, sub.src, sub.name))
            err = copy_entry(c, &sub, dir_fd);
    }
    return err;
}

static struct err *copy_tree(struct copier *c, const struct transfer *t)
{
    if (t->depth > MAX_DEPTH)
        return failed(t->item, t->src, -ELOOP, BOM_COPY_DIR);
    DIR *dir = opendir(t->src);
    if (!dir)
        return failed(t->item, t->src, -errno, BOM_COPY_DIR);
    int fd = root_open_dir(c->root_fd, t->dest, true);
    struct err *err = NULL;
    if (fd < 0)
        err = failed(t->item, t->dest, fd, BOM_COPY_DIR);
    else
        err = copy_entries(c, t, dir, fd);
    closedir(dir);
    if (!err && !(t->item->contents && t->depth == 0))
        set_dir_attributes(t->src, fd);
    if (fd >= 0)
        close(fd);
    c->counts.folders++;
    return err;
}

static struct err *copy_dir(struct copier *c, const struct plan_item *item)
{
    struct transfer top = {.item = item, .src = item->src, .dest = item->dest,
                           .name = item->contents ? "" : path_basename(item->src)};
    bom_say("copy %s%s -> %s", item->src, item->contents ? "/" : "", item->dest);
    if (c->options->dry_run || plan_excluded(c->plan, top.src, top.name))
        return NULL;
    return copy_tree(c, &top);
}

/* ---- the plan ---- */

static bool plan_has(const struct plan_items *items, const char *name)
{
    for (size_t i = 0; i < items->count; i++)
        if (!strcmp(path_basename(items->items[i].dest), name))
            return true;
    return false;
}

static struct err *check_missing(struct copier *c)
{
    for (size_t i = 0; i < c->plan->missing_count; i++) {
        const struct plan_missing *missing = &c->plan->missing[i];
        const char *name = path_basename(missing->name);
        if (plan_has(&c->plan->files, name) || (c->root_fd >= 0 && root_has(c->root_fd, name)))
            continue;
        if (!missing->fatal) {
            bom_warn("%s: needs %s, which was not found", missing->needed_by, missing->name);
            continue;
        }
        struct err *err = err_new("%s needs %s, which is neither here nor in the root",
                                  missing->needed_by, missing->name);
        err = err_hint(err, "install it, list it under \"files\", or set autodep: false");
        return err_with_status(err, BOM_NO_LIBRARY);
    }
    return NULL;
}

static struct err *each(struct copier *c, const struct plan_items *items,
                        struct err *(*action)(struct copier *, const struct plan_item *))
{
    struct err *err = NULL;
    for (size_t i = 0; i < items->count && !err; i++)
        err = action(c, &items->items[i]);
    return err;
}

static struct err *copy_all(struct copier *c)
{
    struct err *err = each(c, &c->plan->mkdirs, make_dir);
    if (!err)
        err = each(c, &c->plan->links, make_link);
    if (!err)
        err = each(c, &c->plan->dirs, copy_dir);
    if (!err)
        err = each(c, &c->plan->files, copy_file);
    if (!err)
        err = each(c, &c->plan->libs, copy_file);
    return err ? err : check_missing(c);
}

struct err *copy_plan(struct bom_plan *plan, const struct bom_options *options)
{
    struct copier c = {.plan = plan, .pool = plan->pool, .options = options, .root_fd = -1};
    struct err *err = check_hashes(plan);
    if (err)
        return err;
    if (!options->dry_run && mkdir(options->root, 0755) && errno != EEXIST)
        return err_with_status(err_sys(errno, "%s", options->root), BOM_MKDIR);
    c.root_fd = open(options->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c.root_fd < 0 && !options->dry_run)
        return err_with_status(err_sys(errno, "%s", options->root), BOM_MKDIR);
    err = copy_all(&c);
    if (c.root_fd >= 0)
        close(c.root_fd);
    if (!err && !options->dry_run)
        bom_say("%llu files (%llu unchanged), %llu MiB, %zu of them libraries found by "
                "themselves",
                (unsigned long long)c.counts.files, (unsigned long long)c.counts.unchanged,
                (unsigned long long)(c.counts.bytes >> 20), plan->libs.count);
    return err;
}
