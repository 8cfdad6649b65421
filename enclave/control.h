/* SPDX-License-Identifier: BSD-3-Clause */
/* The page through which the host asks (boundary/control.h): copying and bounds. */
#pragma once

#include "boundary/control.h"
#include "lib/types.h"

/* At boot: the page as the host says it; 0: there is none. Panics when it is out of range. */
void control_init(haddr_t page);
/* Is there something to take? Cheap. */
bool control_pending(void);
/* Set by the taker; called on any vCPU whenever something is pending. Must not sleep. */
extern void (*control_hook)(void);
static inline void control_poll(void)
{
    if (unlikely(control_hook && control_pending()))
        control_hook();
}
/* Signals that came, only those of CONTROL_SIGNALS; they are taken. */
uint64_t control_take_signals(void);
/* The next request; false: none. */
bool control_next(struct control_request *out);
/* The payload in memory of ours, to be freed, with a NUL behind it; -EINVAL, -E2BIG, -ENOMEM.
 */
int control_payload(const struct control_request *r, char **out) MUST_CHECK;
/* The request's slot may be used again; after the payload was copied. */
void control_done(void);
/* At most CONTROL_REPLY_MAX bytes of text; NULL: none. */
void control_reply(uint32_t id, enum control_reply what, int64_t value, const char *text,
                   size_t size);
