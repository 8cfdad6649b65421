/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ancillary data (cmsg(3)) between its form in programs' memory and struct scm. The parser
 * works on a copy in kernel memory.
 */
#pragma once

#include "net/socket.h"

#define CONTROL_MAX 20480u /* bytes, as /proc/sys/net/core/optmem_max */

/* What goes out. UNIX: descriptors and credentials; other families: checked raw bytes.
 * -EINVAL, -EBADF, -EPERM, -ENOMEM; *out is then empty. */
int control_parse(const struct socket *s, const uint8_t *bytes, size_t size,
                  struct scm *out) MUST_CHECK;
/* What came in, into the program's buffer of *size bytes; *size is what was used. New
 * descriptors exist only if all is well. *flags gets MSG_CTRUNC. */
int control_deliver(const struct socket *s, struct scm *scm, uaddr_t buffer, uint64_t *size,
                    uint32_t *flags, bool cloexec) MUST_CHECK;
