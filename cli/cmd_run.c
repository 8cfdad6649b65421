/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * occlum run: loads the instance's enclave and runs one program in it, to its end.
 * What the files of build/ say is checked here only to give good messages: the enclave's
 * identity is what counts, and the machine computes that itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/observe.h"
#include "cli/root_store.h"
#include "image/file.h"

#define SGXS  INSTANCE_BUILD "/" BUILD_SGXS
#define SIG   INSTANCE_BUILD "/" BUILD_SIG
#define SITES INSTANCE_BUILD "/" BUILD_SITES

struct run {
    struct observe *observe;
    struct page_plan plan;
    struct sgx_sigstruct sig;
    struct enclave_config config;
    struct host_run_params params;
};

/* The enclave and its signature; that they belong together is for the machine to find out. */
static struct err *open_enclave(struct run *run)
{
    struct err *err = sigstruct_read(SIG, &run->sig);

    if (!err)
        err = sgxs_read(SGXS, &run->plan, NULL);
    return err ? err : sites_read(SITES, run->sig.enclave_hash, &run->plan);
}

/* Whatever failed: an enclave that is not the signed one is the better explanation. */
static struct err *explain(struct err *err, const struct run *run)
{
    uint8_t mrenclave[32];

    if (!err || !run->plan.count)
        return err;
    struct err *failed = plan_measure(&run->plan, mrenclave);
    if (failed || !memcmp(mrenclave, run->sig.enclave_hash, sizeof(mrenclave))) {
        err_free(failed);
        return err;
    }
    err_free(err);
    return err_hint(
        err_new("%s: damaged: its measurement is not the one that %s signs", SGXS, SIG),
        "build the instance again: occlum build");
}

static const char *const images[] = {INSTANCE_BUILD "/" BUILD_ROOTFS,
                                     INSTANCE_BUILD "/" BUILD_INITFS};

/* Whether the file behind an EROFS mount has the length that was measured. */
static struct err *check_image(const struct config_mount *mount)
{
    const char *path = mount->image < IMAGE_COUNT ? images[mount->image] : "";
    struct stat st;

    if (stat(path, &st))
        return err_sys(errno, "%s", path);
    if (mount->hash_offset != mount->data_blocks * IMAGE_BLOCK ||
        (uint64_t)st.st_size != verity_end(mount->data_blocks))
        return err_hint(err_new("%s: damaged: %lld bytes long instead of %llu", path,
                                (long long)st.st_size,
                                (unsigned long long)verity_end(mount->data_blocks)),
                        "build the instance again: occlum build");
    return NULL;
}

static struct err *open_images(struct run *run)
{
    size_t size, cursor = 0;
    const uint8_t *bytes = plan_config(&run->plan, &size);
    struct config_view view;
    struct err *err = config_check(bytes, size, SGXS, &run->config);

    while (!err && config_next(bytes, &cursor, &view)) {
        struct config_mount mount;

        if (view.type != CONFIG_MOUNT)
            continue;
        err = root_store_check(&view);
        memcpy(&mount, view.payload, sizeof(mount));
        if (mount.fs != CONFIG_FS_EROFS)
            continue;
        if (!err)
            err = check_image(&mount);
        if (!err)
            run->params.images[mount.image] = images[mount.image];
    }
    return err;
}

/* SGX_MODE, else what `occlum build --sgx-mode` wrote down. */
static struct err *choose_mode(struct run *run)
{
    const char *env = getenv("SGX_MODE");
    char text[8] = "";
    struct file_map map;

    if (env && env[0])
        return mode_parse(env, "SGX_MODE", &run->params.mode);
    if (access(INSTANCE_BUILD "/" BUILD_MODE, F_OK))
        return NULL;
    struct err *err = file_map(INSTANCE_BUILD "/" BUILD_MODE, &map);

    if (err)
        return err;
    for (size_t i = 0; i < map.size && i < sizeof(text) - 1 && map.bytes[i] != '\n'; i++)
        text[i] = (char)map.bytes[i];
    file_unmap(&map);
    return mode_parse(text, INSTANCE_BUILD "/" BUILD_MODE, &run->params.mode);
}

/* process.command of the measured configuration, NULL-terminated; the strings are the plan's.
 */
char **configured_command(const struct page_plan *plan)
{
    size_t size, cursor = 0, count = 0;
    const uint8_t *bytes = plan_config(plan, &size);
    struct config_view view;
    char **command = calloc(size, 1); /* a record is longer than a pointer */

    while (command && config_next(bytes, &cursor, &view)) {
        if (view.type == CONFIG_COMMAND)
            command[count++] = (char *)view.payload;
    }
    return command;
}

/* Everything but the program. */
static struct err *open_instance(struct run *run)
{
    struct err *err = open_enclave(run);

    if (!err)
        err = open_images(run);
    if (!err)
        err = choose_mode(run);
    run->params.plan = &run->plan;
    run->params.loaded = plan_loaded;
    run->params.sigstruct = &run->sig;
    run->params.base_zero = !(run->config.flags & CONFIG_FLAG_ANY_BASE);
    run->params.debug = !!(run->config.flags & CONFIG_FLAG_DEBUGGABLE);
    run->params.cwd = "/";
    if (!err)
        err = observe_apply(run->observe, run->config.max_log_level, INSTANCE_IMAGE,
                            &run->params);
    return explain(err, run);
}

static struct err *run_instance(struct run *run, char **argv, int *status)
{
    char **configured = NULL;
    struct err *err = open_instance(run);

