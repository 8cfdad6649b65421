/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Occlum.json, see config.h. The table of keys is the reference: what it lists is accepted,
 * with these bounds, and nothing else is.
 */
#include "cli/config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boundary/layout.h"
#include "cli/config_mount.h"
#include "cli/json.h"
#include "image/file.h"

#define KIB (1ull << 10)
#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define TIB (1ull << 40)

#define ENCLAVE_SIZE_MAX (1ull << 46)
#define KERNEL_HEAP_MIN  (64 * MIB)
#define TCS_DEFAULT      32u

#define AT(field) .offset = offsetof(struct instance_config, field)
#define SIZE(key, field, low, high)                                                            \
    {                                                                                          \
        .name = key, .kind = JSON_KIND_SIZE, AT(field), .min = low, .max = high                \
    }
#define COUNT(key, field, low, high)                                                           \
    {                                                                                          \
        .name = key, .kind = JSON_KIND_COUNT, AT(field), .min = low, .max = high               \
    }
#define BOOL(key, field)                                                                       \
    {                                                                                          \
        .name = key, .kind = JSON_KIND_BOOL, AT(field)                                         \
    }
#define STRINGS(key, field)                                                                    \
    {                                                                                          \
        .name = key, .kind = JSON_KIND_STRINGS, AT(field)                                      \
    }
#define HEX(key, field)                                                                        \
    {                                                                                          \
        .name = key, .kind = JSON_KIND_HEX, AT(field)                                          \
    }
#define CUSTOM(key, function)                                                                  \
    {                                                                                          \
        .name = key, .kind = JSON_KIND_CUSTOM, .read = function                                \
    }
#define OBJECT(key, table)                                                                     \
    {                                                                                          \
        .name = key, .kind = JSON_KIND_OBJECT, .keys = table                                   \
    }

static const struct json_key limits_keys[] = {
    SIZE("kernel_space_heap_size", kernel_heap_size, 64 * KIB, TIB),
    SIZE("kernel_space_heap_max_size", kernel_heap_max, 64 * KIB, TIB),
    SIZE("kernel_space_stack_size", kernel_stack_size, 4 * KIB, GIB),
    SIZE("user_space_size", user_space_size, MIB, 32 * TIB),
    SIZE("user_space_max_size", user_space_max, MIB, 32 * TIB),
    COUNT("init_num_of_threads", init_threads, 1, 1u << 20),
    COUNT("max_num_of_threads", max_threads, 1, 1u << 20),
    SIZE("marshal_buffer_size", marshal_size, 4 * KIB, GIB),
    SIZE("enclave_size", enclave_size, LAYOUT_MIN_SIZE, ENCLAVE_SIZE_MAX),
    {0},
};

/* "UID" or "UID:GID" */
static struct err *read_user(struct json_place *place, json_t *value, void *out)
{
    struct instance_config *config = out;
    const char *text = json_string_value(value);
    unsigned uid = 0, gid;
    int end = 0;

    if (text && sscanf(text, "%9u%n", &uid, &end) == 1 && !text[end])
        gid = uid;
    else if (!text || sscanf(text, "%9u:%9u%n", &uid, &gid, &end) != 2 || text[end])
        return json_refuse(place, value, "must be \"UID\" or \"UID:GID\", in numbers");
    config->uid = uid;
    config->gid = gid;
    return NULL;
}

static struct err *read_working_dir(struct json_place *place, json_t *value, void *out)
{
    struct instance_config *config = out;
    const char *text = json_string_value(value);

    if (!text || text[0] != '/')
        return json_refuse(place, value, "must be an absolute path");
    config->working_dir = strdup(text);
    return config->working_dir ? NULL : err_sys(ENOMEM, "reading the configuration");
}

static const struct json_key process_keys[] = {
    STRINGS("command", command),
    CUSTOM("user", read_user),
    CUSTOM("working_dir", read_working_dir),
    SIZE("default_stack_size", stack_size, 64 * KIB, 64 * GIB),
    SIZE("default_heap_size", heap_size, 4 * KIB, 32 * TIB),
    SIZE("default_mmap_size", mmap_size, 4 * KIB, 32 * TIB),
    {0},
};

static const struct json_key env_keys[] = {
    STRINGS("default", env_default),
    STRINGS("untrusted", env_untrusted),
    {0},
};

static const struct json_key family_keys[] = {
    HEX("high", family_high),
    HEX("low", family_low),
    {0},
};

