/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Occlum.json: what is accepted and what becomes of it; what is refused, and that the refusal
 * names the file and the key.
 */
/* LINK: image/*.c cli/err.c cli/progress.c cli/config.c cli/config_mount.c cli/json.c
 * LIBS: -lcrypto -ljansson -lpthread */
#include <string.h>

#include "boundary/layout.h"
#include "cli/config.h"
#include "tests/unit/unit.h"

static struct instance_config parsed(const char *text)
{
    struct instance_config config;
    struct err *err = config_parse(text, strlen(text), "Occlum.json", &config);
    char line[1024];

    if (err)
        fprintf(stderr, "%s\n%s\n", text, err_text(err, line, sizeof(line)));
    CHECK(!err);
    return config;
}

/* `where` and `why` must both be in the message. */
static void refused(const char *text, const char *where, const char *why)
{
    struct instance_config config;
    char line[1024];
    struct err *err = config_parse(text, strlen(text), "Occlum.json", &config);

    err_text(err, line, sizeof(line));
    if (!err || !strstr(line, "Occlum.json") || !strstr(line, where) || !strstr(line, why))
        fprintf(stderr, "%s\n  said: %s\n  wanted: %s ... %s\n", text, line, where, why);
    CHECK(err);
    CHECK(strstr(line, "Occlum.json") && strstr(line, where) && strstr(line, why));
    err_free(err);
    config_free(&config);
}

/* A configuration as the original's `occlum init` makes it, and with all optional keys. */
static const char original[] =
    "{\"resource_limits\":{\"kernel_space_heap_size\":\"32MB\","
    "\"kernel_space_heap_max_size\":\"128MB\",\"kernel_space_stack_size\":\"1MB\","
    "\"user_space_size\":\"300MB\",\"user_space_max_size\":\"16GB\",\"init_num_of_threads\":16,"
    "\"max_num_of_threads\":32,\"marshal_buffer_size\":\"1MB\"},"
    "\"process\":{\"default_stack_size\":\"4MB\",\"default_heap_size\":\"32MB\","
    "\"default_mmap_size\":\"100MB\"},"
    "\"entry_points\":[\"/"
    "bin\"],\"env\":{\"default\":[\"OCCLUM=yes\"],\"untrusted\":[\"EXAMPLE\"]},"
    "\"metadata\":{\"product_id\":3,\"version_number\":4,\"debuggable\":false,"
    "\"enable_kss\":true,\"family_id\":{\"high\":\"0x1\",\"low\":\"0x2\"},"
    "\"ext_prod_id\":{\"high\":\"0x0\",\"low\":\"0xffffffffffffffff\"}},"
    "\"feature\":{\"amx\":1,\"pkru\":2,\"io_uring\":0,\"enable_edmm\":true,"
    "\"enable_posix_shm\":false},"
    "\"mount\":[{\"target\":\"/\",\"type\":\"unionfs\",\"options\":{\"layers\":["
    "{\"target\":\"/\",\"type\":\"sefs\",\"source\":\"./build/mount/__ROOT\","
    "\"options\":{\"MAC\":\"\"}},"
    "{\"target\":\"/\",\"type\":\"sefs\",\"source\":\"./run/mount/__ROOT\"}]}},"
    "{\"target\":\"/host\",\"type\":\"hostfs\",\"source\":\".\"},"
    "{\"target\":\"/proc\",\"type\":\"procfs\"},{\"target\":\"/dev\",\"type\":\"devfs\"}]}";

static const struct mount_entry *mount_at(const struct instance_config *config,
                                          const char *target)
{
    for (size_t i = 0; i < config->mount_count; i++)
        if (!strcmp(config->mounts[i].target, target))
            return &config->mounts[i];
    return NULL;
}

static void check_original(void)
{
    struct instance_config config = parsed(original);
    struct sigstruct_input input;

    CHECK_EQ(config.user_space_size, 300ull << 20);
    CHECK_EQ(config.user_space_max, 16ull << 30);
    CHECK_EQ(config.kernel_heap_max, 128ull << 20);
    CHECK_EQ(config.stack_size, 4ull << 20);
    CHECK_EQ(config.max_threads, 32);
    CHECK_EQ(config.disable_log, 1);
    CHECK_EQ(config_tcs_count(&config), 16);
    CHECK_EQ(config_enclave_size(&config), LAYOUT_DEFAULT_SIZE);
    CHECK_EQ(config.mount_count, 8);
    CHECK(!strcmp(config.mounts[0].target, "/"));
    CHECK_EQ(config.mounts[0].fs, CONFIG_FS_EROFS);
    CHECK_EQ(config.mounts[0].flags, CONFIG_MOUNT_RDONLY | CONFIG_MOUNT_LAYER);
    CHECK_EQ(config.mounts[1].fs, CONFIG_FS_SEFS);
    CHECK_EQ(config.mounts[1].flags, CONFIG_MOUNT_LAYER);
    CHECK(!strcmp(config.mounts[1].source, "./run/mount/__ROOT"));
    CHECK_EQ(config.mounts[2].fs, CONFIG_FS_UNIONFS);
    CHECK(!strcmp(config.mounts[7].target, "/dev/shm"));
    CHECK(!strcmp(mount_at(&config, "/host")->source, "."));
    CHECK_EQ(mount_at(&config, "/tmp")->fs, CONFIG_FS_RAMFS);
    CHECK_EQ(config.notes.count, 0);
    config_signature(&config, &input);
    CHECK_EQ(input.product_id, 3);
    CHECK_EQ(input.security_version, 4);
    CHECK(input.attributes.flags == (SGX_ATTR_MODE64 | SGX_ATTR_KSS));
    CHECK(input.attribute_mask.flags & SGX_ATTR_DEBUG);
    CHECK_EQ(input.attribute_mask.xfrm & SGX_XFRM_AMX, 0);
    CHECK(input.attributes.xfrm & SGX_XFRM_PKRU && input.attribute_mask.xfrm & SGX_XFRM_PKRU);
    CHECK_EQ(input.family_id[0], 2);
    CHECK_EQ(input.family_id[8], 1);
    CHECK_EQ(input.ext_product_id[7], 0xff);
    config_free(&config);
}