    if (!err && !argv[0]) {
        argv = configured = configured_command(&run->plan);
        if (!argv || !argv[0])
            err = usage_error(&cmd_run, "PROGRAM is missing, and Occlum.json has no "
                                        "process.command");
    }
    if (err) {
        free(configured);
        return err;
    }
    run->params.program = argv[0];
    run->params.argv = argv;
    run->params.envp = environ;
    err = explain(launch(&run->params, status), run);
    free(configured);
    return err;
}

struct err *run_as_service(const struct run_service *service, int *status)
{
    struct run *run = calloc(1, sizeof(*run));

    if (!run)
        return err_sys(ENOMEM, "starting");
    run->observe = service->observe;
    struct err *err = open_instance(run);
    if (!err) {
        run->params.service = 1;
        run->params.envp = environ; /* for the first stage */
        run->params.listen_fd = service->listen_fd;
        run->params.ready = service->ready;
        run->params.ready_arg = service->arg;
        err = explain(launch(&run->params, status), run);
    }
    plan_free(&run->plan);
    free(run);
    return err;
}

/* In the environment that the enclave's kernel reads; programs do not see it unless the
 * configuration lets that name through. */
static struct err *hand_over_key(const char *path)
{
    uint8_t key[32];
    char text[3 * sizeof(key) + 1] = "";
    size_t size;
    struct err *err = image_key_read(path, key, &size);

    if (err)
        return err;
    for (size_t i = 0; i < size; i++)
        snprintf(text + 3 * i - !!i, 4, "%s%02x", i ? "-" : "", key[i]);
    int failed = setenv("OCCLUM_IMAGE_KEY", text, 1);
    explicit_bzero(key, sizeof(key));
    explicit_bzero(text, sizeof(text));
    return failed ? err_sys(ENOMEM, "starting") : NULL;
}

/* As for the key: the kernel reads it and compares. */
static struct err *require_root(const char *text)
{
    if (strlen(text) != 64 || strspn(text, "0123456789abcdefABCDEF") != 64)
        return err_hint(
            err_new("--require-root %s: not a state: 64 hexadecimal digits are wanted", text),
            "`occlum print root` shows it");
    return setenv("OCCLUM_REQUIRE_ROOT", text, 1) ? err_sys(ENOMEM, "starting") : NULL;
}

int hand_over_option(char **argv, int *index, struct err **err)
{
    const char *value = argv[*index + 1];
    int is_key = !strcmp(argv[*index], "--image-key");

    if (!value || (!is_key && strcmp(argv[*index], "--require-root")))
        return 0;
    *err = is_key ? hand_over_key(value) : require_root(value);
    ++*index;
    return 1;
}

/* Options up to PROGRAM; *index is where it stands. */
static struct err *read_options(struct observe *o, int argc, char **argv, int *index)
{
    struct err *err = NULL;
    int i = 1;

    unsetenv("OCCLUM_REQUIRE_ROOT");
    for (; !err && i < argc && argv[i][0] == '-'; i++) {
        if (!strcmp(argv[i], "--")) {
            i++;
            break;
        }
        if (!hand_over_option(argv, &i, &err) && !observe_option(o, argv[i], &err))
            err =
                usage_error(&cmd_run, "%s: not an option, or its argument is missing", argv[i]);
    }
    *index = i;
    return err;
}

static struct err *run_main(int argc, char **argv, int *status)
{
    struct observe observe = {.traces = 0};
    int i = 1;
    struct err *err = read_options(&observe, argc, argv, &i);

    if (!err)
        err = instance_check_built();
    if (err)
        return err;
    if (i < argc && argv[i][0] != '/')
        return err_with_status(
            err_hint(err_new("%s: not an absolute path", argv[i]),
                     "PROGRAM is a path inside the instance, such as /bin/hello"),
            STATUS_NOT_FOUND);
    struct run *run = calloc(1, sizeof(*run));

    if (!run)
        return err_sys(ENOMEM, "starting");
    run->observe = &observe;
    err = run_instance(run, argv + i, status);
    plan_free(&run->plan);
    free(run);
    return err;
}

const struct command cmd_run = {
    .name = "run",
    .arguments = "[--image-key FILE] [--require-root ROOT] [--strace[=WHAT]] [--stats] "
                 "[PROGRAM [ARGS...]]",
    .summary = "run a program in the instance's enclave",
    .help =
        "PROGRAM is an absolute path inside the image, below one of the entry_points of\n"
        "Occlum.json; without one, process.command of Occlum.json runs.\n\n"
        "What programs write to the root is kept, encrypted, in run/.\n\n"
        "  --image-key FILE  the key of an encrypted image or store\n"
        "  --require-root ROOT\n"
        "                    what was kept must be in the state that `occlum print root`\n"
        "                    showed; an older or another one is refused\n" OBSERVE_HELP "\n"
        "The exit status is the program's; 128+N after signal N; 127 not found,\n"
        "126 not executable or not allowed, 125 a failure of Occlum itself.\n\n"
        "Environment:\n"
        "  SGX_MODE          HW or SIM; unset: hardware where it can be used\n"
        "  OCCLUM_LOG_LEVEL  off, error, warn, info, debug, trace; more for one part of the\n"
        "                    kernel: warn,mm=debug\n"
        "Other variables reach the program where env.untrusted of Occlum.json names them.\n",
    .failure = STATUS_OCCLUM,
    .run = run_main,
};
