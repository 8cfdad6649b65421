/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Strict JSON, see json.h.
 */
#include "cli/json.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/config.h"

size_t json_enter(struct json_place *place, const char *name)
{
    size_t length = strlen(place->path);

    snprintf(place->path + length, sizeof(place->path) - length, "%s%.64s", length ? "." : "",
             name);
    return length;
}

size_t json_enter_index(struct json_place *place, size_t index)
{
    size_t length = strlen(place->path);

    snprintf(place->path + length, sizeof(place->path) - length, "[%zu]", index);
    return length;
}

void json_leave(struct json_place *place, size_t length)
{
    place->path[length] = 0;
}

struct err *json_refuse(const struct json_place *place, const json_t *value, const char *right,
                        ...)
{
    char *dump = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    char *text = NULL;
    va_list args;

    va_start(args, right);
    if (vasprintf(&text, right, args) < 0)
        text = NULL;
    va_end(args);
    struct err *err = err_new("%s: %s%s%.120s%s: %s", place->file,
                              place->path[0] ? place->path : "the whole file", dump ? ": " : "",
                              dump ? dump : "", dump && strlen(dump) > 120 ? "..." : "",
                              text ? text : "not accepted");

    free(text);
    free(dump);
    return err;
}

int json_parse_size(const char *text, uint64_t *bytes)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    char *end;

    if (!strcmp(text, "auto")) {
        *bytes = 0;
        return 0;
    }
    if (!isdigit((unsigned char)text[0]))
        return -1;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);

    if (errno)
        return -1;
    while (*end == ' ')
        end++;
    for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcasecmp(end, units[i]))
            continue;
        if (number > UINT64_MAX >> (10 * i))
            return -1;
        *bytes = (uint64_t)number << (10 * i);
        return 0;
    }
    return -1;
}

/* "300MB" from bytes, in the largest unit that fits. */
static const char *size_text(uint64_t bytes, char buffer[32])
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    unsigned unit = 0;

    while (unit < 4 && bytes && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    snprintf(buffer, 32, "%llu%s", (unsigned long long)bytes, units[unit]);
    return buffer;
}

static struct err *read_size(struct json_place *place, json_t *value,
                             const struct json_key *key, uint64_t *out)
{
    char low[32], high[32];

    if (!json_is_string(value) || json_parse_size(json_string_value(value), out))
        return json_refuse(
            place, value,
            "not a size; write a string with a whole number and B, KB, MB, GB or "
            "TB, such as \"64MB\", or \"auto\"");
    if (*out && (*out < key->min || *out > key->max))
        return json_refuse(place, value, "impossible; between \"%s\" and \"%s\" are possible",
                           size_text(key->min, low), size_text(key->max, high));
    return NULL;
}

static struct err *read_count(struct json_place *place, json_t *value,
                              const struct json_key *key, uint64_t *out)
{
    json_int_t number = json_integer_value(value);

    if (!json_is_integer(value) || number < 0 || (uint64_t)number < key->min ||
        (uint64_t)number > key->max)
        return json_refuse(place, value, "must be a whole number from %llu to %llu",
                           (unsigned long long)key->min, (unsigned long long)key->max);
    *out = (uint64_t)number;
    return NULL;
}

static struct err *read_hex(struct json_place *place, json_t *value, uint64_t *out)
{
    const char *text = json_string_value(value);
    char *end;

    errno = 0;
    if (text && !strncasecmp(text, "0x", 2) && isxdigit((unsigned char)text[2])) {
        *out = strtoull(text, &end, 16);
        if (!*end && !errno)
            return NULL;
    }
    return json_refuse(place, value, "must be a string with a 64-bit number, such as \"0x1f\"");
}

static struct err *read_strings(struct json_place *place, json_t *value, struct text_list *out)
{
    size_t index;
    json_t *item;
    struct err *err = NULL;

    if (!json_is_array(value))
        return json_refuse(place, value, "must be an array of strings");
    text_list_free(out);
    json_array_foreach(value, index, item)
    {
        size_t length = json_enter_index(place, index);

        if (!json_is_string(item))
            err = json_refuse(place, item, "must be a string");
        else
            err = text_list_add(out, json_string_value(item));
        if (err)
            return err;
        json_leave(place, length);
    }
    return NULL;
}

static struct err *read_key(struct json_place *place, json_t *value, const struct json_key *key,
                            void *out)
{
    void *field = (char *)out + key->offset;

    switch (key->kind) {
    case JSON_KIND_SIZE:
        return read_size(place, value, key, field);
    case JSON_KIND_COUNT:
        return read_count(place, value, key, field);
    case JSON_KIND_BOOL:
        if (!json_is_boolean(value))
            return json_refuse(place, value, "must be true or false");
        *(uint64_t *)field = json_is_true(value);
        return NULL;
    case JSON_KIND_HEX:
        return read_hex(place, value, field);
    case JSON_KIND_STRINGS:
        return read_strings(place, value, field);
    case JSON_KIND_OBJECT:
        return json_read_object(place, value, key->keys, out);
    case JSON_KIND_CUSTOM:
        return key->read(place, value, out);
    }
    return NULL;
}

static struct err *unknown_key(struct json_place *place, const struct json_key *keys)
{
    char known[512] = "";

    for (size_t used = 0; keys->name && used < sizeof(known); keys++) {
        int n =
            snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "", keys->name);

        used += n > 0 ? (size_t)n : 0;
    }
    return json_refuse(place, NULL, "unknown key; here are known: %s", known);
}

struct err *json_read_object(struct json_place *place, json_t *value,
                             const struct json_key *keys, void *out)
{
    const char *name;
    json_t *item;

    if (!json_is_object(value))
        return json_refuse(place, value, "must be an object: { ... }");
    json_object_foreach(value, name, item)
    {
        size_t length = json_enter(place, name);
        const struct json_key *key = keys;

        while (key->name && strcmp(key->name, name))
            key++;
        struct err *err =
            key->name ? read_key(place, item, key, out) : unknown_key(place, keys);

        if (err)
            return err;
        json_leave(place, length);
    }
    return NULL;
}
