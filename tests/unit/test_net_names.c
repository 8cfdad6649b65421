/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is taken of the host's name files, and what is not.
 * LINK: kernel/net/names_check.c
 */
#include <string.h>

#include "net/names.h"
#include "tests/unit/unit.h"

static bool ok(enum names_kind kind, const char *text)
{
    return names_valid(kind, text, strlen(text));
}

int main(void)
{
    CHECK(ok(NAMES_RESOLV, "# made by hand\nnameserver 192.168.1.1\nnameserver fe80::1%eth0\n"
                           "search example.org a-b.example.\noptions ndots:2 edns0\n; end"));
    CHECK(ok(NAMES_RESOLV, "search .\n\n   \nnameserver\t::1 # local"));
    CHECK(!ok(NAMES_RESOLV, "nameserver"));
    CHECK(!ok(NAMES_RESOLV, "nameserver 1.2.3"));
    CHECK(!ok(NAMES_RESOLV, "nameserver 1.2.3.256"));
    CHECK(!ok(NAMES_RESOLV, "nameserver 1.2.3.4 5.6.7.8"));
    CHECK(!ok(NAMES_RESOLV, "nameserver 1..2.3"));
    CHECK(!ok(NAMES_RESOLV, "script /bin/sh"));
    CHECK(!ok(NAMES_RESOLV, "options `reboot`"));
    CHECK(!ok(NAMES_RESOLV, "nameserver 1.2.3.4\r\n"));
    CHECK(!ok(NAMES_RESOLV, ""));
    CHECK(!names_valid(NAMES_RESOLV, "nameserver 1.2.3.4\0", 19));
    CHECK(ok(NAMES_HOSTS, "127.0.0.1 localhost\n::1\tip6-localhost ip6-loopback # comment\n"
                          "fe00::0 ip6_net\n"));
    CHECK(!ok(NAMES_HOSTS, "127.0.0.1"));
    CHECK(!ok(NAMES_HOSTS, "localhost 127.0.0.1"));
    CHECK(!ok(NAMES_HOSTS, "127.0.0.1 bad..name"));
    CHECK(!ok(NAMES_HOSTS, "127.0.0.1 -bad"));
    CHECK(!ok(NAMES_HOSTS, "12345::1 name"));
    CHECK(!ok(NAMES_HOSTS, ":1 name"));
    CHECK(ok(NAMES_HOSTNAME, "machine-7.example.org\n"));
    CHECK(!ok(NAMES_HOSTNAME, "two words\n"));
    CHECK(!ok(NAMES_HOSTNAME, "bad-\n"));
    CHECK(!ok(NAMES_HOSTNAME,
              "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.org\n"));
    return 0;
}
