/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as the host's name files: the first byte chooses the kind. What is taken has no
 * bytes but printable ones.
 * LINK: kernel/net/names_check.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    char *text = malloc(size); /* exactly as large as said: reading behind it is seen */
    memcpy(text, data + 1, size - 1);
    if (names_valid(data[0] % 3, text, size - 1)) {
        for (size_t i = 0; i + 1 < size; i++) {
            if ((unsigned char)text[i] > '~')
                abort();
        }
    }
    free(text);
    return 0;
}
