/* SPDX-License-Identifier: BSD-3-Clause */
/* occlum print: the identities of a built instance. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/root_store.h"
#include "image/file.h"
#include "image/sefs/tools.h"

static void print_hex(const uint8_t *value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        printf("%02x", value[i]);
    printf("\n");
}

/* The newest root of a store, for the mount option root= later: no older state then opens. */
static struct err *print_root(const char *path, int *status)
{
    uint8_t id[32];
    int r = store_tool_newest(path, id);

    if (r < 0)
        return err_sys(-r, "%s: cannot be read", path);
    print_hex(id, sizeof(id));
    *status = 0;
    return NULL;
}

/* The same for what the built instance keeps of its root. */
static struct err *print_own_root(int *status)
{
    char *path;
    struct err *err = instance_check_built();

    if (!err)
        err = root_store_built(&path);
    if (err)
        return err;
    if (!path)
        return err_new("what is written to this instance's root is not kept in a store");
    err = root_store_exists(path) ? print_root(path, status)
                                  : err_new("%s: nothing has been stored yet", path);
    free(path);
    return err;
}

static struct err *print_main(int argc, char **argv, int *status)
{
    struct sgx_sigstruct sig;
    uint8_t value[32];

    if (argc == 3 && !strcmp(argv[1], "root"))
        return print_root(argv[2], status);
    if (argc == 2 && !strcmp(argv[1], "root"))
        return print_own_root(status);
    if (argc != 2 || (strcmp(argv[1], "mrenclave") && strcmp(argv[1], "mrsigner")))
        return usage_error(&cmd_print, "mrenclave, mrsigner or root is wanted");
    struct err *err = instance_check_built();

    if (!err)
        err = sigstruct_read(INSTANCE_BUILD "/" BUILD_SIG, &sig);
    if (err)
        return err;
    if (!strcmp(argv[1], "mrsigner"))
        sigstruct_mrsigner(&sig, value);
    else
        memcpy(value, sig.enclave_hash, sizeof(value));
    print_hex(value, sizeof(value));
    *status = 0;
    return NULL;
}

const struct command cmd_print = {
    .name = "print",
    .arguments = "mrenclave|mrsigner|root [STORE]",
    .summary = "print the identity of a built instance, of its signer, or of a store's state",
    .help =
        "64 hexadecimal digits. A remote party compares them with what a quote says. Those of\n"
        "a store, by itself the one that keeps what was written to the root, name its state:\n"
        "given to `occlum run --require-root`, or as the option root= of a mount, they let no\n"
        "other state open.\n",
    .failure = STATUS_FAILED,
    .run = print_main,
};
