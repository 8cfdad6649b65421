/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * occlum new and occlum init: an instance's directory with its configuration and an empty
 * image.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "image/file.h"

static const char template[] = "{\n"
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
                               "            \"OCCLUM=yes\"\n"
                               "        ],\n"
                               "        \"untrusted\": [\n"
                               "            \"EXAMPLE\"\n"
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
    {"image/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"},
    {"image/etc/group", "root:x:0:\n"},
    {INSTANCE_CONFIG, template},
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

static struct err *new_main(int argc, char **argv, int *status)
{
    if (argc != 2 || argv[1][0] == '-')
        return usage_error(&cmd_new, "exactly one PATH is wanted");
    if (mkdir(argv[1], 0755))
        return err_sys(errno, "%s: cannot be made", argv[1]);
    if (chdir(argv[1]))
        return err_sys(errno, "%s", argv[1]);
    *status = 0;
    return fill();
}

const struct command cmd_new = {
    .name = "new",
    .arguments = "PATH",
    .summary = "make a new instance in a new directory",
    .help =
        "Then put programs and their files into PATH/image, adapt PATH/Occlum.json, and in\n"
        "PATH run: occlum build\n",
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
