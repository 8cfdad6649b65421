/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * occlum try: runs a program of this machine in an enclave, without an instance. The root is
 * the host's tree, which proves nothing and protects nothing; it shows whether a program works.
 * What it changes is kept in the enclave's memory, and gone afterwards.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boundary/layout.h"
#include "cli/cli.h"
#include "cli/config.h"
#include "cli/learn.h"
#include "cli/observe.h"
#include "host/dev.h"

struct
try {
    const char *root; /* absolute, real */
    char root_buffer[PATH_MAX];
    struct text_list writable, stores;
    int quiet;
    struct observe observe;
    char program[PATH_MAX]; /* inside */
    char cwd[PATH_MAX];     /* inside */
    const char *learn;      /* the bom to write; NULL: none */
    struct instance_config config;
    struct page_plan plan;
    struct sgx_sigstruct sig;
    /* Signing takes as long as loading, and goes on beside it. */
    struct {
        pthread_t thread;
        int started;
        struct sgx_sigstruct made;
        struct err *err;
    } signer;
};

static struct err *bad_directory(const char *option, const char *path)
{
    return err_sys(errno, "%s %s", option, path);
}

static struct err *add_writable(struct text_list *list, const char *option, const char *path)
{
    char real[PATH_MAX];
    struct stat st;

    if (!realpath(path, real))
        return bad_directory(option, path);
    if (stat(real, &st) || !S_ISDIR(st.st_mode))
        return err_new("%s %s: not a directory", option, path);
    return text_list_add(list, real);
}

/* Options up to PROGRAM; *index is where it stands. */
static struct err *read_options(struct try *t, int argc, char **argv, int *index)
{
    int i = 1;

    t->root = "/";
    for (; i < argc && argv[i][0] == '-'; i++) {
        struct err *err = NULL;

        if (!strcmp(argv[i], "--")) {
            i++;
            break;
        }
        if (!strcmp(argv[i], "--quiet") || !strcmp(argv[i], "-q")) {
            t->quiet = 1;
        } else if (!strcmp(argv[i], "--rw") && i + 1 < argc) {
            err = add_writable(&t->writable, "--rw", argv[++i]);
        } else if (!strcmp(argv[i], "--store") && i + 1 < argc) {
            err = add_writable(&t->stores, "--store", argv[++i]);
        } else if (!strcmp(argv[i], "--learn") && i + 1 < argc) {
            t->learn = argv[++i];
        } else if (!strcmp(argv[i], "--root") && i + 1 < argc) {
            t->root = realpath(argv[++i], t->root_buffer);
            if (!t->root)
                err = bad_directory("--root", argv[i]);
        } else if (!observe_option(&t->observe, argv[i], &err)) {
            err =
                usage_error(&cmd_try, "%s: not an option, or its argument is missing", argv[i]);
        }
        if (err)
            return err;
    }
    if (i >= argc)
        return usage_error(&cmd_try, "PROGRAM is missing");
    *index = i;
    return NULL;
}

/* ---- finding the program ------------------------------------------------ */

static const char *root_prefix(const struct try *t)
{
    return strcmp(t->root, "/") ? t->root : "";
}

/* 0 when `inside` is a program; else an errno: ENOEXEC for what is there, but is none. */
static int check_program(const struct try *t, const char *inside)
{
    char outside[2 * PATH_MAX];
    struct stat st;

    snprintf(outside, sizeof(outside), "%s%s", root_prefix(t), inside);
    if (stat(outside, &st)) {
        /* A symbolic link that is absolute leads elsewhere from out here; the enclave will see.
         */
        if (errno != ENOENT || lstat(outside, &st) || !S_ISLNK(st.st_mode))
            return errno;
        return 0;
    }
    if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
        return ENOEXEC;
    return 0;
}

static struct err *refuse_program(const char *program, int errnum)
{
    int absent = errnum == ENOENT || errnum == ENOTDIR;

    return err_with_status(err_sys(errnum == ENOEXEC ? EACCES : errnum, "%s", program),
                           absent ? STATUS_NOT_FOUND : STATUS_NOT_EXEC);
}

/* As shells do, but within the root: a name with a slash is a path, others are looked up; a
 * folder that cannot be searched does not hold them. */
static struct err *find_program(struct try *t, const char *name)
{
    const char *path = getenv("PATH");
    int refusal = ENOENT;

