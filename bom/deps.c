/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which libraries the files of a plan need, found as their loader would find them, by reading
 * alone. Each program is followed breadth first, as a loader does it: the first library that
 * has a name serves everybody who asks for that name. A library goes to the path at which it
 * was found; one found by way of $ORIGIN goes to the same place relative to its user inside the
 * root. Not here: libraries that a program opens by itself while it runs; a bom has to name
 * them.
 */
#include "bom/bom.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bom/elf.h"
#include "bom/loader.h"
#include "bom/script.h"

#define GLIBC_LOADER "/lib64/ld-linux-x86-64.so.2"
#define MUSL_LOADER  "/lib/ld-musl-x86_64.so.1"
#define MULTIARCH    "lib/x86_64-linux-gnu"

struct object {
    const char *name;       /* as asked for; the program's own path for the first */
    const char *src;        /* on this machine */
    const char *dest;       /* inside the root */
    struct elf_needs needs;
    size_t user;            /* index of the object that asked first */
};

struct closure {
    struct bom_plan *plan;
    struct pool *pool;
    const struct loader *loader;
    bool fatal;
    struct object *objects;
    size_t count;
};

struct finder {
    struct bom_plan *plan;
    struct pool *pool;
    struct loader *glibc, *musl;
    const char *only_interp;    /* the one that the programs of the plan use, or NULL */
};

/* ---- where a name is found ---- */

static bool usable(struct closure *c, const char *path, struct object *out)
{
    const char *why;
    if (elf_read(c->pool, path, &out->needs, &why) || !out->needs.is_elf)
        return false;
    out->src = path;
    return true;
}

static char *replace_token(struct pool *pool, const char *text, const char *token,
                           const char *value)
{
    char *out = pool_printf(pool, "%s", text), *at;
    size_t name = strlen(token);
    while ((at = strchr(out, '$'))) {
        size_t skip = 0;
        if (!strncmp(at + 1, token, name))
            skip = name + 1;
        else if (at[1] == '{' && !strncmp(at + 2, token, name) && at[2 + name] == '}')
            skip = name + 3;
        if (!skip)
            break;
        out = pool_printf(pool, "%.*s%s%s", (int)(at - out), out, value, at + skip);
    }
    return out;
}

static char *expand_dir(struct closure *c, const char *dir, const char *origin)
{
    char *out = replace_token(c->pool, dir, "ORIGIN", origin);
    out = replace_token(c->pool, out, "LIB", MULTIARCH);
    return replace_token(c->pool, out, "PLATFORM", "x86_64");
}

/* `list` is an RPATH or RUNPATH of `holder`. */
static bool find_in_list(struct closure *c, const struct object *holder, const char *list,
                         struct object *out)
{
    while (*list) {
        size_t span = strcspn(list, ":");
        char *dir = pool_copy(c->pool, list, span);
        list += span + (list[span] == ':');
        char *here = expand_dir(c, dir, path_dirname(c->pool, holder->src));
        char *inside = expand_dir(c, dir, path_dirname(c->pool, holder->dest));
        if (here[0] != '/')
            continue;
        if (usable(c, path_clean(c->pool, path_join(c->pool, here, out->name)), out)) {
            out->dest = path_clean(c->pool, path_join(c->pool, inside, out->name));
            return true;
        }
    }
    return false;
}

/* The requesting object's own list and, where the loader says so, those of its users. */
static bool find_by_rpath(struct closure *c, size_t user, struct object *out)
{
    const struct object *object = &c->objects[user];
    bool musl = c->loader->musl;
    if (object->needs.runpath && find_in_list(c, object, object->needs.runpath, out))
        return true;
    if (object->needs.runpath && !musl)
        return false;
    for (size_t i = user;; i = c->objects[i].user) {
        object = &c->objects[i];
        const char *list = object->needs.rpath;
        if (musl && object->needs.runpath)
            list = object->needs.runpath;
        else if (object->needs.runpath)
            list = NULL;
        if (list && find_in_list(c, object, list, out))
            return true;
        if (i == object->user)
            return false;
    }
}

