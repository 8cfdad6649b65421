/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads a bom and what it includes, and merges them: included files first, the file that
 * includes them later. Of two entries for the same place the later counts. All sources are
 * looked up here, before anything is changed.
 */
#include "bom/bom.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILES 100

struct source {
    struct bom *bom;
    char *real;             /* resolved path, by which files are recognised */
    size_t parent;          /* index; the first file is its own */
};

struct reader {
    struct pool *pool;
    const struct bom_options *options;
    struct source sources[MAX_FILES];
    size_t count;
};

struct plan_item *plan_find(struct plan_items *items, const char *dest)
{
    for (size_t i = 0; i < items->count; i++)
        if (!strcmp(items->items[i].dest, dest))
            return &items->items[i];
    return NULL;
}

struct plan_item *plan_add(struct pool *pool, struct plan_items *items,
                           const struct plan_item *item)
{
    items->items = pool_more(pool, items->items, items->count, sizeof(*item));
    items->items[items->count] = *item;
    return &items->items[items->count++];
}

/* The last one counts, and stands where the last one stands. */
static void plan_replace(struct pool *pool, struct plan_items *items,
                         const struct plan_item *item)
{
    struct plan_item *old = plan_find(items, item->dest);
    if (old) {
        size_t after = items->count - 1 - (size_t)(old - items->items);
        memmove(old, old + 1, after * sizeof(*old));
        items->count--;
    }
    plan_add(pool, items, item);
}

/* Where a source of that name is; `from` may be NULL. */
static char *source_path(struct pool *pool, const struct bom_options *options,
                         const char *from, const char *name)
{
    if (from && name[0] != '/')
        name = path_join(pool, from, name);
    if (name[0] == '/')
        return pool_printf(pool, "%s", name);
    return path_join(pool, options->workspace, name);
}

/* ---- includes ---- */

static char *find_include(struct reader *r, const struct bom *bom, const char *name)
{
    char *path = name[0] == '/' ? pool_printf(r->pool, "%s", name)
                                : path_join(r->pool, path_dirname(r->pool, bom->path), name);
    if (!access(path, F_OK))
        return path;
    for (size_t i = 0; name[0] != '/' && i < r->options->include_count; i++) {
        path = path_join(r->pool, r->options->include_dirs[i], name);
        if (!access(path, F_OK))
            return path;
    }
    return NULL;
}

static struct err *check_cycle(struct reader *r, size_t from, const char *real, int line)
{
    for (size_t i = from;; i = r->sources[i].parent) {
        if (!strcmp(r->sources[i].real, real))
            return err_with_status(err_new("%s:%d: includes %s, which leads back here",
                                           r->sources[from].bom->path, line, real),
                                   BOM_BAD_FILE);
        if (i == r->sources[i].parent)
            return NULL;
    }
}

static bool already_read(const struct reader *r, const char *real)
{
    for (size_t i = 0; i < r->count; i++)
        if (!strcmp(r->sources[i].real, real))
            return true;
    return false;
}

static struct err *too_many(const struct reader *r, const struct bom *bom, int line)
{
    return err_with_status(err_new("%s:%d: more than %d files by way of includes", bom->path,
                                   line, MAX_FILES), BOM_BAD_FILE);
}

/* `name`: without ".yaml". The same for two programs is read twice. */
static struct err *read_builtin(struct reader *r, size_t from, const char *name,
                                const char *program, int line)
{
    const struct bom *bom = r->sources[from].bom;
    struct source *source = &r->sources[r->count];
    const char *text;
    char *title = pool_printf(r->pool, "(built-in)/%s.yaml%s%s", name, program ? " for " : "",
                              program ? program : "");
    if (already_read(r, title))
        return NULL;
    if (r->count == MAX_FILES)
        return too_many(r, bom, line);
    struct err *err = bom_fragment(r->pool, name, program, &text);
    if (!err)
        err = bom_parse(r->pool, title, text, strlen(text), &source->bom);
    if (err)
        return err_wrap(err, "%s:%d", bom->path, line);
    source->real = title;
    source->parent = from;
    r->count++;
    return NULL;
}

static struct err *no_include(struct reader *r, const struct bom *bom,
                              const struct bom_text *include)
{
    struct err *err = err_new("%s:%d: the include %s is not there", bom->path, include->line,
                              include->text);
    err = err_hint(err, "looked beside %s and in the folders given with --include-dir; built "
                   "in are base, %s", bom->path, bom_fragment_names(r->pool));
    return err_with_status(err, BOM_NO_FILE);
}

