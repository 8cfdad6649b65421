/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /bin/init of an instance whose image is encrypted: asks the key server at KEY_SERVER
 * (HOST:PORT, from whoever starts the instance) for the image key, showing it a report, and
 * mounts the root file system under that key. A wrong server can only make that fail.
 */
#include "exchange.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define SYS_MOUNT_ROOT_FS 363

static int fail(const char *what)
{
    fprintf(stderr, "init: %s\n", what);
    return 1;
}

static int connect_to(const char *where)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    const char *colon = where ? strchr(where, ':') : NULL;
    char host[64];
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (!colon || snprintf(host, sizeof(host), "%.*s", (int)(colon - where), where) > 63 ||
        inet_pton(AF_INET, host, &at.sin_addr) != 1)
        return -1;
    at.sin_port = htons((uint16_t)atoi(colon + 1));
    return connect(s, (struct sockaddr *)&at, sizeof(at)) ? -1 : s;
}

static int make_report(uint8_t *target, const uint8_t *public, uint8_t *report)
{
    uint8_t data[64] = {0};
    struct {
        void *target, *data, *report;
    } request = {target, data, report};

    digest(public, 32, data);
    return sgx(CREATE_REPORT, &request);
}

int main(void)
{
    uint8_t target[512], report[REPORT], public[32], session[32], key[16];
    struct answer a;
    int s = connect_to(getenv("KEY_SERVER"));

    if (s < 0)
        return fail("KEY_SERVER=HOST:PORT names no key server that answers");
    EVP_PKEY *mine = new_key(public);
    if (!mine || get(s, target, sizeof(target)) || make_report(target, public, report))
        return fail("no report can be made for the key server");
    if (put(s, report, sizeof(report)) || put(s, public, sizeof(public)) ||
        get(s, &a, sizeof(a)))
        return fail("the key server has gone away");
    if (a.refused)
        return fail("the key server refuses this enclave");
    if (agree(mine, a.public, public, a.public, session) || crypt_key(0, session, &a, key))
        return fail("the key server's answer cannot be opened");
    if (syscall(SYS_MOUNT_ROOT_FS, key, NULL))
        return fail("the root file system cannot be mounted with this key");
    OPENSSL_cleanse(key, sizeof(key));
    printf("init: the key server gave the image key\n");
    return 0;
}
