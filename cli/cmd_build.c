/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * occlum build: from image/ and Occlum.json to build/.
 * A child makes everything in a directory of its own, which takes the place of build/ at the
 * end in one rename. So whatever ends the child, an error, Ctrl-C or a full disk, the parent
 * removes what is half made and the old build stays as it was. A lock keeps a second build out;
 * run/ and what programs have stored are not touched, unless --reset asks for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/config.h"
#include "cli/root_store.h"
#include "image/crypt.h"
#include "image/file.h"

#define NEW(file) INSTANCE_BUILD_NEW "/" file

struct build {
    const char *sign_key;  /* NULL: the development key */
    const char *mode;      /* "HW", "SIM" or NULL */
    const char *image_key; /* its file, or NULL: the image is not encrypted */
    int reset;             /* what programs have written is removed */
    int key_inside;        /* the key goes into the enclave file, which anybody can read */
    struct instance_config config;
    int two_stages; /* initfs/ has a /bin/init */
    struct erofs_stats stats[IMAGE_COUNT];
    struct verity_tree verity[IMAGE_COUNT];
    struct page_plan plan;
    uint8_t mrenclave[32], mrsigner[32];
};

/* ---- options ------------------------------------------------------------ */

static struct err *yes_or_no(const char *option, const char *value)
{
    static const char *const words[] = {"Y", "N", "YES", "NO", "true", "false", "1", "0"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (!strcmp(value, words[i]))
            return NULL;
    return usage_error(&cmd_build, "%s %s: must be Y or N", option, value);
}

/* An option with a value at argv[0]. */
static struct err *read_valued(struct build *build, char **argv)
{
    enum host_mode mode;

    if (!strcmp(argv[0], "--sign-key")) {
        build->sign_key = argv[1];
        return NULL;
    }
    if (!strcmp(argv[0], "--sgx-mode")) {
        build->mode = argv[1];
        return mode_parse(argv[1], "--sgx-mode", &mode);
    }
    /* Pages are added on demand wherever the machine can; there is nothing to choose. */
    if (!strcmp(argv[0], "--enable-edmm"))
        return yes_or_no(argv[0], argv[1]);
    if (!strcmp(argv[0], "--image-key")) {
        build->image_key = argv[1];
        return NULL;
    }
    return usage_error(&cmd_build, "%s: not an option", argv[0]);
}

static struct err *read_options(struct build *build, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct err *err = NULL;

        if (!strcmp(argv[i], "-f") || !strcmp(argv[i], "--force"))
            continue; /* every build is complete */
        if (!strcmp(argv[i], "--reset")) {
            build->reset = 1;
            continue;
        }
        if (!strcmp(argv[i], "--buildin-image-key")) {
            build->key_inside = 1;
            continue;
        }
        if (i + 1 < argc)
            err = read_valued(build, argv + i++);
        else
            err =
                usage_error(&cmd_build, "%s: not an option, or its value is missing", argv[i]);
        if (err)
            return err;
    }
    return NULL;
}

/* ---- making it, in the child -------------------------------------------- */

/* The XTS key of the image; its mounts say that it is encrypted. */
static struct err *prepare_key(struct build *build, uint8_t xts[CRYPT_KEY])
{
    uint8_t key[32];
    char text[4 + 3 * sizeof(key) + 1] = "";
    size_t size;
    struct err *err = image_key_read(build->image_key, key, &size);

    if (err)
        return err;
    if (!crypt_key(key, size, xts))
        err = err_new("%s: no key can be derived from it", build->image_key);
    for (size_t i = 0; build->key_inside && i < size; i++)
        snprintf(text + (i ? 3 + 3 * i : 0), 8, "%s%02x", i ? "-" : "key=", key[i]);
    for (size_t i = 0; !err && i < build->config.mount_count; i++) {
        struct mount_entry *mount = &build->config.mounts[i];

        if (mount->fs != CONFIG_FS_EROFS || (mount->flags & CONFIG_MOUNT_INIT))
            continue;
        mount->flags |= CONFIG_MOUNT_CRYPT;
        free(mount->options);
        mount->options = strdup(text);
        if (!mount->options)
            err = err_sys(ENOMEM, "building");
    }
    explicit_bzero(key, sizeof(key));
    explicit_bzero(text, sizeof(text));
    return err;
}