static bool find_in_dirs(struct closure *c, char **dirs, size_t count, struct object *out)
{
    for (size_t i = 0; i < count; i++) {
        if (usable(c, path_join(c->pool, dirs[i], out->name), out)) {
            out->dest = out->src;
            return true;
        }
    }
    return false;
}

static bool is_default_dir(const struct loader *loader, const char *dir)
{
    for (size_t i = 0; i < loader->default_count; i++)
        if (!strcmp(loader->default_dirs[i], dir))
            return true;
    return false;
}

static void add_library(struct closure *c, const char *src, const char *dest, const char *user)
{
    struct bom_plan *plan = c->plan;
    struct plan_item item = {.where = user, .src = path_clean(c->pool, src),
                             .dest = path_clean(c->pool, dest)};
    if (!plan_find(&plan->files, item.dest) && !plan_find(&plan->libs, item.dest))
        plan_add(c->pool, &plan->libs, &item);
}

/* The loader finds it in the root only with its configuration beside it. */
static void need_config(struct closure *c, const char *user)
{
    const char *path = c->loader->config_file;
    if (!access(path, R_OK))
        add_library(c, path, path, user);
}

static bool find_by_config(struct closure *c, const struct object *user, struct object *out)
{
    const char *cached = loader_cached(c->loader, out->name);
    if (user->needs.no_default_libs)
        return false;
    if (cached && usable(c, cached, out)) {
        out->dest = cached;
        if (!is_default_dir(c->loader, path_dirname(c->pool, cached)))
            need_config(c, user->src);
        return true;
    }
    if (c->loader->config_count &&
        find_in_dirs(c, c->loader->config_dirs, c->loader->config_count, out)) {
        need_config(c, user->src);
        return true;
    }
    return find_in_dirs(c, c->loader->default_dirs, c->loader->default_count, out);
}

/* musl's loader is its libc, under all these names. */
static bool is_loader_itself(const struct closure *c, const char *name)
{
    static const char *const parts[] = {"c.", "pthread.", "rt.", "m.", "dl.", "util.", "xnet."};
    if (!strcmp(name, c->loader->name))
        return true;
    for (size_t i = 0; c->loader->musl && i < sizeof(parts) / sizeof(parts[0]); i++)
        if (!strncmp(name, "lib", 3) && !strncmp(name + 3, parts[i], strlen(parts[i])))
            return true;
    return false;
}

static bool known(const struct closure *c, const char *name)
{
    for (size_t i = 1; i < c->count; i++)
        if (!strcmp(c->objects[i].name, name))
            return true;
    return false;
}

static void add_missing(struct closure *c, const char *name, const char *needed_by)
{
    struct bom_plan *plan = c->plan;
    for (size_t i = 0; i < plan->missing_count; i++) {
        if (!strcmp(plan->missing[i].name, name)) {
            plan->missing[i].fatal |= c->fatal;
            return;
        }
    }
    plan->missing = pool_more(c->pool, plan->missing, plan->missing_count,
                              sizeof(*plan->missing));
    plan->missing[plan->missing_count++] = (struct plan_missing){name, needed_by, c->fatal};
}

static void add_needed(struct closure *c, size_t user, const char *name)
{
    struct object found = {.name = name, .user = user};
    const struct object *object = &c->objects[user];
    bool have;
    if (is_loader_itself(c, name) || known(c, name))
        return;
    if (strchr(name, '/')) {
        have = name[0] == '/' && usable(c, name, &found);
        found.dest = name;
    } else {
        have = find_by_rpath(c, user, &found) || find_by_config(c, object, &found);
    }
    if (!have) {
        add_missing(c, name, object->src);
        return;
    }
    add_library(c, found.src, found.dest, object->src);
    c->objects = pool_more(c->pool, c->objects, c->count, sizeof(found));
    c->objects[c->count++] = found;
}

