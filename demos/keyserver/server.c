/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keyserver MRENCLAVE KEYFILE [debug]: gives the image key to enclaves that are what they
 * should be, by local attestation: it runs in an enclave itself, on the same machine. Prints
 * its port.
 * Debug enclaves are refused, unless told otherwise. Serves until it is killed.
 */
#include "exchange.h"

#include <arpa/inet.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

static int hex(const char *text, uint8_t *out, size_t size, const char *separator)
{
    for (size_t i = 0; i < size; i++) {
        char two[3] = {text[0], text[0] ? text[1] : 0, 0};
        char *end;
        out[i] = (uint8_t)strtoul(two, &end, 16);
        if (end != two + 2)
            return -1;
        text += 2;
        text += *separator && *text == *separator;
    }
    return 0;
}

static const char *refusal(uint8_t *report, const uint8_t *public, const uint8_t *wanted,
                           int debug)
{
    uint8_t bound[32];

    digest(public, 32, bound);
    if (sgx(VERIFY_REPORT, report))
        return "no report of this machine for me";
    if (memcmp(report + REPORT_DATA, bound, 32))
        return "the report speaks of another key";
    if (memcmp(report + REPORT_ENCL, wanted, 32))
        return "another MRENCLAVE";
    if ((report[REPORT_FLAGS] & 2) && !debug)
        return "a debug enclave";
    return NULL;
}

static void serve(int fd, const uint8_t *wanted, uint8_t *key, int debug)
{
    uint8_t target[512], report[REPORT], public[32], session[32];
    struct answer a = {.refused = 1};

    if (sgx(SELF_TARGET, target) || put(fd, target, sizeof(target)) ||
        get(fd, report, sizeof(report)) || get(fd, public, sizeof(public)))
        return;
    const char *why = refusal(report, public, wanted, debug);
    EVP_PKEY *mine = new_key(a.public);
    RAND_bytes(a.nonce, sizeof(a.nonce));
    if (!why && mine && !agree(mine, public, public, a.public, session) &&
        !crypt_key(1, session, &a, key))
        a.refused = 0;
    printf("keyserver: %s\n", why ? why : a.refused ? "failed" : "key given");
    fflush(stdout);
    put(fd, &a, sizeof(a));
    EVP_PKEY_free(mine);
}

int main(int argc, char **argv)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    uint8_t wanted[32], key[16];
    char text[64] = "";
    FILE *f = argc > 2 ? fopen(argv[2], "r") : NULL;
    int s = socket(AF_INET, SOCK_STREAM, 0);

    signal(SIGPIPE, SIG_IGN);
    if (!f || !fgets(text, sizeof(text), f) || hex(text, key, 16, "-") ||
        hex(argv[1], wanted, 32, "")) {
        fprintf(stderr, "usage: keyserver MRENCLAVE KEYFILE [debug]\n");
        return 2;
    }
    if (s < 0 || bind(s, (struct sockaddr *)&at, size) || listen(s, 8) ||
        getsockname(s, (struct sockaddr *)&at, &size)) {
        perror("keyserver");
        return 1;
    }
    printf("keyserver: port %d\n", ntohs(at.sin_port));
    fflush(stdout);
    for (;;) {
        int fd = accept(s, NULL, NULL);
        if (fd < 0)
            continue;
        serve(fd, wanted, key, argc > 3);
        close(fd);
    }
}