/* One of the two: its files, and directories for what its stage mounts. */
static struct err *make_image(struct build *build, unsigned image, const uint8_t *xts)
{
    static const char *const sources[] = {INSTANCE_IMAGE, INSTANCE_INITFS};
    static const char *const files[] = {NEW(BUILD_ROOTFS), NEW(BUILD_INITFS)};
    static const char *const names[] = {INSTANCE_BUILD "/" BUILD_ROOTFS,
                                        INSTANCE_BUILD "/" BUILD_INITFS};
    struct instance_config *config = &build->config;
    const char **targets = calloc(config->mount_count + 1, sizeof(*targets));
    struct erofs_options options = {
        .source = sources[image], .directories = targets, .xts_key = xts};
    int fd = open(files[image], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    struct err *err = NULL;

    if (!targets || fd < 0) {
        err = err_sys(errno, "%s: cannot be created", files[image]);
        goto out;
    }
    options.has_epoch = source_epoch(&options.epoch);
    for (size_t i = 0; i < config->mount_count; i++) {
        const struct mount_entry *m = &config->mounts[i];

        if (!(m->flags & CONFIG_MOUNT_INIT) == (image == IMAGE_ROOTFS) && m->target[1] &&
            strncmp(m->target, "/dev/", 5))
            targets[options.directory_count++] = m->target;
    }
    err = erofs_write(&options, fd, names[image], &build->stats[image], &build->verity[image]);
    if (close(fd) && !err)
        err = err_sys(errno, "%s: cannot be written", files[image]);
out:
    free(targets);
    return err;
}

static struct err *make_images(struct build *build)
{
    uint8_t xts[CRYPT_KEY];
    struct err *err = build->image_key ? prepare_key(build, xts) : NULL;

    if (!err)
        err = make_image(build, IMAGE_ROOTFS, build->image_key ? xts : NULL);
    explicit_bzero(xts, sizeof(xts));
    if (!err && build->two_stages)
        err = make_image(build, IMAGE_INITFS, NULL);
    return err;
}

static struct err *make_plan(struct build *build)
{
    char kernel[PATH_MAX];
    struct config_blob blob = {0};
    struct err *err = kernel_path(kernel, sizeof(kernel));

    if (!err)
        err = config_compile(&build->config, 0, build->verity, &blob);
    if (!err) {
        struct plan_input input = {
            .kernel = kernel,
            .config = blob.bytes,
            .config_bytes = blob.used,
            .size = config_enclave_size(&build->config),
            .tcs_count = config_tcs_count(&build->config),
        };

        err = plan_build(&input, &build->plan);
    }
    config_blob_free(&blob);
    return err ? err : plan_measure(&build->plan, build->mrenclave);
}

static struct err *make_signature(struct build *build)
{
    struct sigstruct_input input;
    struct sgx_sigstruct sig;
    struct sign_key *key;
    struct err *err = sign_key_load(build->sign_key, &key);

    if (err)
        return err;
    config_signature(&build->config, &input);
    memcpy(input.mrenclave, build->mrenclave, sizeof(input.mrenclave));
    input.date = date_bcd();
    err = sigstruct_make(&input, key, &sig);
    sign_key_free(key);
    if (err)
        return err;
    sigstruct_mrsigner(&sig, build->mrsigner);
    return sigstruct_write(&sig, NEW(BUILD_SIG));
}

static struct err *make_all(struct build *build)
{
    struct err *err = make_images(build);

