/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Occlum.json, and the measured form: what is accepted must compile and read back.
 * The first byte chooses: 'B' a measured blob, else JSON.
 */
/* LINK: image/*.c cli/err.c cli/progress.c cli/config.c cli/config_mount.c cli/json.c
 * LIBS: -lcrypto -ljansson -lpthread */
#include <stdlib.h>
#include <string.h>

#include "cli/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count_records(const uint8_t *bytes, const struct enclave_config *header)
{
    struct config_view view;
    size_t cursor = 0;
    uint32_t count = 0;

    while (config_next(bytes, &cursor, &view))
        count++;
    if (count != header->record_count)
        abort();
}

static void fuzz_json(const uint8_t *data, size_t size)
{
    static const struct verity_tree root = {.data_blocks = 1, .hash_offset = 4096};
    struct instance_config config;
    struct config_blob blob = {0};
    struct enclave_config header;
    struct sigstruct_input input;
    struct err *err = config_parse((const char *)data, size, "fuzz", &config);

    if (!err) {
        config_signature(&config, &input);
        err = config_compile(&config, 0, &root, &blob);
        if (!err && config_check(blob.bytes, blob.used, "fuzz", &header))
            abort();
        if (!err)
            count_records(blob.bytes, &header);
    }
    err_free(err);
    config_blob_free(&blob);
    config_free(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct enclave_config header;
    struct err *err;

    if (size == 0 || data[0] != 'B') {
        fuzz_json(data, size);
        return 0;
    }
    err = config_check(data + 1, size - 1, "fuzz", &header);
    if (!err)
        count_records(data + 1, &header);
    err_free(err);
    return 0;
}
