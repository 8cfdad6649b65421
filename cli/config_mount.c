/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mounts of an instance. The root is the read-only image with a writable layer over it, an
 * encrypted store in run/, which "unionfs" says, too; the type "sefs" gives the image alone.
 * Elsewhere "sefs" is an encrypted store. LIMIT: no ext2.
 */
#include "cli/config_mount.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOT_STORE "run/root"

struct entry {
    const char *target, *type, *source;
    json_t *options;
};

static struct err *read_text(struct json_place *place, json_t *value, const char **out)
{
    if (!json_is_string(value) || !json_string_value(value)[0])
        return json_refuse(place, value, "must be a string that is not empty");
    *out = json_string_value(value);
    return NULL;
}

static struct err *read_entry_key(struct json_place *place, const char *key, json_t *value,
                                  struct entry *entry)
{
    if (!strcmp(key, "target"))
        return read_text(place, value, &entry->target);
    if (!strcmp(key, "type"))
        return read_text(place, value, &entry->type);
    if (!strcmp(key, "source")) {
        /* Scripts leave null where a type has no source. */
        return json_is_null(value) ? NULL : read_text(place, value, &entry->source);
    }
    if (strcmp(key, "options"))
        return json_refuse(place, NULL,
                           "unknown key; here are known: target, type, source, options");
    if (!json_is_object(value) && !json_is_null(value))
        return json_refuse(place, value, "must be an object: { ... }");
    entry->options = value;
    return NULL;
}

static struct err *read_entry(struct json_place *place, json_t *value, struct entry *entry)
{
    const char *key;
    json_t *item;

    memset(entry, 0, sizeof(*entry));
    if (!json_is_object(value))
        return json_refuse(place, value,
                           "must be an object: { \"target\": ..., \"type\": ... }");
    json_object_foreach(value, key, item)
    {
        size_t length = json_enter(place, key);
        struct err *err = read_entry_key(place, key, item, entry);

        if (err)
            return err;
        json_leave(place, length);
    }
    if (!entry->target || !entry->type)
        return json_refuse(place, value, "%s is missing", entry->target ? "type" : "target");
    return NULL;
}

/* Absolute, without "." or "..", without a slash at the end. */
static int target_ok(const char *target)
{
    if (target[0] != '/')
        return 0;
    if (!target[1])
        return 1;
    for (const char *at = target; *at;) {
        const char *name = at + 1;
        size_t length = strcspn(name, "/");

        if (length == 0 || (length == 1 && name[0] == '.') ||
            (length == 2 && name[0] == '.' && name[1] == '.'))
            return 0;
        at = name + length;
    }
    return 1;
}

struct fs_type {
    const char *name;
    uint32_t fs;
    const char *options; /* accepted ones, each between spaces */
};

static const struct fs_type fs_types[] = {
    {"sefs", CONFIG_FS_SEFS,
     " MAC temporary cache_size disk_size autokey key root counter readonly "},
    {"unionfs", CONFIG_FS_UNIONFS, " layers cache_size "},
    {"hostfs", CONFIG_FS_HOSTFS, " readonly "},
    {"ramfs", CONFIG_FS_RAMFS, ""},
    {"devfs", CONFIG_FS_DEVFS, ""},
    {"procfs", CONFIG_FS_PROCFS, ""},
};

static const struct fs_type *find_type(const char *name)
{
    for (size_t i = 0; i < sizeof(fs_types) / sizeof(fs_types[0]); i++)
        if (!strcmp(fs_types[i].name, name))
            return &fs_types[i];
    return NULL;
}

static struct err *check_options(struct json_place *place, const struct fs_type *type,
                                 json_t *options)
{
    const char *key;
    json_t *item;
    char wanted[80];

    json_object_foreach(options, key, item)
    {
        snprintf(wanted, sizeof(wanted), " %.64s ", key);
        if (strstr(type->options, wanted))
            continue;
        size_t length = json_enter(place, "options");

        json_enter(place, key);
        struct err *err =
            type->options[0]
                ? json_refuse(place, NULL, "unknown option of %s; known are:%s", type->name,
                              type->options)
                : json_refuse(place, NULL, "unknown option; %s has none", type->name);

        json_leave(place, length);
        return err;
    }
    return NULL;
}

