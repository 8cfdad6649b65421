/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * copy_bom: fills an instance's root from a bill of materials.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bom/bom.h"

bool bom_verbose;

static const char usage[] =
    "usage: copy_bom -f BOM.yaml --root FOLDER [--include-dir FOLDER]... [--dry-run]\n"
    "       copy_bom -f BOM.yaml --learn -- PROGRAM [ARGS...]\n"
    "\n"
    "Copies into FOLDER what BOM.yaml lists, with the libraries that its programs need.\n"
    "  -f, --file FILE         the bill of materials\n"
    "      --root FOLDER       the root to fill, made if it is not there; what is in it stays\n"
    "      --include-dir FOLDER  where includes are also looked for; may be repeated\n"
    "      --verify            compare FOLDER with what is listed, change nothing\n"
    "      --learn             run PROGRAM over this machine's tree, in occlum try, and write\n"
    "                          BOM.yaml from what it opens; the status is PROGRAM's\n"
    "      --dry-run           say what would be done, change nothing\n"
    "      --version, --help\n"
    "\n"
    "Relative sources are relative to the folder that holds the root.\n"
    "OCCLUM_LOG_LEVEL=info shows each step.\n"
    "Statuses: 0 done, 2 usage, 255 a file is missing, 254 a file could not be copied,\n"
    "253 the bom is wrong, 252 a folder could not be made, 251 a link, 250 a folder could not\n"
    "be copied, 249 a hash differs, 248 a library is missing.\n";

static void say(FILE *stream, const char *prefix, const char *format, va_list args)
{
    fputs(prefix, stream);
    vfprintf(stream, format, args);
    fputc('\n', stream);
}

void bom_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (bom_verbose)
        say(stdout, "", format, args);
    va_end(args);
}

void bom_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(stderr, "copy_bom: warning: ", format, args);
    va_end(args);
}

static struct err *read_options(struct bom_options *o, int argc, char **argv)
{
    enum { OPT_ROOT = 256, OPT_INCLUDE, OPT_DRY, OPT_VERSION, OPT_LEARN, OPT_VERIFY };
    static const struct option longs[] = {
        {"file", required_argument, NULL, 'f'},
        {"root", required_argument, NULL, OPT_ROOT},
        {"include-dir", required_argument, NULL, OPT_INCLUDE},
        {"dry-run", no_argument, NULL, OPT_DRY},
        {"learn", no_argument, NULL, OPT_LEARN},
        {"verify", no_argument, NULL, OPT_VERIFY},
        {"version", no_argument, NULL, OPT_VERSION},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "+:f:h", longs, NULL)) != -1) {
        switch (c) {
        case 'f':
            o->file = optarg;
            break;
        case OPT_ROOT:
            o->root = optarg;
            break;
        case OPT_INCLUDE:
            o->include_dirs[o->include_count++] = optarg;
            break;
        case OPT_DRY:
            o->dry_run = true;
            break;
        case OPT_VERIFY:
            o->verify = true;
            break;
        case OPT_LEARN:
            o->learn = true;
            break;
        case OPT_VERSION:
            puts("copy_bom " OCCLUM_VERSION);
            exit(0);
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            return err_with_status(err_new("%s: %s", argv[optind - 1],
                                           c == ':' ? "takes a value" : "unknown option"),
                                   STATUS_USAGE);
        }
    }
    if (o->learn && o->file && !o->root && optind < argc) {
        o->program = argv + optind;
        return NULL;
    }
    if (o->learn)
        return err_with_status(err_new("--learn takes -f and a program, and nothing else"),
                               STATUS_USAGE);
    if (optind < argc)
        return err_with_status(err_new("%s: what is it for?", argv[optind]), STATUS_USAGE);
    if (!o->file || !o->root)
        return err_with_status(err_new("%s is needed", o->file ? "--root" : "-f"),
                               STATUS_USAGE);
    return NULL;
}

/* The root need not be there, the folder that holds it must. */
static struct err *find_root(struct pool *pool, struct bom_options *o)
{
    char real[PATH_MAX];
    const char *root = o->root;
    size_t length = strlen(root);
    while (length > 1 && root[length - 1] == '/')
        length--;
    root = pool_copy(pool, root, length);
    if (realpath(root, real)) {
        o->root = pool_printf(pool, "%s", real);
    } else {
        if (!realpath(path_dirname(pool, root), real))
            return err_with_status(err_sys(errno, "--root %s", o->root), BOM_MKDIR);
        o->root = path_join(pool, real, path_basename(root));
    }
    o->workspace = path_dirname(pool, o->root);
    return NULL;
}

/* The occlum that stands beside this program, else the one of PATH, does it. */
static struct err *learn(struct pool *pool, const struct bom_options *o, int argc)
{
    char self[PATH_MAX], **argv = pool_alloc(pool, ((size_t)argc + 8) * sizeof(*argv));
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    size_t count = 0;

    self[n > 0 ? n : 0] = 0;
    const char *const head[] = {path_join(pool, path_dirname(pool, self), "occlum"),
                                "try", "--quiet", "--learn", o->file, "--"};
    for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
        argv[count++] = pool_printf(pool, "%s", head[i]);
    for (char **p = o->program; *p; p++)
        argv[count++] = *p;
    execv(argv[0], argv);
    execvp("occlum", argv);
    return err_with_status(err_sys(errno, "occlum cannot be run"), BOM_NO_FILE);
}

static struct err *run(struct pool *pool, struct bom_options *options, int argc, char **argv)
{
    struct bom_plan plan = {.pool = pool};
    struct err *err = read_options(options, argc, argv);
    if (err)
        return err_hint(err, "copy_bom --help shows the options");
    if (options->learn)
        return learn(pool, options, argc);
    bom_verbose |= options->dry_run;
    err = find_root(pool, options);
    if (!err)
        err = plan_make(&plan, options);
    if (!err)
        err = deps_find(&plan, options);
    if (!err)
        err = options->verify ? verify_plan(&plan, options) : copy_plan(&plan, options);
    return err;
}

int main(int argc, char **argv)
{
    const char *level = getenv("OCCLUM_LOG_LEVEL");
    struct pool pool = {NULL};
    struct bom_options options = {.include_dirs = pool_alloc(&pool, argc * sizeof(char *))};
    bom_verbose = level && (!strcmp(level, "info") || !strcmp(level, "debug") ||
                            !strcmp(level, "trace"));
    struct err *err = run(&pool, &options, argc, argv);
    int status = 0;
    if (err) {
        status = err_status(err);
        fflush(stdout);
        err_print(stderr, "copy_bom", err);
        err_free(err);
    }
    pool_fini(&pool);
    return status;
}