static struct err *read_include(struct reader *r, size_t from, const struct bom_text *include)
{
    const struct bom *bom = r->sources[from].bom;
    char *path = find_include(r, bom, include->text), real[PATH_MAX];
    const char *end = strrchr(include->text, '.');
    struct err *err;
    if (!path && end && !strcmp(end, ".yaml") &&
        bom_fragment_named(include->text, strcspn(include->text, "-.")))
        return read_builtin(r, from, pool_copy(r->pool, include->text,
                                               (size_t)(end - include->text)), NULL,
                            include->line);
    if (!path)
        return no_include(r, bom, include);
    if (!realpath(path, real))
        return err_with_status(err_sys(errno, "%s", path), BOM_NO_FILE);
    if ((err = check_cycle(r, from, real, include->line)))
        return err;
    if (already_read(r, real))
        return NULL;
    if (r->count == MAX_FILES)
        return too_many(r, bom, include->line);
    r->sources[r->count].real = pool_printf(r->pool, "%s", real);
    r->sources[r->count].parent = from;
    if ((err = bom_load(r->pool, path, &r->sources[r->count].bom)))
        return err_wrap(err, "included from %s:%d", bom->path, include->line);
    r->count++;
    return NULL;
}

static struct err *read_helpers(struct reader *r, size_t from, const struct bom_copy *copy,
                                const struct bom_file *file)
{
    const char *program = source_path(r->pool, r->options, copy->from.text, file->name.text);
    struct err *err = NULL;
    for (size_t i = 0; i < file->helpers.count && !err; i++) {
        const struct bom_text *helper = &file->helpers.items[i];
        if (!bom_fragment_named(helper->text, strlen(helper->text)))
            return err_with_status(err_new("%s:%d: autodep takes true or false, or of %s",
                                           r->sources[from].bom->path, helper->line,
                                           bom_fragment_names(r->pool)), BOM_BAD_FILE);
        err = read_builtin(r, from, helper->text, program, helper->line);
    }
    return err;
}

/* What one bom's includes and files ask for. */
static struct err *read_asked(struct reader *r, size_t from)
{
    const struct bom *bom = r->sources[from].bom;
    struct err *err = NULL;
    for (size_t i = 0; i < bom->includes.count && !err; i++)
        err = read_include(r, from, &bom->includes.items[i]);
    for (size_t i = 0; i < bom->target_count; i++)
        for (size_t j = 0; j < bom->targets[i].copy_count; j++) {
            const struct bom_copy *copy = &bom->targets[i].copies[j];
            for (size_t k = 0; k < copy->file_count && !err; k++)
                err = read_helpers(r, from, copy, &copy->files[k]);
        }
    return err;
}

static struct err *read_all(struct reader *r)
{
    char real[PATH_MAX];
    if (!realpath(r->options->file, real))
        return err_with_status(err_sys(errno, "%s", r->options->file), BOM_NO_FILE);
    struct err *err = bom_load(r->pool, r->options->file, &r->sources[0].bom);
    if (err)
        return err;
    r->sources[0].real = pool_printf(r->pool, "%s", real);
    r->count = 1;
    for (size_t i = 0; i < r->count && !err; i++)
        err = read_asked(r, i);
    return err;
}

/* ---- merging ---- */

struct merger {
    struct bom_plan *plan;
    const struct bom_options *options;
    const struct bom *bom;
    const char *target;
    const char *from;       /* or NULL */
};

static char *where(const struct merger *m, int line)
{
    return pool_printf(m->plan->pool, "%s:%d", m->bom->path, line);
}

static char *dest_path(const struct merger *m, const char *name)
{
    return path_clean(m->plan->pool, path_join(m->plan->pool, m->target, name));
}

static struct err *no_source(const char *at, const char *path, const char *what)
{
    if (what)
        return err_with_status(err_new("%s: %s: %s", at, path, what), BOM_NO_FILE);
    return err_with_status(err_sys(errno, "%s: %s", at, path), BOM_NO_FILE);
}

static struct err *merge_dir(const struct merger *m, const char *name, int line)
{
    struct pool *pool = m->plan->pool;
    struct stat st;
    struct plan_item item = {.where = where(m, line),
                             .src = source_path(pool, m->options, m->from, name)};
    size_t length = strlen(item.src);
    item.contents = item.src[length - 1] == '/';
    if (stat(item.src, &st))
        return no_source(item.where, item.src, NULL);
    if (!S_ISDIR(st.st_mode))
        return no_source(item.where, item.src, "not a folder; files stand under \"files\"");
    while (length > 1 && item.src[length - 1] == '/')
        item.src[--length] = 0;
    item.dest = dest_path(m, item.contents ? "" : path_basename(item.src));
    if (item.contents)
        /* Several folders may pour their entries into one; none replaces another. */
        plan_add(pool, &m->plan->dirs, &item);
    else
        plan_replace(pool, &m->plan->dirs, &item);
    return NULL;
}