/* An option of a store as mount(2) has it: a size or a word. */
static struct err *store_option(struct json_place *place, const char *key, json_t *item,
                                char *text, size_t room)
{
    size_t used = strlen(text);
    const char *comma = used ? "," : "";
    int n = 0;

    if (!strcmp(key, "readonly"))
        return json_is_boolean(item) ? NULL : json_refuse(place, item, "must be true or false");
    if (!strcmp(key, "MAC"))
        return json_refuse(place, item, "a store that is written has no MAC; use \"root\"");
    if (!strcmp(key, "key") &&
        (!json_is_string(item) || strcmp(json_string_value(item), "image")))
        return json_refuse(place, item,
                           "must be \"image\"; who reads the configuration would "
                           "know any other");
    if (!strcmp(key, "temporary") && json_is_boolean(item))
        n = json_is_true(item) ? snprintf(text + used, room - used, "%stemporary", comma) : 0;
    else if (json_is_integer(item) && json_integer_value(item) > 0)
        n = snprintf(text + used, room - used, "%s%s=%lld", comma, key,
                     (long long)json_integer_value(item));
    else if (json_is_string(item) && !strpbrk(json_string_value(item), ",="))
        n = snprintf(text + used, room - used, "%s%s=%s", comma, key, json_string_value(item));
    else
        return json_refuse(place, item, "must be a size or a word");
    return (size_t)n < room - used ? NULL : json_refuse(place, item, "is too long");
}

/* An encrypted store in a file of the host. */
static struct err *add_store(struct json_place *place, const struct entry *entry,
                             const char *source, uint32_t flags, struct instance_config *config)
{
    char text[512] = "";
    const char *key;
    json_t *item;
    struct err *err = NULL;

    json_object_foreach(entry->options, key, item)
    {
        size_t length = json_enter(place, key);

        if (!err)
            err = store_option(place, key, item, text, sizeof(text));
        json_leave(place, length);
    }
    if (!err)
        err = config_add_mount(config, CONFIG_FS_SEFS, entry->target, source, flags);
    if (err)
        return err;
    struct mount_entry *mount = &config->mounts[config->mount_count - 1];
    free(mount->options);
    mount->options = strdup(text);
    return mount->options ? NULL : err_sys(ENOMEM, "reading the configuration");
}

static int is_read_only(const struct entry *entry)
{
    return json_is_true(json_object_get(entry->options, "readonly"));
}

/* The image below; above it an encrypted store, or memory where the configuration says so. */
static struct err *add_union_root(struct json_place *place, const struct entry *upper,
                                  struct instance_config *config)
{
    static const struct entry store = {.target = "/", .type = "sefs"};
    struct err *err = config_add_mount(config, CONFIG_FS_EROFS, "/", "",
                                       CONFIG_MOUNT_RDONLY | CONFIG_MOUNT_LAYER);

    if (!upper)
        upper = &store;
    if (!err && !strcmp(upper->type, "ramfs"))
        err = config_add_mount(config, CONFIG_FS_RAMFS, "/", "", CONFIG_MOUNT_LAYER);
    else if (!err)
        err = add_store(place, upper, upper->source ? upper->source : ROOT_STORE,
                        CONFIG_MOUNT_LAYER, config);
    return err ? err : config_add_mount(config, CONFIG_FS_UNIONFS, "/", "", 0);
}

/* options.layers: the image, then what takes the changes. */
static struct err *read_layer(struct json_place *place, json_t *item, int upper,
                              struct entry *out)
{
    struct err *err = read_entry(place, item, out);

    if (err)
        return err;
    const struct fs_type *type = find_type(out->type);
    int memory = upper && type && type->fs == CONFIG_FS_RAMFS;

    if (!type || (type->fs != CONFIG_FS_SEFS && !memory))
        return json_refuse(place, item, "a layer's type must be sefs%s",
                           upper ? " or ramfs" : "");
    if (strcmp(out->target, "/"))
        return json_refuse(place, item, "a layer's target must be /");
    if (upper && is_read_only(out))
        return json_refuse(place, item,
                           "the upper layer takes the changes; it cannot be "
                           "\"readonly\"");
    return check_options(place, type, out->options);
}

static struct err *read_layers(struct json_place *place, json_t *options, struct entry *upper)
{
    json_t *layers = json_object_get(options, "layers");
    size_t index, length = json_enter(place, "options.layers");
    json_t *item;

    if (!json_is_array(layers) || json_array_size(layers) != 2)
        return json_refuse(place, layers,
                           "must be an array of two layers, the image (sefs) first");
    json_array_foreach(layers, index, item)
    {
        size_t outer = json_enter_index(place, index);
        struct err *err = read_layer(place, item, index == 1, upper);

        if (err)
            return err;
        json_leave(place, outer);
    }
    json_leave(place, length);
    return NULL;
}

static struct err *add_root(struct json_place *place, const struct entry *entry,
                            const struct fs_type *type, struct instance_config *config)
{
    struct entry upper;

    if (type->fs == CONFIG_FS_SEFS)
        return config_add_mount(config, CONFIG_FS_EROFS, "/", "", CONFIG_MOUNT_RDONLY);
    if (type->fs != CONFIG_FS_UNIONFS)
        return json_refuse(place, NULL, "the root's type must be unionfs or sefs, not %s",
                           type->name);
    struct err *err = read_layers(place, entry->options, &upper);

    return err ? err : add_union_root(place, &upper, config);
}