    if (strchr(name, '/')) {
        const char *dir = name[0] == '/' ? "" : t->cwd;
        int n = snprintf(t->program, sizeof(t->program), "%s%s%s", dir,
                         *dir && dir[1] ? "/" : "", name);

        refusal = n < (int)sizeof(t->program) ? check_program(t, t->program) : ENAMETOOLONG;
        return refusal ? refuse_program(name, refusal) : NULL;
    }
    if (!path)
        path = "/usr/local/bin:/usr/bin:/bin";
    while (*path && *name) {
        size_t length = strcspn(path, ":");
        int n = snprintf(t->program, sizeof(t->program), "%.*s/%s", (int)length, path, name);
        int errnum = path[0] == '/' && n < (int)sizeof(t->program)
                         ? check_program(t, t->program)
                         : ENOENT;

        if (!errnum)
            return NULL;
        if (errnum == ENOEXEC)
            refusal = errnum;
        path += length;
        path += *path == ':';
    }
    return refuse_program(name, refusal);
}

/* The working directory as seen inside; "/" when it lies outside of the root. */
static void find_cwd(struct try *t)
{
    const char *prefix = root_prefix(t);
    size_t length = strlen(prefix);
    char here[PATH_MAX];

    snprintf(t->cwd, sizeof(t->cwd), "/");
    if (getcwd(here, sizeof(here)) && !strncmp(here, prefix, length) && here[length] == '/')
        snprintf(t->cwd, sizeof(t->cwd), "%s", here + length);
}

/* ---- the enclave -------------------------------------------------------- */

/* Where a directory of the host shows up: below the root at its place there, else as it is. */
static const char *inside(const struct try *t, const char *path)
{
    size_t length = strlen(root_prefix(t));

    return !strncmp(path, t->root, length) && path[length] == '/' ? path + length : path;
}

static int below_tmp(const char *path)
{
    return !strncmp(path, "/tmp/", 5);
}

static int any_in_tmp(const struct try *t, const struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (below_tmp(inside(t, list->items[i])) || !strcmp(inside(t, list->items[i]), "/tmp"))
            return 1;
    return 0;
}

/* A /tmp of our own would hide what was asked for, where that lies in the host's /tmp. */
static int wants_host_tmp(const struct try *t)
{
    return any_in_tmp(t, &t->writable) || any_in_tmp(t, &t->stores) || below_tmp(t->program) ||
           below_tmp(t->cwd);
}

/* The mounts: the host's tree below a layer in memory that takes the changes; our own /proc,
 * /dev and /tmp; what may be written for good. */
static struct err *make_mounts(struct try *t)
{
    struct instance_config *config = &t->config;
    struct err *err = config_add_mount(config, CONFIG_FS_HOSTFS, "/", t->root,
                                       CONFIG_MOUNT_RDONLY | CONFIG_MOUNT_LAYER);

    if (!err)
        err = config_add_mount(config, CONFIG_FS_RAMFS, "/", "", CONFIG_MOUNT_LAYER);
    if (!err)
        err = config_add_mount(config, CONFIG_FS_UNIONFS, "/", "", 0);
    if (!err)
        err = config_add_mount(config, CONFIG_FS_PROCFS, "/proc", "", 0);
    if (!err)
        err = config_add_mount(config, CONFIG_FS_DEVFS, "/dev", "", 0);
    if (!err)
        err = config_add_mount(config, CONFIG_FS_RAMFS, "/dev/shm", "", 0);
    if (!err && !wants_host_tmp(t))
        err = config_add_mount(config, CONFIG_FS_RAMFS, "/tmp", "", 0);
    for (size_t i = 0; !err && i < t->writable.count; i++)
        err = config_add_mount(config, CONFIG_FS_HOSTFS, inside(t, t->writable.items[i]),
                               t->writable.items[i], 0);
    for (size_t i = 0; !err && i < t->stores.count; i++)
        err = config_add_mount(config, CONFIG_FS_SEFS, inside(t, t->stores.items[i]),
                               t->stores.items[i], 0);
    return err;
}

static struct err *make_config(struct try *t, struct config_blob *blob)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    config_defaults(&t->config);
    t->config.disable_log = 0;
    t->config.init_threads = cpus < 1 ? 1 : (uint64_t)cpus;
    struct err *err = text_list_add(&t->config.entry_points, "/");

    if (!err)
        err = text_list_add(&t->config.env_untrusted, "*");
    if (!err)
        err = make_mounts(t);
    return err ? err : config_compile(&t->config, CONFIG_FLAG_TRY, NULL, blob);
}

static struct err *sign_plan(const struct try *t, struct sgx_sigstruct *made)
{
    struct sigstruct_input input;
    struct sign_key *key;

    config_signature(&t->config, &input);
    input.date = date_bcd();
    struct err *err = plan_measure(&t->plan, input.mrenclave);

    if (err)
        return err;
    err = sign_key_load(NULL, &key);
    if (err)
        return err;
    err = sigstruct_make(&input, key, made);
    sign_key_free(key);
    return err;
}

static void *signer(void *arg)
{
    struct try *t = arg;

    t->signer.err = sign_plan(t, &t->signer.made);
    return NULL;
}

