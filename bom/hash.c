/* SPDX-License-Identifier: BSD-3-Clause */
#include "bom/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>

#include "bom/bom.h"

struct err *file_hash(const char *path, char text[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE], buffer[65536];
    unsigned length = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return err_with_status(err_sys(errno, "%s", path), BOM_NO_FILE);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
    size_t got;
    while (good && (got = fread(buffer, 1, sizeof(buffer), file)) > 0)
        good = EVP_DigestUpdate(ctx, buffer, got);
    good = good && !ferror(file) && EVP_DigestFinal_ex(ctx, digest, &length) && length == 32;
    EVP_MD_CTX_free(ctx);
    fclose(file);
    if (!good)
        return err_with_status(err_new("%s: cannot be read", path), BOM_COPY_FILE);
    for (unsigned i = 0; i < length; i++)
        snprintf(text + 2 * i, 3, "%02X", digest[i]);
    return NULL;
}