static const struct json_key ext_product_keys[] = {
    HEX("high", ext_product_high),
    HEX("low", ext_product_low),
    {0},
};

static const struct json_key metadata_keys[] = {
    COUNT("product_id", product_id, 0, UINT16_MAX),
    COUNT("version_number", version_number, 0, UINT16_MAX),
    BOOL("debuggable", debuggable),
    BOOL("disable_log", disable_log),
    BOOL("enable_kss", enable_kss),
    OBJECT("family_id", family_keys),
    OBJECT("ext_prod_id", ext_product_keys),
    {0},
};

static const struct json_key feature_keys[] = {
    COUNT("amx", amx, 0, 2),
    COUNT("pkru", pkru, 0, 2),
    COUNT("io_uring", io_uring, 0, 16),
    BOOL("enable_edmm", enable_edmm),
    BOOL("enable_posix_shm", posix_shm),
    BOOL("fixed_addresses", fixed_addresses),
    {0},
};

static struct err *read_loopback(struct json_place *place, json_t *value, void *out)
{
    struct instance_config *config = out;
    const char *text = json_string_value(value);

    config->loopback_host = text && !strcmp(text, "host");
    if (!config->loopback_host && (!text || strcmp(text, "enclave") != 0))
        return json_refuse(place, value, "must be \"enclave\" or \"host\"");
    return NULL;
}

static const struct json_key net_keys[] = {
    CUSTOM("loopback", read_loopback),
    {0},
};

static const struct json_key top_keys[] = {
    OBJECT("resource_limits", limits_keys),
    OBJECT("process", process_keys),
    STRINGS("entry_points", entry_points),
    OBJECT("env", env_keys),
    OBJECT("metadata", metadata_keys),
    OBJECT("feature", feature_keys),
    OBJECT("net", net_keys),
    CUSTOM("mount", config_read_mounts),
    {0},
};

/* ---- lists -------------------------------------------------------------- */

struct err *text_list_add(struct text_list *list, const char *text)
{
    char **items = realloc(list->items, (list->count + 1) * sizeof(*items));

    if (!items)
        return err_sys(ENOMEM, "reading the configuration");
    list->items = items;
    items[list->count] = strdup(text);
    if (!items[list->count])
        return err_sys(ENOMEM, "reading the configuration");
    list->count++;
    return NULL;
}

void text_list_free(struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    memset(list, 0, sizeof(*list));
}

struct err *config_add_mount(struct instance_config *config, uint32_t fs, const char *target,
                             const char *source, uint32_t flags)
{
    struct mount_entry *mounts =
        realloc(config->mounts, (config->mount_count + 1) * sizeof(*mounts));
    struct mount_entry *entry;

    if (!mounts)
        return err_sys(ENOMEM, "reading the configuration");
    config->mounts = mounts;
    entry = &mounts[config->mount_count++];
    *entry = (struct mount_entry){.target = strdup(target),
                                  .source = strdup(source),
                                  .options = strdup(""),
                                  .fs = fs,
                                  .flags = flags};
    if (!entry->target || !entry->source || !entry->options)
        return err_sys(ENOMEM, "reading the configuration");
    return NULL;
}

/* ---- reading ------------------------------------------------------------ */

void config_defaults(struct instance_config *config)
{
    memset(config, 0, sizeof(*config));
    config->stack_size = 8 * MIB;
    config->debuggable = 1;
    config->disable_log = 2; /* not said: the opposite of debuggable */
    config->fixed_addresses = 1;
}

static struct err *check_strings(struct instance_config *config, const char *name)
{
    for (size_t i = 0; i < config->entry_points.count; i++)
        if (config->entry_points.items[i][0] != '/')
            return err_new("%s: entry_points[%zu]: \"%s\": must be an absolute path", name, i,
                           config->entry_points.items[i]);
    if (config->command.count && config->command.items[0][0] != '/')
        return err_new("%s: process.command[0]: \"%s\": must be an absolute path", name,
                       config->command.items[0]);
    for (size_t i = 0; i < config->env_default.count; i++) {
        const char *item = config->env_default.items[i];

        if (!strchr(item, '=') || item[0] == '=')
            return err_new("%s: env.default[%zu]: \"%s\": must be NAME=VALUE", name, i, item);
    }
    for (size_t i = 0; i < config->env_untrusted.count; i++) {
        const char *item = config->env_untrusted.items[i];

        if (!item[0] || strchr(item, '='))
            return err_new("%s: env.untrusted[%zu]: \"%s\": must be the name of a variable",
                           name, i, item);
    }
    return NULL;
}