/* Until the signature is there, what loading asks for. */
static void begin_signing(struct try *t)
{
    struct sigstruct_input input;

    config_signature(&t->config, &input);
    t->sig.attributes = input.attributes;
    t->sig.attribute_mask = input.attribute_mask;
    t->signer.started = !pthread_create(&t->signer.thread, NULL, signer, t);
}

static void end_signing(struct try *t)
{
    if (t->signer.started)
        pthread_join(t->signer.thread, NULL);
    t->signer.started = 0;
}

/* host_run_params.complete */
static int signed_now(void *arg, struct host_error *err)
{
    struct try *t = arg;

    if (t->signer.started)
        end_signing(t);
    else
        signer(t);
    t->sig = t->signer.made;
    return t->signer.err ? host_fail(err, -EINVAL, "the enclave cannot be signed") : 0;
}

static struct err *make_enclave(struct try *t)
{
    char kernel[PATH_MAX];
    struct config_blob blob = {0};
    struct err *err = kernel_path(kernel, sizeof(kernel));

    if (!err)
        err = make_config(t, &blob);
    if (!err) {
        uint64_t size = config_enclave_size(&t->config), limit = dev_hw_size_limit();
        struct plan_input input = {
            .kernel = kernel,
            .config = blob.bytes,
            .config_bytes = blob.used,
            .size = size < limit ? size : limit,
            .tcs_count = config_tcs_count(&t->config),
        };

        err = plan_build(&input, &t->plan);
    }
    config_blob_free(&blob);
    return err;
}

/* Its signature's failure is the better explanation. */
static struct err *run_enclave(struct try *t, struct host_run_params *params, int *status)
{
    begin_signing(t);
    struct err *err = launch(params, status);
    end_signing(t);
    if (!t->signer.err)
        return err;
    err_free(err);
    return t->signer.err;
}

static struct err *run_try(struct try *t, char **argv, int *status)
{
    struct host_run_params params = {
        .plan = &t->plan,
        .loaded = plan_loaded,
        .sigstruct = &t->sig,
        .complete = signed_now,
        .complete_arg = t,
        .base_zero = 1,
        .debug = 1,
        .program = t->program,
        .argv = argv,
        .envp = environ,
        .cwd = t->cwd,
    };
    struct err *err = mode_parse(getenv("SGX_MODE"), "SGX_MODE", &params.mode);

    if (!err)
        err = observe_apply(&t->observe, LOG_TRACE, t->root, &params);
    if (!err)
        err = make_enclave(t);
    if (err)
        return err;
    if (!t->quiet)
        fprintf(
            stderr,
            "occlum try: the root is this machine's %s, untrusted; changes to it stay inside "
            "and are lost (--quiet: do not say so)\n",
            t->root);
    if (!t->learn)
        return run_enclave(t, &params, status);
    params.observer = &learn_observer;
    learn_begin(t->root, &t->writable);
    err = run_enclave(t, &params, status);
    return err ? err : learn_write(t->learn);
}

static struct err *try_main(int argc, char **argv, int *status)
{
    struct try *t = calloc(1, sizeof(*t));
    int index = 0;

    if (!t)
        return err_sys(ENOMEM, "starting");
    struct err *err = read_options(t, argc, argv, &index);

    if (!err) {
        find_cwd(t);
        err = find_program(t, argv[index]);
    }
    if (!err)
        err = run_try(t, argv + index, status);
    plan_free(&t->plan);
    config_free(&t->config);
    text_list_free(&t->writable);
    text_list_free(&t->stores);
    free(t);
    return err;
}

const struct command cmd_try = {
    .name = "try",
    .arguments = "[--root DIR] [--rw DIR]... [--store DIR]... [--learn BOM] [--quiet] "
                 "[--strace[=WHAT]] [--stats] PROGRAM [ARGS...]",
    .summary = "run a program of this machine in an enclave, at once",
    .help =
        "Needs no instance. The program sees this machine's files; what it changes is kept in\n"
        "memory, for itself. It has a /tmp of its own, as short-lived (unless the program, its "
        "working directory\n"
        "or a --rw DIR lies in /tmp: then it is the machine's). Nothing here is measured but "
        "the system\n"
        "itself: it shows whether a program works, and protects nothing.\n\n"
        "  --root DIR   DIR is the root instead of /\n"
        "  --rw DIR     changes to DIR reach the machine; can be given several times\n"
        "  --store DIR  DIR is an encrypted file system, kept in the machine's file DIR/store\n"
        "  --learn BOM  write a bill of materials of all that the program used\n"
        "  --quiet      do not say that the root is untrusted\n" OBSERVE_HELP "\n"
        "PROGRAM is looked up in PATH. The exit status is the program's; 128+N after signal\n"
        "N; 127 not found, 126 not executable, 125 a failure of Occlum itself.\n",
    .failure = STATUS_OCCLUM,
    .run = try_main,
};