    if (!err)
        err = make_plan(build);
    if (!err)
        err = sgxs_write(&build->plan, NEW(BUILD_SGXS));
    if (!err)
        err = sites_write(&build->plan, build->mrenclave, NEW(BUILD_SITES));
    if (!err)
        err = make_signature(build);
    if (!err && build->mode)
        err = file_put(NEW(BUILD_MODE), build->mode, strlen(build->mode));
    return err;
}

static void print_hex(const char *name, const uint8_t value[32])
{
    printf("%-10s ", name);
    for (int i = 0; i < 32; i++)
        printf("%02x", value[i]);
    printf("\n");
}

/* What an earlier build's programs have written, and what becomes of it. */
static void print_store_note(const struct build *build)
{
    const char *options = "";
    char *path = root_store_configured(&build->config, &options);
    struct sgx_sigstruct old;

    if (!root_store_exists(path) || build->reset)
        goto out;
    struct err *err = sigstruct_read(INSTANCE_BUILD "/" BUILD_SIG, &old);
    int same = !err && !memcmp(old.enclave_hash, build->mrenclave, sizeof(build->mrenclave));

    err_free(err);
    if (same)
        goto out;
    if (strstr(options, "autokey=mrenclave"))
        printf("note: %s is sealed to the earlier build, and this one cannot open it;\n"
               "      `occlum build --reset` removes it\n",
               path);
    else
        printf("note: %s stays: what was written over the earlier image lies over this one;\n"
               "      `occlum build --reset` removes it\n",
               path);
out:
    free(path);
}

static void print_image(const char *name, const struct build *build, unsigned image)
{
    printf("%-10s %llu files, %.1f MiB\n", name, (unsigned long long)build->stats[image].inodes,
           (double)build->verity[image].end / (1 << 20));
}

static void print_summary(const struct build *build)
{
    for (size_t i = 0; i < build->config.notes.count; i++)
        printf("note: %s: %s\n", INSTANCE_CONFIG, build->config.notes.items[i]);
    print_image("image", build, IMAGE_ROOTFS);
    if (build->two_stages)
        print_image("initfs", build, IMAGE_INITFS);
    print_hex("mrenclave", build->mrenclave);
    print_hex("mrsigner", build->mrsigner);
    if (!build->sign_key)
        printf(
            "note: signed with the public development key; use --sign-key for what you ship\n");
    print_store_note(build);
}

/* ---- taking its place --------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static struct err *remove_tree(const char *path)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) && errno != ENOENT)
        return err_sys(errno, "%s: cannot be removed", path);
    return NULL;
}

/* The new directory becomes build/; the old one, if any, is removed. */
static struct err *take_place(void)
{
    if (!renameat2(AT_FDCWD, INSTANCE_BUILD_NEW, AT_FDCWD, INSTANCE_BUILD, RENAME_EXCHANGE))
        return remove_tree(INSTANCE_BUILD_NEW);
    if (errno == ENOENT && !rename(INSTANCE_BUILD_NEW, INSTANCE_BUILD))
        return NULL;
    return err_sys(errno, "%s: cannot be put in place", INSTANCE_BUILD);
}

/* ---- the parent --------------------------------------------------------- */

static volatile sig_atomic_t caught;

static void catch_signal(int signal)
{
    caught = signal;
}

/* What the caller ignores (nohup) stays ignored. */
static void set_handlers(void (*handler)(int))
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = handler}; /* no SA_RESTART: wait must return */
    struct sigaction old;

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        if (!sigaction(signals[i], NULL, &old) && old.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
}

/* The child: makes the files; prints its own errors by returning them from the command. */
static struct err *child_build(struct build *build)
{
    set_handlers(SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGXFSZ, SIG_IGN);
    struct err *err = make_all(build);

    if (!err)
        print_summary(build);
    fflush(stdout);
    return err;
}

static int wait_child(pid_t child)
{
    int status = 0;

    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        if (caught)
            kill(child, SIGKILL);
    return status;
}

static struct err *reset_store(const struct build *build)
{
    const char *options;
    char *path = build->reset ? root_store_configured(&build->config, &options) : NULL;
    struct err *err = path ? root_store_remove(path) : NULL;

    free(path);
    return err;
}

static struct err *finish(struct build *build, int status, int *exit_status)
{
    struct err *err = NULL;

    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && !caught) {
        err = reset_store(build);
        if (!err)
            err = take_place();
        if (!err)
            err = instance_set_status("built");
        if (!err)
            return NULL;
    }
    struct err *left = remove_tree(INSTANCE_BUILD_NEW);

    if (err) {
        err_free(left);
        return err;
    }
    if (left)
        return left;
    if (caught)
        return err_with_status(err_new("interrupted; nothing was changed"), 128 + caught);
    if (WIFSIGNALED(status))
        return err_new("killed by signal %d; nothing was changed", WTERMSIG(status));
    *exit_status = WEXITSTATUS(status); /* the child has said why */
    return NULL;
}

