/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a fuzz target over the files named as arguments, and over the empty input: the corpus as
 * an ordinary test, without a fuzzer. Not here: anything that looks at results; a target that
 * finds something wrong aborts.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return 1;
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    /* An exact allocation, so that a read past the end is seen. */
    uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
    int bad = !data || size < 0 || fread(data, 1, (size_t)size, file) != (size_t)size;
    fclose(file);
    if (!bad) {
        fprintf(stderr, "%s\n", path);
        LLVMFuzzerTestOneInput(data, (size_t)size);
    }
    free(data);
    return bad;
}

int main(int argc, char **argv)
{
    uint8_t *nothing = malloc(1);
    int bad = argc < 2;
    LLVMFuzzerTestOneInput(nothing, 0);
    free(nothing);
    for (int i = 1; i < argc; i++)
        bad |= replay(argv[i]);
    if (argc < 2)
        fprintf(stderr, "no corpus\n");
    return bad;
}
