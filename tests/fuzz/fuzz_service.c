/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as what comes over a service's socket, as a request to start a program, and as
 * what is typed at a terminal: nothing is read, or pointed to, outside.
 * LINK: host/ctl.c kernel/service/parse.c kernel/tty/ldisc.c tests/unit/service_fake.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host/ctl.h"
#include "service/service.h"
#include "tty/ldisc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(const char *text, const char *bytes, size_t size)
{
    if (text < bytes || text + strlen(text) > bytes + size)
        abort();
}

static void request(const uint8_t *data, size_t size)
{
    char *bytes = calloc(1, size + 8); /* as control_payload() makes it */
    struct service_exec e;
    memcpy(bytes, data, size);
    if (service_parse_exec(bytes, size, &e) == 0) {
        inside(e.program, bytes, size);
        inside(e.directory, bytes, size);
        for (size_t i = 0; e.argv[i]; i++)
            inside(e.argv[i], bytes, size);
        for (size_t i = 0; e.envp[i]; i++)
            inside(e.envp[i], bytes, size);
        service_parse_free(&e);
    } else if (e.argv || e.envp) {
        abort();
    }
    free(bytes);
}

static void frames(const uint8_t *data, size_t size)
{
    struct ctl_head head;
    size_t used;
    while (ctl_parse(data, size, &head, &used) == 1) {
        if (used > size || used < sizeof(head) || head.size != used - sizeof(head))
            abort();
        data += used;
        size -= used;
    }
}

static void ignore(struct ldisc *d, int sig)
{
    if (sig <= 0 || d->tail > d->head)
        abort();
}

/* Modes from the first bytes; then typing, writing and reading in turns. */
static void terminal(const uint8_t *data, size_t size)
{
    static struct ldisc d;
    struct abi_termios2 t;
    uint8_t out[300];
    size_t n;
    ldisc_init(&d);
    d.signal = ignore;
    t = d.termios;
    if (size < 20)
        return;
    memcpy(&t, data, 16);
    memcpy(t.cc, data + 1, TTY_CC_COUNT);
    ldisc_set_termios(&d, &t);
    for (size_t at = 20; at < size; at += 64) {
        size_t part = size - at < 64 ? size - at : 64;
        if (ldisc_input(&d, data + at, part) > part || ldisc_output(&d, data + at, part) > part)
            abort();
        if (data[at] & 1)
            ldisc_take(&d, out, data[at], &n);
        if (data[at] & 2)
            ldisc_take_output(&d, out, sizeof(out));
        if (data[at] & 4) {
            t.lflag ^= data[at];
            ldisc_set_termios(&d, &t);
        }
        if (d.canon - d.tail > LDISC_IN || d.head - d.tail > LDISC_IN ||
            d.head - d.canon > LDISC_IN || d.out_head - d.out_tail > LDISC_OUT)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    request(data, size);
    frames(data, size);
    terminal(data, size);
    return 0;
}