/* ---- one program or library ---- */

static struct loader *loader_for(struct finder *f, const char *interp)
{
    struct loader **which = strstr(interp, "ld-musl") ? &f->musl : &f->glibc;
    if (!*which)
        *which = loader_open(f->pool, interp, "");
    return *which;
}

static const char *guess_interp(const struct finder *f, const struct elf_needs *needs)
{
    for (size_t i = 0; i < needs->needed_count; i++) {
        if (!strncmp(needs->needed[i], "libc.musl", 9) || !strcmp(needs->needed[i], "libc.so"))
            return MUSL_LOADER;
        if (!strcmp(needs->needed[i], "libc.so.6"))
            return GLIBC_LOADER;
    }
    return f->only_interp ? f->only_interp : GLIBC_LOADER;
}

/* Puts the loader where the program names it. */
static struct err *add_loader(struct closure *c, const char *interp, const struct object *user)
{
    const char *src = interp;
    if (access(src, R_OK))
        src = c->loader->musl ? MUSL_LOADER : GLIBC_LOADER;
    if (strcmp(path_basename(src), path_basename(interp)) || access(src, R_OK)) {
        struct err *err = err_new("%s: its loader %s is not on this machine", user->src,
                                  interp);
        err = err_hint(err, "install the C library it was built for, or set autodep: false");
        return err_with_status(err, BOM_NO_LIBRARY);
    }
    add_library(c, src, interp, user->src);
    return NULL;
}

static struct err *follow(struct finder *f, const struct plan_item *item, bool fatal)
{
    struct object first = {.name = item->src, .src = item->src, .dest = item->dest};
    const char *why;
    int error = elf_read(f->pool, item->src, &first.needs, &why);
    if (error == -EINVAL) {
        bom_warn("%s: looks like a program, but %s", item->src, why);
        return NULL;
    }
    if (error)
        return err_with_status(err_sys(-error, "%s: %s", item->where, item->src), BOM_NO_FILE);
    if (!first.needs.is_elf || (!first.needs.interp && !first.needs.needed_count))
        return NULL;
    char real[PATH_MAX];
    if (realpath(item->src, real))
        first.src = pool_printf(f->pool, "%s", real);
    const char *interp = first.needs.interp;
    if (!interp)
        interp = guess_interp(f, &first.needs);
    struct closure c = {.plan = f->plan, .pool = f->pool, .loader = loader_for(f, interp),
                        .fatal = fatal};
    c.objects = pool_more(f->pool, NULL, 0, sizeof(first));
    c.objects[c.count++] = first;
    struct err *err = add_loader(&c, interp, &first);
    for (size_t i = 0; i < c.count && !err; i++)
        for (size_t j = 0; j < c.objects[i].needs.needed_count; j++)
            add_needed(&c, i, c.objects[i].needs.needed[j]);
    return err;
}

/* A script is run by what its first line names; both take their places of this machine. */
static struct err *follow_script(struct finder *f, const struct plan_item *item)
{
    struct script script;
    struct err *err = NULL;
    if (!script_read(f->pool, item->src, &script))
        return NULL;
    char *program = script_program(f->pool, &script);
    if (!program || access(script.interp, R_OK)) {
        err = err_new("%s: %s is run by %s, which is not on this machine", item->where,
                      item->src, script.found_by_env ? script.found_by_env : script.interp);
        err = err_hint(err, "install it, or set autodep: false");
        return err_with_status(err, BOM_NO_FILE);
    }
    char *const needed[] = {script.interp, program};
    for (size_t i = 0; i < 2 && !err; i++) {
        struct plan_item runner = {.where = item->src, .src = needed[i], .dest = needed[i]};
        if (plan_find(&f->plan->files, runner.dest) || plan_find(&f->plan->libs, runner.dest))
            continue;
        plan_add(f->pool, &f->plan->libs, &runner);
        err = follow(f, &runner, true);
    }
    return err;
}