/* Nothing said: all defaults. */
static void check_empty(void)
{
    struct instance_config config = parsed("{}");
    struct sigstruct_input input;

    CHECK_EQ(config.user_space_max, 0);
    CHECK_EQ(config.debuggable, 1);
    CHECK_EQ(config.disable_log, 0);
    CHECK_EQ(config.entry_points.count, 1);
    CHECK_EQ(config.mount_count, 7);
    CHECK_EQ(config.mounts[1].fs, CONFIG_FS_SEFS);
    CHECK(!strcmp(config.mounts[1].source, "run/root"));
    config_signature(&config, &input);
    CHECK_EQ(input.attribute_mask.flags & SGX_ATTR_DEBUG, 0);
    config_free(&config);

    config = parsed("{\"resource_limits\":{\"user_space_size\":\"auto\"}}");
    CHECK_EQ(config.user_space_max, 0);
    config_free(&config);
    config = parsed("{\"resource_limits\":{\"user_space_size\":\"30TB\"}}");
    CHECK_EQ(config_enclave_size(&config), 64ull << 40);
    config_free(&config);
    config = parsed("{\"resource_limits\":{\"enclave_size\":\"64GB\"}}");
    CHECK_EQ(config_enclave_size(&config), 64ull << 30);
    config_free(&config);
}

/* The measured form, read back. */
static void check_compiled(void)
{
    struct instance_config config = parsed(original);
    struct verity_tree root = {.data_blocks = 17, .hash_offset = 17 * 4096};
    struct enclave_config header;
    struct config_blob blob;
    struct config_view view;
    size_t cursor = 0, mounts = 0, records = 0;

    root.root_hash[31] = 0xee;
    CHECK(!config_compile(&config, 0, &root, &blob));
    CHECK(!config_check(blob.bytes, blob.used, "test", &header));
    CHECK_EQ(header.record_count, 11);
    CHECK_EQ(header.max_log_level, LOG_OFF);
    CHECK_EQ(header.flags, 0);
    CHECK_EQ(header.tcs_count, 16);
    while (config_next(blob.bytes, &cursor, &view)) {
        struct config_mount mount;

        CHECK_EQ((view.payload - blob.bytes) % 8, 0);
        records++;
        if (view.type != CONFIG_MOUNT)
            continue;
        memcpy(&mount, view.payload, sizeof(mount));
        if (mounts++ > 0)
            continue;
        CHECK_EQ(mount.fs, CONFIG_FS_EROFS);
        CHECK_EQ(mount.data_blocks, 17);
        CHECK_EQ(mount.root_hash[31], 0xee);
        CHECK(!strcmp((const char *)view.payload + sizeof(mount), "/"));
    }
    CHECK_EQ(records, 11);
    CHECK_EQ(mounts, 8);
    for (size_t size = 0; size < blob.used; size++) {
        struct err *err = config_check(blob.bytes, size, "test", &header);

        CHECK(err);
        err_free(err);
    }
    config_blob_free(&blob);
    config_free(&config);
}

static void check_net(void)
{
    struct instance_config config = parsed("{\"net\":{\"loopback\":\"host\"}}");
    CHECK_EQ(config.loopback_host, 1);
    config_free(&config);
    config = parsed("{\"net\":{\"loopback\":\"enclave\"}}");
    CHECK_EQ(config.loopback_host, 0);
    config_free(&config);
    refused("{\"net\":{\"loopback\":\"both\"}}", "net.loopback: \"both\"", "\"host\"");
    refused("{\"net\":{\"loopback\":1}}", "net.loopback", "\"enclave\"");
}

