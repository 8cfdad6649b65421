/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The files that `occlum run` and `occlum build` open: SGXS, ENCLU sites, SIGSTRUCT, and the
 * kernel's ELF file. The first byte chooses. A stream that is accepted must measure to its own
 * SHA-256.
 */
/* LINK: image/*.c cli/err.c cli/progress.c LIBS: -lcrypto -lpthread */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "boundary/layout.h"
#include "image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_sgxs(const char *path)
{
    struct page_plan plan;
    uint8_t read[32], measured[32];
    struct err *err = sgxs_read(path, &plan, read);

    if (!err) {
        if (plan_measure(&plan, measured) || memcmp(read, measured, 32))
            abort();
        plan_free(&plan);
    }
    err_free(err);
}

static void try_sites(const char *path)
{
    static const uint8_t mrenclave[32];
    struct page_plan plan = {0};

    err_free(sites_read(path, mrenclave, &plan));
    free(plan.enclu_sites);
}

static void try_kernel(const char *path)
{
    static const uint8_t config[16];
    struct page_plan plan;
    struct plan_input input = {.kernel = path,
                               .config = config,
                               .config_bytes = sizeof(config),
                               .size = LAYOUT_MIN_SIZE,
                               .tcs_count = 1};
    struct err *err = plan_build(&input, &plan);

    if (!err)
        plan_free(&plan);
    err_free(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sgx_sigstruct sig;
    char path[32];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    if (fd < 0 || size == 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1)) {
        close(fd);
        return 0;
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (data[0] == 'S')
        try_sgxs(path);
    else if (data[0] == 'E')
        try_sites(path);
    else if (data[0] == 'G')
        err_free(sigstruct_read(path, &sig));
    else
        try_kernel(path);
    close(fd);
    return 0;
}
