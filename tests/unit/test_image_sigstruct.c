/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SIGSTRUCT: what is made verifies, and nothing that differs in a bit does.
 * With the production launch enclave's SIGSTRUCT as a vector (OCCLUM_VECTORS, or
 * ../shared/vectors) the same for a signature of somebody else's making.
 */
/* LINK: image/*.c cli/err.c cli/progress.c LIBS: -lcrypto -lpthread */
#include <string.h>
#include <unistd.h>

#include "image/image.h"
#include "tests/unit/unit.h"

static int verifies(const struct sgx_sigstruct *sig)
{
    struct err *err = sigstruct_verify(sig, "test");
    int ok = !err;

    err_free(err);
    return ok;
}

static void check_flips(const struct sgx_sigstruct *sig)
{
    struct sgx_sigstruct copy;

    for (size_t i = 0; i < sizeof(copy); i++) {
        copy = *sig;
        ((uint8_t *)&copy)[i] ^= (uint8_t)(1u << i % 8);
        if (verifies(&copy))
            fprintf(stderr, "a bit of byte %zu\n", i);
        CHECK(!verifies(&copy));
    }
}

static void check_own(void)
{
    struct sigstruct_input input = {
        .attributes = {SGX_ATTR_MODE64, SGX_XFRM_LEGACY},
        .attribute_mask = {~0ull, ~0ull},
        .miscselect = SGX_MISC_EXINFO,
        .miscmask = ~0u,
        .product_id = 7,
        .security_version = 9,
        .date = 0x20260101,
    };
    struct sgx_sigstruct sig;
    struct sign_key *key;
    uint8_t signer[32], again[32];

    memset(input.mrenclave, 0x5a, sizeof(input.mrenclave));
    CHECK(!sign_key_load(NULL, &key));
    CHECK(!sigstruct_make(&input, key, &sig));
    sign_key_free(key);
    CHECK(verifies(&sig));
    CHECK(!memcmp(sig.enclave_hash, input.mrenclave, 32));
    CHECK_EQ(sig.isv_prod_id, 7);
    CHECK_EQ(sig.isv_svn, 9);
    CHECK_EQ(sig.vendor, 0);
    sigstruct_mrsigner(&sig, signer);
    image_sha256(sig.modulus, 384, again);
    CHECK(!memcmp(signer, again, 32));
    check_flips(&sig);
}

static void check_vector(void)
{
    static const uint8_t signer[32] = {0xac, 0xb7, 0x70, 0x12, 0x05, 0x3e, 0x05, 0xa6,
                                       0x3d, 0x41, 0x3b, 0x8b, 0xba, 0xe8, 0xfb, 0x6c,
                                       0x5d, 0x73, 0xb3, 0xf2, 0x99, 0x6d, 0x91, 0xc4,
                                       0x3b, 0xbb, 0xf9, 0x09, 0x59, 0xc0, 0xf8, 0xd4};
    static const uint8_t hash[32] = {0x78, 0x81, 0xaf, 0x9f, 0x9d, 0xef, 0x54, 0x7d,
                                     0xa9, 0x90, 0x8c, 0x00, 0x8f, 0x29, 0xcd, 0xe9,
                                     0xbd, 0x78, 0x06, 0x4e, 0x36, 0xac, 0x7e, 0x14,
                                     0xc8, 0x3c, 0x29, 0x4c, 0xa4, 0x80, 0x61, 0x50};
    const char *dir = getenv("OCCLUM_VECTORS");
    char path[4096];
    struct sgx_sigstruct sig;
    uint8_t found[32];

    snprintf(path, sizeof(path), "%s/le_prod_css.bin", dir ? dir : "../shared/vectors");
    if (access(path, R_OK))
        SKIP("the rest passed; le_prod_css.bin is not in OCCLUM_VECTORS or ../shared/vectors");
    CHECK(!sigstruct_read(path, &sig));
    sigstruct_mrsigner(&sig, found);
    CHECK(!memcmp(found, signer, 32));
    CHECK(!memcmp(sig.enclave_hash, hash, 32));
    check_flips(&sig);
}

int main(void)
{
    check_own();
    check_vector();
    return 0;
}