/* Has an enclave of that size room for what is configured? */
static bool has_room(const struct instance_config *config, uint64_t size)
{
    return layout_user_end(size) >= config->user_space_max &&
           size / 8 - LAYOUT_TOP_BYTES >= config->kernel_heap_max;
}

static struct err *check_enclave_size(const struct instance_config *config, const char *name)
{
    uint64_t size = config->enclave_size;

    if (size & (size - 1))
        return err_new("%s: resource_limits.enclave_size: must be a power of two", name);
    if (size && !has_room(config, size))
        return err_new("%s: resource_limits.enclave_size: too small for user_space_max_size or "
                       "kernel_space_heap_max_size; 7/8 of it are for programs, 1/8 less 1GB "
                       "for the system",
                       name);
    return NULL;
}

/* What several keys mean together. */
static struct err *settle(struct instance_config *config, const char *name)
{
    if (config->disable_log == 2)
        config->disable_log = !config->debuggable;
    if (!config->user_space_max)
        config->user_space_max = config->user_space_size;
    if (config->user_space_max < config->user_space_size)
        return err_new("%s: resource_limits.user_space_max_size: smaller than user_space_size; "
                       "raise it or leave it out",
                       name);
    if (config->kernel_heap_max && config->kernel_heap_max < KERNEL_HEAP_MIN) {
        config->kernel_heap_max = KERNEL_HEAP_MIN;
        struct err *err = text_list_add(&config->notes,
                                        "resource_limits.kernel_space_heap_max_size: raised to "
                                        "64MB, the least that works");

        if (err)
            return err;
    }
    if (!config->entry_points.count) {
        struct err *err = text_list_add(&config->entry_points, "/bin");

        if (err)
            return err;
    }
    struct err *err = check_enclave_size(config, name);

    if (!err)
        err = check_strings(config, name);
    return err ? err : config_complete_mounts(config);
}

struct err *config_parse(const char *text, size_t size, const char *name,
                         struct instance_config *config)
{
    struct json_place place = {.file = name};
    json_error_t error;

    config_defaults(config);
    json_t *root = json_loadb(text ? text : "", size, JSON_REJECT_DUPLICATES, &error);

    if (!root)
        return err_new("%s:%d:%d: %s", name, error.line, error.column, error.text);
    struct err *err = json_read_object(&place, root, top_keys, config);

    json_decref(root);
    return err ? err : settle(config, name);
}

struct err *config_read(const char *path, struct instance_config *config)
{
    struct file_map map;
    struct err *err = file_map(path, &map);

    config_defaults(config);
    if (err)
        return err;
    err = config_parse((const char *)map.bytes, map.size, path, config);
    file_unmap(&map);
    return err;
}

void config_free(struct instance_config *config)
{
    for (size_t i = 0; i < config->mount_count; i++) {
        free(config->mounts[i].target);
        free(config->mounts[i].source);
        free(config->mounts[i].options);
    }
    free(config->mounts);
    text_list_free(&config->entry_points);
    text_list_free(&config->env_default);
    text_list_free(&config->env_untrusted);
    text_list_free(&config->command);
    free(config->working_dir);
    text_list_free(&config->notes);
    memset(config, 0, sizeof(*config));
}

/* ---- what it turns into ------------------------------------------------- */

uint64_t config_enclave_size(const struct instance_config *config)
{
    uint64_t size = LAYOUT_DEFAULT_SIZE;

    if (config->enclave_size)
        return config->enclave_size;
    while (size < ENCLAVE_SIZE_MAX && !has_room(config, size))
        size *= 2;
    return size;
}

uint32_t config_tcs_count(const struct instance_config *config)
{
    if (!config->init_threads)
        return TCS_DEFAULT;
    return config->init_threads < LAYOUT_VCPU_MAX ? (uint32_t)config->init_threads
                                                  : LAYOUT_VCPU_MAX;
}

static uint32_t max_log_level(const struct instance_config *config)
{
    if (config->disable_log)
        return LOG_OFF;
    return config->debuggable ? LOG_TRACE : LOG_ERROR;
}