static struct err *add_entry(struct json_place *place, const struct entry *entry,
                             struct instance_config *config)
{
    const struct fs_type *type = find_type(entry->type);
    uint32_t flags = 0;

    if (!strcmp(entry->type, "ext2"))
        return json_refuse(place, NULL, "ext2 is not supported; use sefs with disk_size");
    if (!type)
        return json_refuse(
            place, NULL,
            "\"%s\" is not a type; known are unionfs, sefs, hostfs, ramfs, devfs, "
            "procfs",
            entry->type);
    if (!target_ok(entry->target))
        return json_refuse(place, NULL,
                           "target \"%s\" must be an absolute path without \".\", \"..\" or a "
                           "slash at its end",
                           entry->target);
    for (size_t i = 0; i < config->mount_count; i++)
        if (!strcmp(config->mounts[i].target, entry->target))
            return json_refuse(place, NULL, "target \"%s\" is mounted twice", entry->target);
    struct err *err = check_options(place, type, entry->options);

    if (err)
        return err;
    if (!strcmp(entry->target, "/"))
        return add_root(place, entry, type, config);
    if (type->fs == CONFIG_FS_UNIONFS)
        return json_refuse(place, NULL,
                           "%s is supported for \"/\" only; use sefs, ramfs or hostfs",
                           type->name);
    if (is_read_only(entry))
        flags |= CONFIG_MOUNT_RDONLY;
    if (type->fs == CONFIG_FS_SEFS)
        return entry->source
                   ? add_store(place, entry, entry->source, flags, config)
                   : json_refuse(place, NULL, "sefs needs a source, a file of the host");
    if (type->fs == CONFIG_FS_HOSTFS && !entry->source)
        return json_refuse(place, NULL, "hostfs needs a source, a directory of the host");
    return config_add_mount(config, type->fs, entry->target,
                            type->fs == CONFIG_FS_HOSTFS ? entry->source : "", flags);
}

struct err *config_read_mounts(struct json_place *place, json_t *value, void *out)
{
    size_t index;
    json_t *item;
    struct entry entry;

    if (!json_is_array(value))
        return json_refuse(place, value, "must be an array of mounts");
    json_array_foreach(value, index, item)
    {
        size_t length = json_enter_index(place, index);
        struct err *err = read_entry(place, item, &entry);

        if (!err)
            err = add_entry(place, &entry, out);
        if (err)
            return err;
        json_leave(place, length);
    }
    return NULL;
}

/* ---- what every instance has -------------------------------------------- */

static int depth(const char *target)
{
    int slashes = 0;

    if (!target[1])
        return 0;
    for (; *target; target++)
        slashes += *target == '/';
    return slashes;
}

/* A stable insertion sort; there are few. */
static void sort_by_depth(struct instance_config *config)
{
    for (size_t i = 1; i < config->mount_count; i++) {
        struct mount_entry entry = config->mounts[i];
        size_t at = i;

        while (at > 0 && depth(config->mounts[at - 1].target) > depth(entry.target)) {
            config->mounts[at] = config->mounts[at - 1];
            at--;
        }
        config->mounts[at] = entry;
    }
}

struct err *config_complete_mounts(struct instance_config *config)
{
    static const struct {
        const char *target;
        uint32_t fs, flags;
    } defaults[] = {
        {"/", CONFIG_FS_UNIONFS, 0},      {"/proc", CONFIG_FS_PROCFS, 0},
        {"/dev", CONFIG_FS_DEVFS, 0},     {"/tmp", CONFIG_FS_RAMFS, 0},
        {"/dev/shm", CONFIG_FS_RAMFS, 0},
    };

    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        const char *target = defaults[i].target;
        size_t at = 0;

        while (at < config->mount_count && strcmp(config->mounts[at].target, target))
            at++;
        if (at < config->mount_count)
            continue;
        struct err *err =
            defaults[i].fs == CONFIG_FS_UNIONFS
                ? add_union_root(NULL, NULL, config)
                : config_add_mount(config, defaults[i].fs, target, "", defaults[i].flags);

        if (err)
            return err;
    }
    sort_by_depth(config);
    return NULL;
}

struct err *config_add_init(struct instance_config *config)
{
    static const struct {
        const char *target;
        uint32_t fs, flags;
    } mounts[] = {
        {"/", CONFIG_FS_EROFS, CONFIG_MOUNT_RDONLY | CONFIG_MOUNT_LAYER},
        {"/", CONFIG_FS_RAMFS, CONFIG_MOUNT_LAYER},
        {"/", CONFIG_FS_UNIONFS, 0},
        {"/proc", CONFIG_FS_PROCFS, 0},
        {"/dev", CONFIG_FS_DEVFS, 0},
    };
    struct err *err = NULL;

    for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]) && !err; i++)
        err = config_add_mount(config, mounts[i].fs, mounts[i].target, "",
                               mounts[i].flags | CONFIG_MOUNT_INIT);
    return err;
}