static struct err *lock_instance(int *lock)
{
    *lock = open(INSTANCE_LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (*lock < 0)
        return err_sys(errno, "%s", INSTANCE_LOCK);
    if (!flock(*lock, LOCK_EX | LOCK_NB))
        return NULL;
    struct err *err = errno == EWOULDBLOCK
                          ? err_new("another build of this instance is running")
                          : err_sys(errno, "%s", INSTANCE_LOCK);

    close(*lock);
    *lock = -1;
    return err;
}

static struct err *run_build(struct build *build, int *status)
{
    struct err *err = remove_tree(INSTANCE_BUILD_NEW);

    if (err)
        return err;
    if (mkdir(INSTANCE_BUILD_NEW, 0755))
        return err_sys(errno, "%s: cannot be made", INSTANCE_BUILD_NEW);
    set_handlers(catch_signal);
    pid_t child = fork();

    if (child < 0) {
        err = err_sys(errno, "starting the build");
        err_free(remove_tree(INSTANCE_BUILD_NEW));
        return err;
    }
    if (child == 0)
        return child_build(build);
    int ended = wait_child(child);

    return finish(build, ended, status);
}

/* The key and the kernel: better now than after the image is made. */
static struct err *check_inputs(const struct build *build)
{
    char kernel[PATH_MAX];
    struct sign_key *key;
    struct err *err = sign_key_load(build->sign_key, &key);

    if (err)
        return err;
    sign_key_free(key);
    return kernel_path(kernel, sizeof(kernel));
}

static struct err *prepare(struct build *build, int argc, char **argv, int *lock)
{
    struct err *err = read_options(build, argc, argv);

    if (!err)
        err = instance_check();
    if (!err)
        err = config_read(INSTANCE_CONFIG, &build->config);
    if (err)
        return err;
    if (access(INSTANCE_IMAGE, F_OK))
        return err_hint(err_sys(errno, "%s", INSTANCE_IMAGE),
                        "it is the directory that becomes the root file system");
    if (!access(INSTANCE_INIT, X_OK)) {
        build->two_stages = 1;
        err = config_add_init(&build->config);
    }
    if (!err)
        err = check_inputs(build);
    return err ? err : lock_instance(lock);
}

static struct err *build_main(int argc, char **argv, int *status)
{
    struct build *build = calloc(1, sizeof(*build));
    int lock = -1;

    if (!build)
        return err_sys(ENOMEM, "starting");
    struct err *err = prepare(build, argc, argv, &lock);

    if (!err)
        err = run_build(build, status);
    if (lock >= 0)
        close(lock);
    plan_free(&build->plan);
    config_free(&build->config);
    free(build);
    return err;
}

const struct command cmd_build = {
    .name = "build",
    .arguments = "[--sign-key KEY.pem] [--image-key FILE [--buildin-image-key]] "
                 "[--sgx-mode HW|SIM] [--enable-edmm Y|N] [--reset] [-f|--force]",
    .summary = "make the instance's image and its enclave, measured and signed",
    .help =
        "Reads Occlum.json and image/, writes build/. The same input gives the same\n"
        "MRENCLAVE. An old build stays in place until the new one is complete; what programs\n"
        "have stored stays, too, over the new image.\n\n"
        "  --sign-key KEY.pem  an RSA-3072 key with exponent 3, in place of the public\n"
        "                      development key\n"
        "  --image-key FILE    encrypt the image; `occlum run --image-key FILE` opens it\n"
        "  --buildin-image-key put the key into the enclave file, where anybody can read it\n"
        "  --sgx-mode HW|SIM   what `occlum run` shall use when SGX_MODE is not set\n"
        "  --enable-edmm Y|N   accepted; pages are added on demand where the CPU can\n"
        "  --reset             remove what programs have written to the root\n"
        "  --force             accepted; every build is complete\n\n"
        "Environment:\n"
        "  SOURCE_DATE_EPOCH   modification times later than this second become it\n",
    .failure = STATUS_FAILED,
    .run = build_main,
};
