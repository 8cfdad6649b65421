/* SPDX-License-Identifier: BSD-3-Clause */
/* Names and control bytes of the host; see answer.h. */
#include "net/answer.h"

#include "lib/string.h"

uint32_t answer_name_size(uint32_t family)
{
    return family == AF_INET ? 16 : family == AF_INET6 ? 28 : 12;
}

bool answer_name(uint32_t family, const void *bytes, uint32_t size, struct sock_name *out)
{
    uint32_t whole = answer_name_size(family);
    memset(out, 0, sizeof(*out));
    if (size < whole || size > SOCK_NAME_MAX)
        return false;
    memcpy(out->bytes, bytes, whole);
    out->size = out->family == family ? whole : 0;
    return out->size;
}

static bool only_tells(const struct abi_cmsghdr *h)
{
    static const uint8_t of_sockets[] = {SO_PRIORITY, SO_TIMESTAMP, SO_TIMESTAMPNS,
                                         SO_MARK,     SO_RXQ_OVFL,  37,  /* SO_TIMESTAMPING */
                                         63,          64,           65}; /* the same, NEW */
    if (h->level != SOL_SOCKET)
        return h->level == SOL_IP || h->level == SOL_IPV6 || h->level == SOL_TCP ||
               h->level == SOL_UDP || h->level == SOL_NETLINK;
    for (size_t i = 0; i < ARRAY_SIZE(of_sockets); i++) {
        if (of_sockets[i] == h->type)
            return true;
    }
    return false;
}

uint32_t answer_control(const uint8_t *bytes, uint32_t size)
{
    uint32_t at = 0;
    while (size - at >= sizeof(struct abi_cmsghdr)) {
        struct abi_cmsghdr h;
        memcpy(&h, bytes + at, sizeof(h));
        if (h.size < sizeof(h) || h.size > size - at || !only_tells(&h))
            break;
        at += (uint32_t)MIN(align_up(h.size, 8), (uint64_t)(size - at));
    }
    return at;
}
