/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The options of a store that is mounted, and its master key. Options, separated by commas:
 * key=XX-XX-... (16 or 32 bytes) or key=image (the image key; else the seal key), autokey=
 * mrsigner|mrenclave (the seal key's kind), disk_size=N, cache_size=N (of tree nodes),
 * temporary (a new store each time, under a key that is forgotten), root=HEX (what `occlum
 * print root` showed: any other state is refused), counter=FILE (see vfs_counter.c).
 */
#include "abi/errno.h"
#include "crypto/random.h"
#include "enclave/boot.h"
#include "enclave/keys.h"
#include "fs/core/image_key.h"
#include "fs/sefs/vfs.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/kmalloc.h"

#define DISK_SIZE_DEFAULT (64ull << 30)
#define DISK_SIZE_MIN     (1ull << 20)
#define CACHE_DEFAULT     (16ull << 20)
#define CACHE_MIN         (192ull << 10)

/* ---- options ---- */

static int parse_size(const char *text, uint64_t *out)
{
    static const char units[] = "kmgt";
    char digits[24];
    size_t n = 0;
    while (n < sizeof(digits) - 1 && text[n] >= '0' && text[n] <= '9') {
        digits[n] = text[n];
        n++;
    }
    digits[n] = 0;
    int r = parse_u64(digits, 10, out);
    const char *unit = text[n] ? strchr(units, text[n] | 0x20) : NULL;
    uint64_t by = unit ? 1ull << (10 * (unit - units + 1)) : 1;
    if (r < 0 || (text[n] && !unit && (text[n] | 0x20) != 'b') || mul_overflows(*out, by, out))
        return -EINVAL;
    return 0;
}

static int parse_given_key(const char *value, struct vs_options *o)
{
    bool image = strcmp(value, "image") == 0;
    int r = image ? image_key_get(o->key) : key_parse(value, o->key, sizeof(o->key));
    if (r == -ENOKEY)
        log_always("sefs: key=image, and there is no image key");
    if (r < 0)
        return r;
    o->key_size = (size_t)r;
    return r == 16 || r == 32 ? 0 : -EINVAL;
}

static int parse_root(const char *text, struct vs_options *o)
{
    o->have_root = true;
    return key_parse(text, o->root, sizeof(o->root)) == 32 ? 0 : -EINVAL;
}

static int parse_policy(const char *value, struct vs_options *o)
{
    o->only_enclave = strcmp(value, "mrenclave") == 0;
    o->policy = o->only_enclave ? KEYPOLICY_MRENCLAVE : KEYPOLICY_MRSIGNER;
    return o->only_enclave || strcmp(value, "mrsigner") == 0 ? 0 : -EINVAL;
}

static int parse_value(const char *name, char *value, struct vs_options *o)
{
    if (strcmp(name, "key") == 0)
        return parse_given_key(value, o);
    if (strcmp(name, "root") == 0)
        return parse_root(value, o);
    if (strcmp(name, "disk_size") == 0)
        return parse_size(value, &o->disk_size);
    if (strcmp(name, "cache_size") == 0)
        return parse_size(value, &o->cache_size);
    if (strcmp(name, "autokey") == 0)
        return parse_policy(value, o);
    if (strcmp(name, "counter") == 0) {
        o->counter = value;
        return *value ? 0 : -EINVAL;
    }
    return -EINVAL;
}

static int parse_option(char *text, struct vs_options *o)
{
    char *value = strchr(text, '=');
    int r = 0;
    if (value)
        *value++ = 0;
    if (strcmp(text, "temporary") == 0 && (!value || strcmp(value, "true") == 0))
        o->temporary = true;
    else
        r = value ? parse_value(text, value, o) : -EINVAL;
    if (r == -EINVAL)
        log_always("sefs: the option %s is unknown or its value makes no sense", text);
    return r;
}

int vs_options_parse(const char *options, struct vs_options *o)
{
    *o = (struct vs_options){.policy = KEYPOLICY_MRSIGNER,
                             .disk_size = DISK_SIZE_DEFAULT,
                             .cache_size = CACHE_DEFAULT};
    if (!options)
        options = "";
    size_t size = strlen(options) + 1;
    o->text = kmalloc(size);
    if (!o->text)
        return -ENOMEM;
    memcpy(o->text, options, size);
    int r = 0;
    for (char *at = o->text, *next; r == 0 && at && *at; at = next) {
        next = strchr(at, ',');
        if (next)
            *next++ = 0;
        if (*at)
            r = parse_option(at, o);
    }
    if (r == 0 && (o->disk_size < DISK_SIZE_MIN || o->cache_size < CACHE_MIN)) {
        log_always("sefs: disk_size is at least 1 MiB, cache_size at least 192 KiB");
        r = -EINVAL;
    }
    o->text_size = size;
    return r;
}

void vs_options_end(struct vs_options *o)
{
    if (o->text)
        memzero_secret(o->text, o->text_size);
    kfree(o->text);
    memzero_secret(o, sizeof(*o));
}

int vs_options_required(struct vs_options *o)
{
    const char *text = boot_variable("OCCLUM_REQUIRE_ROOT");
    uint8_t configured[32];
    bool both = o->have_root;
    if (!text)
        return 0;
    memcpy(configured, o->root, sizeof(configured));
    int r = parse_root(text, o);
    if (r < 0)
        log_always(
            "the root that is required makes no sense: 64 hexadecimal digits are wanted");
    else if (both && !mem_equal_secret(configured, o->root, sizeof(configured)))
        r = -ESTALE;
    return r;
}

/* ---- keys ---- */

static int seal_key(struct vs_options *o, const struct sefs_super *sb, struct seal_info *info)
{
    uint16_t policy = o->policy;
    if (sb && sb->key_kind != SEFS_KEY_GIVEN) {
        memcpy(info, sb->key_info, sizeof(*info));
        policy = sb->key_kind == SEFS_KEY_MRENCLAVE ? KEYPOLICY_MRENCLAVE : KEYPOLICY_MRSIGNER;
    } else {
        seal_info_new(info);
    }
    o->key_size = 16;
    o->policy = policy;
    return enclave_seal_key(policy, info, o->key);
}

/* A store that exists says itself how its key is sealed; where this very enclave is wanted, the
 * signer's other ones, who could have written it, are refused. */
static int sealed_key(struct vsuper *v, struct vs_options *o, const struct sefs_super *sb,
                      struct seal_info *info)
{
    if (sb && sb->key_kind == SEFS_KEY_GIVEN) {
        log_always("sefs %s: its key is not sealed: give the option key=", v->name);
        return -ENOKEY;
    }
    if (sb && sb->key_kind == SEFS_KEY_MRSIGNER && o->only_enclave) {
        log_always("sefs %s: autokey is mrenclave, but it is sealed to the signer", v->name);
        return -EACCES;
    }
    int r = seal_key(o, sb, info);
    if (r < 0)
        log_always("sefs %s: the processor gives no key: sealed by a newer version", v->name);
    return r;
}

int vs_choose_key(struct vsuper *v, struct vs_options *o, const struct sefs_super *sb,
                  struct seal_info *info, struct store_params *p)
{
    p->key_kind = SEFS_KEY_GIVEN;
    if (o->temporary) {
        o->key_size = sizeof(o->key);
        random_bytes(o->key, sizeof(o->key));
    } else if (!o->key_size) {
        int r = sealed_key(v, o, sb, info);
        if (r < 0)
            return r;
        p->key_kind = o->policy == KEYPOLICY_MRENCLAVE ? SEFS_KEY_MRENCLAVE : SEFS_KEY_MRSIGNER;
        p->key_info = (const uint8_t *)info;
    }
    p->key = o->key;
    p->key_size = o->key_size;
    return 0;
}