/* ---- all of a plan ---- */

static struct err *follow_dir(struct finder *f, const struct plan_item *item, const char *name,
                              int depth)
{
    DIR *dir = opendir(item->src);
    struct err *err = NULL;
    struct dirent *entry;
    if (!dir)
        return err_with_status(err_sys(errno, "%s: %s", item->where, item->src), BOM_COPY_DIR);
    while (!err && (entry = readdir(dir))) {
        struct stat st;
        struct plan_item sub = {.where = item->where,
                                .src = path_join(f->pool, item->src, entry->d_name),
                                .dest = path_join(f->pool, item->dest, entry->d_name)};
        char *inside = *name ? path_join(f->pool, name, entry->d_name) : entry->d_name;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
            plan_excluded(f->plan, sub.src, inside) || lstat(sub.src, &st))
            continue;
        if (S_ISDIR(st.st_mode) && depth < 128)
            err = follow_dir(f, &sub, inside, depth + 1);
        else if (S_ISREG(st.st_mode))
            err = follow(f, &sub, false);
        if (err && S_ISREG(st.st_mode)) {
            bom_warn("%s: its libraries stay out: loader not found", sub.src);
            err_free(err);
            err = NULL;
        }
    }
    closedir(dir);
    return err;
}

static void find_only_interp(struct finder *f)
{
    for (size_t i = 0; i < f->plan->files.count; i++) {
        struct elf_needs needs;
        const char *why;
        if (elf_read(f->pool, f->plan->files.items[i].src, &needs, &why) || !needs.interp)
            continue;
        if (f->only_interp && strcmp(f->only_interp, needs.interp)) {
            f->only_interp = NULL;
            return;
        }
        f->only_interp = needs.interp;
    }
}

struct err *deps_find(struct bom_plan *plan, const struct bom_options *options)
{
    struct finder f = {.plan = plan, .pool = plan->pool};
    struct err *err = NULL;
    find_only_interp(&f);
    for (size_t i = 0; i < plan->files.count && !err; i++) {
        if (!plan->files.items[i].autodep)
            continue;
        err = follow(&f, &plan->files.items[i], true);
        if (!err)
            err = follow_script(&f, &plan->files.items[i]);
    }
    for (size_t i = 0; i < plan->dirs.count && !err; i++) {
        const struct plan_item *dir = &plan->dirs.items[i];
        err = follow_dir(&f, dir, dir->contents ? "" : path_basename(dir->src), 0);
    }
    return err;
}

char *deps_system_path(struct pool *pool, const char *path)
{
    static const char etc[] = "/opt/occlum/glibc/etc/";
    if (!strncmp(path, etc, sizeof(etc) - 1))
        return pool_printf(pool, "/etc/%s", path + sizeof(etc) - 1);
    bool musl = !strncmp(path, "/opt/occlum/toolchains/gcc/", 27);
    if (!musl && strncmp(path, "/opt/occlum/glibc/lib/", 22))
        return NULL;
    const char *name = path_basename(path);
    struct loader *loader = loader_open(pool, musl ? MUSL_LOADER : GLIBC_LOADER, "");
    struct closure c = {.pool = pool, .loader = loader};
    struct object found = {.name = name};
    const char *own = musl ? MUSL_LOADER : GLIBC_LOADER;
    if (!strcmp(name, path_basename(own)))
        return access(own, F_OK) ? NULL : pool_printf(pool, "%s", own);
    const char *cached = loader_cached(loader, name);
    if (cached && usable(&c, cached, &found))
        return pool_printf(pool, "%s", cached);
    if (find_in_dirs(&c, loader->config_dirs, loader->config_count, &found) ||
        find_in_dirs(&c, loader->default_dirs, loader->default_count, &found))
        return pool_printf(pool, "%s", found.src);
    return NULL;
}
