/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * occlum print: the identities of a built instance. occlum status: how far it got.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "image/file.h"

static struct err *print_main(int argc, char **argv, int *status)
{
    struct sgx_sigstruct sig;
    uint8_t value[32];

    if (argc != 2 || (strcmp(argv[1], "mrenclave") && strcmp(argv[1], "mrsigner")))
        return usage_error(&cmd_print, "mrenclave or mrsigner is wanted");
    struct err *err = instance_check_built();

    if (!err)
        err = sigstruct_read(INSTANCE_BUILD "/" BUILD_SIG, &sig);
    if (err)
        return err;
    if (!strcmp(argv[1], "mrsigner"))
        sigstruct_mrsigner(&sig, value);
    else
        memcpy(value, sig.enclave_hash, sizeof(value));
    for (size_t i = 0; i < sizeof(value); i++)
        printf("%02x", value[i]);
    printf("\n");
    *status = 0;
    return NULL;
}

static struct err *status_main(int argc, char **argv, int *status)
{
    struct file_map map;

    if (argc > 1)
        return usage_error(&cmd_status, "%s: no arguments are wanted", argv[1]);
    struct err *err = instance_check();

    if (!err)
        err = file_map(INSTANCE_STATUS, &map);
    if (err)
        return err;
    fwrite(map.bytes, 1, map.size, stdout);
    file_unmap(&map);
    *status = 0;
    return NULL;
}

const struct command cmd_print = {
    .name = "print",
    .arguments = "mrenclave|mrsigner",
    .summary = "print the identity of a built instance, or of its signer",
    .help = "64 hexadecimal digits. A remote party compares them with what a quote says.\n",
    .failure = STATUS_FAILED,
    .run = print_main,
};

const struct command cmd_status = {
    .name = "status",
    .arguments = "",
    .summary = "print how far the instance got: initialized, built",
    .help = "",
    .failure = STATUS_FAILED,
    .run = status_main,
};
