/* SPDX-License-Identifier: BSD-3-Clause */
#include "fs/core/image_key.h"

#include "abi/errno.h"
#include "enclave/boot.h"
#include "lib/log.h"
#include "lib/string.h"

static struct {
    uint8_t bytes[IMAGE_KEY_MAX];
    size_t size;
} given;

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int key_parse(const char *text, uint8_t *out, size_t max)
{
    size_t n = 0;
    while (*text) {
        int high = digit(text[0]), low = high < 0 ? -1 : digit(text[1]);
        if (low < 0 || n == max)
            return -EINVAL;
        out[n++] = (uint8_t)(high << 4 | low);
        text += 2;
        if (*text == '-' && text[1])
            text++;
    }
    return (int)n;
}

void image_key_set(const uint8_t *key, size_t size)
{
    assert(size == 16 || size == 32);
    memcpy(given.bytes, key, size);
    given.size = size;
}

int image_key_get(uint8_t key[IMAGE_KEY_MAX])
{
    const char *text = boot_variable("OCCLUM_IMAGE_KEY");
    if (given.size) {
        memcpy(key, given.bytes, given.size);
        return (int)given.size;
    }
    if (!text)
        return -ENOKEY;
    int n = key_parse(text, key, IMAGE_KEY_MAX);
    return n == 16 || n == 32 ? n : -EINVAL;
}
