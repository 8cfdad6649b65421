/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * occlum new and occlum init: an instance's directory with its configuration and an empty
 * image.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/import.h"
#include "cli/json.h"
#include "image/file.h"
#include "oci/remove.h"

#define IMPORT_MAX_BYTES (16ull << 30)

const char instance_template[] = "{\n"
                                 "    \"resource_limits\": {\n"
                                 "        \"user_space_size\": \"auto\"\n"
                                 "    },\n"
                                 "    \"process\": {\n"
                                 "        \"default_stack_size\": \"8MB\"\n"
                                 "    },\n"
                                 "    \"entry_points\": [\n"
                                 "        \"/bin\"\n"
                                 "    ],\n"
                                 "    \"env\": {\n"
                                 "        \"default\": [\n"
                                 "            \"OCCLUM=yes\",\n"
                                 "            \"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:"
                                 "/usr/bin:/sbin:/bin\",\n"
                                 "            \"HOME=/root\"\n"
                                 "        ],\n"
                                 "        \"untrusted\": [\n"
                                 "            \"EXAMPLE\",\n"
                                 "            \"TERM\"\n"
                                 "        ]\n"
                                 "    },\n"
                                 "    \"metadata\": {\n"
                                 "        \"product_id\": 0,\n"
                                 "        \"version_number\": 0,\n"
                                 "        \"debuggable\": true\n"
                                 "    },\n"
                                 "    \"mount\": [\n"
                                 "        {\n"
                                 "            \"target\": \"/host\",\n"
                                 "            \"type\": \"hostfs\",\n"
                                 "            \"source\": \".\"\n"
                                 "        }\n"
                                 "    ]\n"
                                 "}\n";

struct place {
    const char *path;
    mode_t mode;
};

static const struct place directories[] = {
    {"image", 0755},         {"image/bin", 0755},      {"image/dev", 0755},
    {"image/etc", 0755},     {"image/host", 0755},     {"image/lib", 0755},
    {"image/lib64", 0755},   {"image/opt", 0755},      {"image/proc", 0755},
    {"image/root", 0700},    {"image/sbin", 0755},     {"image/sys", 0755},
    {"image/tmp", 01777},    {"image/usr", 0755},      {"image/usr/bin", 0755},
    {"image/usr/lib", 0755}, {"image/usr/sbin", 0755}, {"image/var", 0755},
    {"initfs", 0755},        {"initfs/bin", 0755},     {"initfs/dev", 0755},
    {"initfs/etc", 0755},    {"initfs/lib", 0755},     {"initfs/proc", 0755},
};

static const struct {
    const char *path, *text;
} files[] = {
    {"image/etc/hosts", "127.0.0.1   localhost\n"},
    {"image/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
                         "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"},
    {"image/etc/group", "root:x:0:\nnogroup:x:65534:\n"},
    {INSTANCE_CONFIG, instance_template},
};

static struct err *make_directory(const char *path, mode_t mode)
{
    if (mkdir(path, mode) && errno != EEXIST)
        return err_sys(errno, "%s: cannot be made", path);
    if (chmod(path, mode))
        return err_sys(errno, "%s", path);
    return NULL;
}

/* Occlum.json comes last but one: a directory where this failed is not an instance. */
static struct err *fill(void)
{
    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
        struct err *err = make_directory(directories[i].path, directories[i].mode);

        if (err)
            return err;
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct err *err = file_put(files[i].path, files[i].text, strlen(files[i].text));

        if (err)
            return err;
    }
    return instance_set_status("initialized");
}

static struct err *init_main(int argc, char **argv, int *status)
{
    if (argc > 1)
        return usage_error(&cmd_init, "%s: no arguments are wanted", argv[1]);
    if (!access(INSTANCE_CONFIG, F_OK) || !access(INSTANCE_STATUS, F_OK))
        return err_new("an instance is here already");
    if (!access(INSTANCE_IMAGE, F_OK))
        return err_hint(err_new("%s is here already; it would be mixed with the instance's",
                                INSTANCE_IMAGE),
                        "move it away, or use an empty directory");
    *status = 0;
    return fill();
}

struct request {
    const char *path, *from;
    uint64_t max_bytes;
};

static struct err *parse(int argc, char **argv, struct request *q)
{
    static const struct option options[] = {
        {"from", required_argument, NULL, 'f'},
        {"max-size", required_argument, NULL, 'm'},
        {0},
    };
    int c;

    *q = (struct request){.max_bytes = IMPORT_MAX_BYTES};
    optind = 1;
    while ((c = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
        if (c == 'f')
            q->from = optarg;
        else if (c != 'm')
            return usage_error(&cmd_new, "%s: not an option, or its value is missing",
                               argv[optind - 1]);
        else if (json_parse_size(optarg, &q->max_bytes))
            return usage_error(&cmd_new, "--max-size %s: not a size such as 20GB", optarg);
    }
    if (optind != argc - 1)
        return usage_error(&cmd_new, "exactly one PATH is wanted");
    q->path = argv[optind];
    return NULL;
}

/* A source's path is the caller's, and we go elsewhere. */
static struct err *new_from(const struct request *q)
{
    struct err *err = import_image(q->from, q->path, q->max_bytes);

    if (!err && chdir(q->path))
        err = err_sys(errno, "%s", q->path);
    if (!err)
        err = instance_set_status("initialized");
    if (err && remove_at(AT_FDCWD, q->path))
        err = err_wrap(err, "%s could not be removed again", q->path);
    return err;
}

static struct err *new_main(int argc, char **argv, int *status)
{
    struct request q;
    struct err *err = parse(argc, argv, &q);

    if (err)
        return err;
    *status = 0;
    if (mkdir(q.path, 0755))
        return err_sys(errno, "%s: cannot be made", q.path);
    if (q.from)
        return new_from(&q);
    if (chdir(q.path))
        return err_sys(errno, "%s", q.path);
    return fill();
}

const struct command cmd_new = {
    .name = "new",
    .arguments = "[--from IMAGE] PATH",
    .summary = "make a new instance in a new directory",
    .help =
        "Then put programs and their files into PATH/image, adapt PATH/Occlum.json, and in\n"
        "PATH run: occlum build\n\n"
        "  --from oci:DIR[:TAG]               from a container image: an OCI image layout,\n"
        "  --from docker-archive:FILE[:TAG]   what docker save wrote,\n"
        "  --from dir:DIR                     or a root directory\n"
        "  --max-size SIZE                    refuse images that unpack to more; 16GB\n\n"
        "From an image come its files, and into Occlum.json its command, environment, user\n"
        "and working directory; `occlum run` without a program runs the command, and only\n"
        "that may be started from outside until entry_points says more.\n",
    .failure = STATUS_FAILED,
    .run = new_main,
};

const struct command cmd_init = {
    .name = "init",
    .arguments = "",
    .summary = "make the working directory an instance",
    .help = "",
    .failure = STATUS_FAILED,
    .run = init_main,
};
