/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as ancillary data and names: of a program that sends, of a host that answers, and
 * on their way to a program whose buffer is too small. No reference and no memory stays.
 * LINK: kernel/net/control.c kernel/net/answer.c tests/unit/net_fake.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/answer.h"
#include "net/control.h"
#include "tests/unit/net_fake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void deliver(struct socket *s, struct scm *scm, uint8_t room, bool faults)
{
    uint8_t *buffer = malloc(room + 1u);
    uint64_t used = room;
    uint32_t flags = 0;
    fake_user_at = 0x1000;
    fake_user_size = room;
    fake_user = faults ? NULL : buffer;
    fake_free_fds = room % 5;
    int r = control_deliver(s, scm, fake_user_at, &used, &flags, false);
    if (used > room || fake_reserved)
        abort();
    if (r == 0 && !faults && used == 0 && scm->file_count && !(flags & MSG_CTRUNC))
        abort();
    free(buffer);
}

static void program(uint8_t how, uint8_t room, const uint8_t *data, size_t size)
{
    static const uint16_t families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
    struct socket s = {.family = families[how % 4], .pass_cred = how & 16};
    struct scm scm = {0};
    uint8_t *copy = malloc(size + 1); /* what is read behind the end is seen */
    memcpy(copy, data, size);
    int r = control_parse(&s, copy, size, &scm);
    free(copy);
    if (r < 0 && (scm.files || scm.raw || scm.file_count || scm.has_cred))
        abort();
    if (scm.file_count > SCM_MAX_FD || (s.family != AF_UNIX && scm.files))
        abort();
    if (r == 0)
        deliver(&s, &scm, room, how & 32);
    scm_free(&scm);
}

static void host(uint8_t how, uint8_t room, const uint8_t *data, size_t size)
{
    static const uint16_t families[] = {AF_INET, AF_INET6, AF_NETLINK, AF_INET};
    struct socket s = {.family = families[how % 4]};
    struct sock_name name;
    uint8_t *copy = malloc(size + 1);
    memcpy(copy, data, size);
    if (answer_name(s.family, copy, (uint32_t)size, &name) !=
        (name.size && name.family == s.family))
        abort();
    if (name.size > SOCK_NAME_MAX || (name.size && name.size > size))
        abort();
    uint32_t taken = answer_control(copy, (uint32_t)size);
    if (taken > size)
        abort();
    struct scm scm = {.raw = copy, .raw_size = taken};
    deliver(&s, &scm, room, how & 32);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    long blocks = fake_blocks, refs = fake_file_refs;
    if (size < 2)
        return 0;
    net_fake_init();
    if (data[0] & 64)
        host(data[0], data[1], data + 2, size - 2);
    else
        program(data[0], data[1], data + 2, size - 2);
    if (fake_blocks != blocks || fake_file_refs != refs)
        abort();
    return 0;
}
