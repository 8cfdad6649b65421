/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks and walks the measured configuration. */
#include "enclave/config.h"

#include "enclave/boot.h"
#include "lib/log.h"
#include "lib/string.h"

const struct enclave_config *config_get(void)
{
    return enclave.config;
}

static const char *config_end(const struct enclave_config *c)
{
    return (const char *)c + c->total_bytes;
}

const struct config_record *config_next(const struct config_record *previous)
{
    const struct enclave_config *c = enclave.config;
    const char *at = (const char *)(c + 1);

    if (previous)
        at = (const char *)(previous + 1) + align_up(previous->bytes, 8);
    return at < config_end(c) ? (const struct config_record *)at : NULL;
}

const char *config_string(enum config_record_type type)
{
    const struct config_record *r = NULL;

    while ((r = config_next(r)) != NULL && r->type != type)
        ;
    return r ? config_payload(r) : NULL;
}

uint32_t config_number(enum config_record_type type)
{
    const char *text = config_string(type);
    uint64_t n = 0;

    if (text && (parse_u64(text, 10, &n) || n > UINT32_MAX))
        panic("the measured configuration says \"%s\" where a number belongs", text);
    return (uint32_t)n;
}

const char *config_mount_target(const struct config_mount *m)
{
    return (const char *)(m + 1);
}
const char *config_mount_source(const struct config_mount *m)
{
    return config_mount_target(m) + m->target_bytes;
}
const char *config_mount_options(const struct config_mount *m)
{
    return config_mount_source(m) + m->source_bytes;
}

static bool string_ok(const char *s, uint64_t bytes)
{
    return bytes && s[bytes - 1] == 0;
}

static bool mount_ok(const struct config_record *r)
{
    const struct config_mount *m = config_payload(r);

    if (r->bytes < sizeof(*m))
        return false;
    uint64_t strings = (uint64_t)m->target_bytes + m->source_bytes + m->options_bytes;
    if (strings > r->bytes - sizeof(*m))
        return false;
    return string_ok(config_mount_target(m), m->target_bytes) &&
           string_ok(config_mount_source(m), m->source_bytes) &&
           string_ok(config_mount_options(m), m->options_bytes);
}

static bool record_ok(const struct config_record *r, uint64_t left)
{
    if (left < sizeof(*r) || align_up(r->bytes, 8) > left - sizeof(*r))
        return false;
    if (r->type == CONFIG_MOUNT)
        return mount_ok(r);
    return string_ok(config_payload(r), r->bytes);
}

void config_check(const struct enclave_config *c, uint64_t limit)
{
    uint32_t count = 0;

    if (c->magic != CONFIG_MAGIC || c->version != CONFIG_VERSION)
        panic("the measured configuration is of another version: build the instance again");
    if (c->total_bytes < sizeof(*c) || c->total_bytes > limit || c->total_bytes % 8)
        panic("the measured configuration is malformed");
    for (const char *at = (const char *)(c + 1); at < config_end(c); count++) {
        const struct config_record *r = (const struct config_record *)at;
        if (!record_ok(r, (uint64_t)(config_end(c) - at)))
            panic("record %u of the measured configuration is malformed", count);
        at += sizeof(*r) + align_up(r->bytes, 8);
    }
    if (count != c->record_count)
        panic("the measured configuration is malformed");
}