static void compile_process(const struct instance_config *config, struct config_blob *blob)
{
    char number[32];

    if (config->uid || config->gid) {
        snprintf(number, sizeof(number), "%u", (unsigned)config->uid);
        config_blob_string(blob, CONFIG_USER, number);
        snprintf(number, sizeof(number), "%u", (unsigned)config->gid);
        config_blob_string(blob, CONFIG_GROUP, number);
    }
    if (config->working_dir)
        config_blob_string(blob, CONFIG_WORKING_DIR, config->working_dir);
    for (size_t i = 0; i < config->command.count; i++)
        config_blob_string(blob, CONFIG_COMMAND, config->command.items[i]);
}

struct err *config_compile(const struct instance_config *config, uint32_t flags,
                           const struct verity_tree *trees, struct config_blob *blob)
{
    struct enclave_config header = {
        .flags = flags | (config->debuggable ? CONFIG_FLAG_DEBUGGABLE : 0) |
                 (config->fixed_addresses ? 0 : CONFIG_FLAG_ANY_BASE) |
                 (config->loopback_host ? CONFIG_FLAG_LOOPBACK_HOST : 0),
        .tcs_count = config_tcs_count(config),
        .kernel_heap_max = config->kernel_heap_max,
        .user_space_max = config->user_space_max,
        .stack_size = config->stack_size,
        .max_threads = (uint32_t)config->max_threads,
        .max_log_level = max_log_level(config),
    };

    config_blob_init(blob, &header);
    for (size_t i = 0; i < config->entry_points.count; i++)
        config_blob_string(blob, CONFIG_ENTRY_POINT, config->entry_points.items[i]);
    for (size_t i = 0; i < config->env_default.count; i++)
        config_blob_string(blob, CONFIG_ENV_DEFAULT, config->env_default.items[i]);
    for (size_t i = 0; i < config->env_untrusted.count; i++)
        config_blob_string(blob, CONFIG_ENV_UNTRUSTED, config->env_untrusted.items[i]);
    compile_process(config, blob);
    for (size_t i = 0; i < config->mount_count; i++) {
        const struct mount_entry *entry = &config->mounts[i];
        struct config_mount mount = {.fs = entry->fs, .flags = entry->flags};

        if (entry->fs == CONFIG_FS_EROFS && trees) {
            mount.image = entry->flags & CONFIG_MOUNT_INIT ? IMAGE_INITFS : IMAGE_ROOTFS;
            const struct verity_tree *root = &trees[mount.image];

            mount.data_blocks = root->data_blocks;
            mount.hash_offset = root->hash_offset;
            memcpy(mount.root_hash, root->root_hash, sizeof(mount.root_hash));
        }
        config_blob_mount(blob, &mount, entry->target, entry->source, entry->options);
    }
    return config_blob_finish(blob);
}

/* 0: must be off, 1: may be on, 2: must be on. */
static void xfrm_feature(struct sigstruct_input *input, uint64_t bits, uint64_t want)
{
    if (want == 1)
        input->attribute_mask.xfrm &= ~bits;
    if (want == 2)
        input->attributes.xfrm |= bits;
}

static void put_id(uint8_t id[16], uint64_t high, uint64_t low)
{
    memcpy(id, &low, sizeof(low));
    memcpy(id + 8, &high, sizeof(high));
}

void config_signature(const struct instance_config *config, struct sigstruct_input *input)
{
    memset(input, 0, sizeof(*input));
    input->attributes.flags = SGX_ATTR_MODE64;
    input->attributes.xfrm = SGX_XFRM_LEGACY;
    input->attribute_mask.flags = ~SGX_ATTR_AEXNOTIFY;
    if (config->enable_kss)
        input->attributes.flags |= SGX_ATTR_KSS;
    if (config->debuggable)
        input->attribute_mask.flags &= ~SGX_ATTR_DEBUG;
    /* Vector registers: whatever the CPU has; the kernel finds out what it got. */
    input->attribute_mask.xfrm = ~(SGX_XFRM_AVX | SGX_XFRM_AVX512);
    xfrm_feature(input, SGX_XFRM_AMX, config->amx);
    xfrm_feature(input, SGX_XFRM_PKRU, config->pkru);
    input->miscselect = SGX_MISC_EXINFO;
    input->miscmask = UINT32_MAX;
    input->product_id = (uint16_t)config->product_id;
    input->security_version = (uint16_t)config->version_number;
    if (!config->enable_kss)
        return; /* the CPU refuses the identifiers without KSS */
    put_id(input->family_id, config->family_high, config->family_low);
    put_id(input->ext_product_id, config->ext_product_high, config->ext_product_low);
}
