/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * See learn.h. The host's side of a run sees real paths only: names are resolved inside, link
 * by link. So files stand in the bom at their real places, and the links beside them.
 */
#include "cli/learn.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <pthread.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/file.h"

enum kind { KIND_DIRECTORY, KIND_LINK, KIND_FILE };

struct note {
    enum kind kind;
    size_t dir; /* length of the part before the last slash */
    char *link; /* a link's text */
    char path[];
};

static struct {
    pthread_mutex_t lock;
    const char *root;
    const struct text_list *except;
    void *notes; /* tsearch(3) */
    bool failed;
} learn = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int compare_notes(const void *x, const void *y)
{
    const struct note *a = x, *b = y;
    size_t n = a->dir < b->dir ? a->dir : b->dir;
    int order = memcmp(a->path, b->path, n);

    if (!order && a->dir != b->dir)
        order = a->dir < b->dir ? -1 : 1;
    if (!order)
        order = (int)a->kind - (int)b->kind;
    return order ? order : strcmp(a->path + a->dir, b->path + b->dir);
}

static int below(const char *path, const char *top)
{
    size_t n = strlen(top);

    return !strncmp(path, top, n) && (path[n] == '/' || !path[n]);
}

/* `path` is the host's. */
static void note(const char *path, enum kind kind, const char *link)
{
    const char *root = strcmp(learn.root, "/") ? learn.root : "";

    if (!below(path, root) || !path[strlen(root)] || !path[strlen(root) + 1])
        return;
    for (size_t i = 0; i < learn.except->count; i++) {
        if (below(path, learn.except->items[i]))
            return;
    }
    path += strlen(root);
    struct note *n = calloc(1, sizeof(*n) + strlen(path) + 1);
    if (n) {
        memcpy(n->path, path, strlen(path));
        n->kind = kind;
        n->dir = (size_t)(strrchr(n->path, '/') - n->path);
        n->link = link ? strdup(link) : NULL;
    }
    pthread_mutex_lock(&learn.lock);
    struct note **there = n ? tsearch(n, &learn.notes, compare_notes) : NULL;
    learn.failed |= !there || (link && !n->link);
    pthread_mutex_unlock(&learn.lock);
    if (there && *there != n) {
        free(n->link);
        free(n);
    }
}

/* What the host calls `name` in `dirfd`; false where it is no path. */
static bool place(int dirfd, const char *name, char path[2 * PATH_MAX])
{
    char proc[64];

    snprintf(proc, sizeof(proc), "/proc/self/fd/%d", dirfd);
    ssize_t n = readlink(proc, path, PATH_MAX - 1);
    if (n <= 0 || path[0] != '/')
        return false;
    path[n] = 0;
    if (*name)
        snprintf(path + (n == 1 ? 0 : n), PATH_MAX, "/%s", name);
    return true;
}

/* Looked up is enough: Python loads modules whose source it only asks the time of. */
static void found(int dirfd, const char *name, uint16_t mode)
{
    char path[2 * PATH_MAX];

    if (*name && S_ISREG(mode) && place(dirfd, name, path))
        note(path, KIND_FILE, NULL);
}

static void listed(int fd)
{
    char path[2 * PATH_MAX];

    if (place(fd, "", path))
        note(path, KIND_DIRECTORY, NULL);
}

static void link_read(int dirfd, const char *name, const char *link, size_t size)
{
    char path[2 * PATH_MAX], text[PATH_MAX];

    if (size >= sizeof(text) || !place(dirfd, name, path))
        return;
    snprintf(text, sizeof(text), "%.*s", (int)size, link);
    note(path, KIND_LINK, text);
}

const struct host_observer learn_observer = {found, listed, link_read};

void learn_begin(const char *root, const struct text_list *except)
{
    learn.root = root;
    learn.except = except;
}

/* ---- writing ------------------------------------------------------------ */

static struct {
    FILE *out;
    const struct note *previous;
} writing;

/* A string as YAML takes it; copy_bom expands a dollar, so it is doubled. */
static void put_string(const char *text)
{
    char doubled[2 * PATH_MAX];
    size_t n = 0;

    for (; *text && n < sizeof(doubled) - 2; text++) {
        if (*text == '$')
            doubled[n++] = '$';
        doubled[n++] = *text;
    }
    doubled[n] = 0;
    json_t *string = json_string(doubled);
    char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    learn.failed |= !quoted; /* not UTF-8: a bom cannot say it */
    fputs(quoted ? quoted : "\"\"", writing.out);
    free(quoted);
    json_decref(string);
}

static void put_heading(const struct note *n)
{
    static const char *const headings[] = {"    mkdirs:\n", "    createlinks:\n",
                                           "    copy:\n      - files:\n"};
    const struct note *p = writing.previous;
    bool moved = !p || p->dir != n->dir || memcmp(p->path, n->path, n->dir);

    if (moved) {
        char dir[PATH_MAX];
        snprintf(dir, sizeof(dir), "%.*s", n->dir ? (int)n->dir : 1, n->path);
        fputs("  - target: ", writing.out);
        put_string(dir);
        fputc('\n', writing.out);
    }
    if (moved || p->kind != n->kind)
        fputs(headings[n->kind], writing.out);
    writing.previous = n;
}

static void put_note(const void *node, VISIT which, void *unused)
{
    const struct note *n = *(struct note *const *)node;

    if (which != postorder && which != leaf)
        return;
    put_heading(n);
    if (n->kind == KIND_LINK) {
        fputs("      - {src: ", writing.out);
        put_string(n->link);
        fputs(", linkname: ", writing.out);
        put_string(n->path + n->dir + 1);
        fputs("}\n", writing.out);
    } else {
        fputs(n->kind == KIND_FILE ? "          - " : "      - ", writing.out);
        put_string(n->path + (n->kind == KIND_FILE ? 0 : n->dir + 1));
        fputc('\n', writing.out);
    }
}

static void free_note(void *node)
{
    struct note *n = node;

    free(n->link);
    free(n);
}

struct err *learn_write(const char *path)
{
    char *text = NULL;
    size_t size;
    struct err *err = NULL;

    writing.out = open_memstream(&text, &size);
    writing.previous = NULL;
    if (!writing.out)
        return err_sys(ENOMEM, "%s", path);
    fputs("# What a program used while it ran; another run may need more.\n"
          "targets:\n"
          "  - target: /\n"
          "    mkdirs: [dev, proc, sys, tmp, host]\n",
          writing.out);
    twalk_r(learn.notes, put_note, NULL);
    tdestroy(learn.notes, free_note);
    learn.notes = NULL;
    if (fclose(writing.out) || learn.failed)
        err = err_new("%s: not all could be noted: memory, or a name that is not UTF-8", path);
    else
        err = file_put(path, text, size);
    free(text);
    return err;
}