static void check_refusals(void)
{
    refused("", "1:", "");
    refused("[]", "the whole file", "object");
    refused("{\"a\":1}", ": a: ", "unknown key; here are known: resource_limits, process");
    refused("{\"process\":{\"default_stack_sise\":\"1MB\"}}", "process.default_stack_sise",
            "default_stack_size");
    refused("{\"resource_limits\":{\"enclave_size\":\"65GB\"}}", "enclave_size", "power of");
    refused("{\"resource_limits\":{\"enclave_size\":\"32GB\"}}", "enclave_size", "64GB");
    refused("{\"resource_limits\":{\"enclave_size\":\"64GB\",\"user_space_size\":\"60GB\"}}",
            "enclave_size", "too small for user_space_max_size");
    refused("{\"process\":{\"default_stack_size\":4096}}", "process.default_stack_size: 4096",
            "not a size");
    refused("{\"process\":{\"default_stack_size\":\"4 XB\"}}", "\"4 XB\"", "not a size");
    refused("{\"process\":{\"default_stack_size\":\"-4MB\"}}", "\"-4MB\"", "not a size");
    refused("{\"process\":{\"default_stack_size\":\"99999999999999999999MB\"}}", "process",
            "not a size");
    refused("{\"process\":{\"default_stack_size\":\"18014398509481984KB\"}}", "process",
            "not a size");
    refused("{\"process\":{\"default_stack_size\":\"1B\"}}", "\"1B\"",
            "impossible; between \"64KB\" and \"64GB\"");
    refused(
        "{\"resource_limits\":{\"user_space_size\":\"2GB\",\"user_space_max_size\":\"1GB\"}}",
        "resource_limits.user_space_max_size", "smaller than");
    refused("{\"resource_limits\":{\"max_num_of_threads\":0}}",
            "resource_limits.max_num_of_threads: 0", "whole number from 1");
    refused("{\"resource_limits\":{\"max_num_of_threads\":1.5}}", "1.5", "whole number");
    refused("{\"entry_points\":\"/bin\"}", "entry_points: \"/bin\"", "array");
    refused("{\"entry_points\":[\"/bin\",3]}", "entry_points[1]: 3", "string");
    refused("{\"entry_points\":[\"bin\"]}", "entry_points[0]", "absolute");
    refused("{\"env\":{\"default\":[\"A\"]}}", "env.default[0]", "NAME=VALUE");
    refused("{\"env\":{\"untrusted\":[\"A=1\"]}}", "env.untrusted[0]", "name of a variable");
    refused("{\"metadata\":{\"debuggable\":1}}", "metadata.debuggable: 1", "true or false");
    refused("{\"metadata\":{\"product_id\":65536}}", "metadata.product_id", "from 0 to 65535");
    refused("{\"metadata\":{\"family_id\":{\"high\":\"12\"}}}", "metadata.family_id.high",
            "0x1f");
    refused("{\"feature\":{\"amx\":3}}", "feature.amx: 3", "from 0 to 2");
    refused("{\"feature\":{},\"feature\":{}}", "1:", "duplicate");
}

static void check_mount_refusals(void)
{
    refused("{\"mount\":{}}", "mount: {}", "array");
    refused("{\"mount\":[1]}", "mount[0]: 1", "object");
    refused("{\"mount\":[{\"type\":\"ramfs\"}]}", "mount[0]", "target is missing");
    refused("{\"mount\":[{\"target\":\"/x\"}]}", "mount[0]", "type is missing");
    refused("{\"mount\":[{\"target\":\"/x\",\"type\":\"xfs\"}]}", "mount[0]", "not a type");
    refused("{\"mount\":[{\"target\":\"x\",\"type\":\"ramfs\"}]}", "mount[0]", "absolute path");
    refused("{\"mount\":[{\"target\":\"/x/../y\",\"type\":\"ramfs\"}]}", "mount[0]", "\"..\"");
    refused("{\"mount\":[{\"target\":\"/x/\",\"type\":\"ramfs\"}]}", "mount[0]", "slash");
    refused("{\"mount\":[{\"target\":\"/x\",\"type\":\"hostfs\"}]}", "mount[0]", "source");
    refused("{\"mount\":[{\"target\":\"/x\",\"type\":\"ext2\"}]}", "mount[0]", "not supported");
    refused("{\"mount\":[{\"target\":\"/x\",\"type\":\"sefs\"}]}", "mount[0]",
            "needs a source");
    refused("{\"mount\":[{\"target\":\"/\",\"type\":\"hostfs\",\"source\":\"/\"}]}", "mount[0]",
            "root's type");
    refused("{\"mount\":[{\"target\":\"/x\",\"type\":\"ramfs\"},{\"target\":\"/x\",\"type\":"
            "\"ramfs\"}]}",
            "mount[1]", "twice");
    refused("{\"mount\":[{\"target\":\"/x\",\"type\":\"ramfs\",\"options\":{\"a\":1}}]}",
            "mount[0].options.a", "has none");
    refused("{\"mount\":[{\"target\":\"/x\",\"type\":\"ramfs\",\"option\":{}}]}",
            "mount[0].option", "unknown key");
    refused("{\"mount\":[{\"target\":\"/\",\"type\":\"unionfs\"}]}", "mount[0].options.layers",
            "two layers");
}

int main(void)
{
    check_original();
    check_empty();
    check_compiled();
    check_net();
    check_refusals();
    check_mount_refusals();
    return 0;
}
