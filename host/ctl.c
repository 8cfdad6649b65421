/* SPDX-License-Identifier: BSD-3-Clause */
/* The frames of a service's socket. */
#include "host/ctl.h"

#include <errno.h>
#include <string.h>

int ctl_parse(const void *bytes, size_t size, struct ctl_head *head, size_t *used)
{
    if (size < sizeof(*head))
        return 0;
    memcpy(head, bytes, sizeof(*head));
    if (head->magic != CTL_MAGIC || head->size > CTL_SIZE_MAX)
        return -EPROTO;
    if (size - sizeof(*head) < head->size)
        return 0;
    *used = sizeof(*head) + head->size;
    return 1;
}