static struct err *merge_file(const struct merger *m, const struct bom_file *file)
{
    struct pool *pool = m->plan->pool;
    struct stat st;
    struct plan_item item = {.where = where(m, file->name.line), .hash = file->hash,
                             .autodep = file->autodep};
    item.src = source_path(pool, m->options, m->from, file->name.text);
    item.dest = dest_path(m, file->rename ? file->rename : path_basename(item.src));
    char *here = access(item.src, F_OK) ? deps_system_path(pool, item.src) : NULL;
    if (here) {
        bom_say("%s: %s is %s here", item.where, item.src, here);
        if (!strncmp(m->target, "/opt/occlum/", 12))
            item.dest = pool_printf(pool, "%s", here);
        item.src = here;
    }
    if (stat(item.src, &st))
        return no_source(item.where, item.src, NULL);
    if (!S_ISREG(st.st_mode))
        return no_source(item.where, item.src,
                         S_ISDIR(st.st_mode) ? "a folder; folders stand under \"dirs\""
                                             : "not a regular file");
    plan_replace(pool, &m->plan->files, &item);
    return NULL;
}

static struct err *merge_copy(struct merger *m, const struct bom_copy *copy)
{
    struct err *err = NULL;
    m->from = NULL;
    if (copy->from.text && !copy->dirs.count && !copy->file_count)
        return merge_dir(m, path_join(m->plan->pool, copy->from.text, ""), copy->from.line);
    m->from = copy->from.text;
    for (size_t i = 0; i < copy->dirs.count && !err; i++)
        err = merge_dir(m, copy->dirs.items[i].text, copy->dirs.items[i].line);
    for (size_t i = 0; i < copy->file_count && !err; i++)
        err = merge_file(m, &copy->files[i]);
    return err;
}

static void merge_mkdir(struct merger *m, const char *name, int line)
{
    struct plan_item item = {.where = where(m, line), .dest = dest_path(m, name)};
    if (!plan_find(&m->plan->mkdirs, item.dest))
        plan_add(m->plan->pool, &m->plan->mkdirs, &item);
}

static struct err *merge_target(struct merger *m, const struct bom_target *target)
{
    struct err *err = NULL;
    m->target = target->target.text;
    merge_mkdir(m, "", target->target.line);
    for (size_t i = 0; i < target->mkdirs.count; i++)
        merge_mkdir(m, target->mkdirs.items[i].text, target->mkdirs.items[i].line);
    for (size_t i = 0; i < target->link_count; i++) {
        const struct bom_link *link = &target->links[i];
        struct plan_item item = {.where = where(m, link->src.line), .src = link->src.text,
                                 .dest = dest_path(m, link->linkname.text)};
        plan_replace(m->plan->pool, &m->plan->links, &item);
    }
    for (size_t i = 0; i < target->copy_count && !err; i++)
        err = merge_copy(m, &target->copies[i]);
    return err;
}

static void merge_excludes(struct bom_plan *plan, const struct bom_texts *more)
{
    struct bom_texts *all = &plan->excludes;
    for (size_t i = 0; i < more->count; i++) {
        all->items = pool_more(plan->pool, all->items, all->count, sizeof(*all->items));
        all->items[all->count++] = more->items[i];
    }
}

struct err *plan_make(struct bom_plan *plan, const struct bom_options *options)
{
    struct reader reader = {.pool = plan->pool, .options = options};
    struct merger merger = {.plan = plan, .options = options};
    struct err *err = read_all(&reader);
    for (size_t i = reader.count; i-- && !err;) {
        merger.bom = reader.sources[i].bom;
        merge_excludes(plan, &merger.bom->excludes);
        for (size_t j = 0; j < merger.bom->target_count && !err; j++)
            err = merge_target(&merger, &merger.bom->targets[j]);
    }
    return err;
}

/* As rsync reads its patterns: with a leading slash from the transfer's top, else at any depth;
 * besides, a whole path of this machine. */
bool plan_excluded(const struct bom_plan *plan, const char *src, const char *name)
{
    for (size_t i = 0; i < plan->excludes.count; i++) {
        char pattern[PATH_MAX];
        const char *text = plan->excludes.items[i].text, *tail = name;
        size_t length = strlen(text);
        while (length > 1 && text[length - 1] == '/')
            length--;
        if (length >= sizeof(pattern))
            continue;
        memcpy(pattern, text, length);
        pattern[length] = 0;
        if (pattern[0] == '/') {
            if (!fnmatch(pattern, src, FNM_PATHNAME) ||
                !fnmatch(pattern + 1, name, FNM_PATHNAME))
                return true;
            continue;
        }
        for (; tail; tail = strchr(tail, '/') ? strchr(tail, '/') + 1 : NULL)
            if (!fnmatch(pattern, tail, FNM_PATHNAME))
                return true;
    }
    return false;
}
