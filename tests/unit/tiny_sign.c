/* SPDX-License-Identifier: BSD-3-Clause */
/* Signs the plans of tests with the development key; CMAC from libcrypto as the oracle. */
#include "tests/unit/tiny_sign.h"

#include <openssl/evp.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "image/image.h"
#include "tests/unit/unit.h"

static void ok(struct err *e)
{
    CHECK(e == NULL);
}

void tiny_sign(const struct page_plan *plan, struct sgx_sigstruct *sig)
{
    struct sigstruct_input in = {
        .attributes = {SGX_ATTR_MODE64, 3},
        .attribute_mask = {~SGX_ATTR_DEBUG, 3},
        .miscselect = 1,
        .miscmask = ~0u,
        .product_id = 1,
        .security_version = 1,
        .date = 0x20260101,
    };
    struct sign_key *key;

    ok(plan_measure(plan, in.mrenclave));
    ok(sign_key_load(NULL, &key));
    ok(sigstruct_make(&in, key, sig));
    sign_key_free(key);
}

void tiny_cmac(const uint8_t key[16], const void *data, size_t bytes, uint8_t out[16])
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "CMAC", NULL);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("cipher", (char *)"AES-128-CBC", 0),
                           OSSL_PARAM_construct_end()};
    size_t n = 16;

    CHECK(EVP_MAC_init(ctx, key, 16, params) && EVP_MAC_update(ctx, data, bytes) &&
          EVP_MAC_final(ctx, out, &n, 16));
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
}
