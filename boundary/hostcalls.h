/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control calls: everything that the rings cannot express. One call at a time per vCPU, in
 * its struct vcpu_shared. Pointers are host addresses, into the bounce pool. Results: >= 0, or
 * a negative errno; the enclave accepts only -1..-4095 as errors and bounds every positive
 * value by what was asked.
 */
#pragma once

#include <stdint.h>

#include "boundary/ring.h"

/*
 *  X(name, "arguments and result", "what a hostile answer could do")
 */
#define HOSTCALLS(X) \
    X(EXIT, \
      "status: wait(2) status of the first program, or a kernel stop; never " \
      "returns", \
      "let us run on: the enclave loops on EXIT for ever") \
    X(WAIT, \
      "timeout_ns (UINT64_MAX: none), min_complete, gather_ns: submit the ring, wait for " \
      "completions, a kick or the timeout, after gather_ns for one completion only; if it " \
      "may have slept, the thread's CPU time in ns", \
      "return early or late: callers recheck their condition and the clock; for the time see " \
      "CPU_TIME") \
    X(KICK, "vcpu: make its WAIT return, or its next one return at once", \
      "not wake: delay only") \
    X(INTERRUPT, "vcpu: cause an AEX and a tick on it", \
      "not interrupt: delay only") \
    X(TIMER, \
      "deadline_ns on the host's CLOCK_MONOTONIC (0: disarm): cause a tick on " \
      "this vCPU", \
      "tick early, late or never: delay only") \
    X(START_VCPU, "vcpu: EENTER it with ENTER_VCPU on a thread of its own", \
      "not start: fewer CPUs") \
    X(LOG, "address, length: write a message to standard error", \
      "drop it; log is never secret") \
    X(CLOCK, "address of struct host_clock", \
      "lie: checked against the TSC, never backwards") \
    X(AUG, "offset, pages: make pages ready for EACCEPT (EAUG)", \
      "not do it: EACCEPT faults, stop") \
    X(RESTRICT, "offset, pages, perms: EMODPR and the page tables", \
      "not do it: EACCEPT reports it") \
    X(EXTEND, "offset, pages, perms: page tables after EMODPE", \
      "not do it: the access faults") \
    X(TRIM, "offset, pages: EMODT to PT_TRIM", \
      "not do it: EACCEPT reports it") \
    X(REMOVE, "offset, pages: EREMOVE trimmed pages", \
      "keep them: unusable, harmless") \
    X(OPENAT, "dirfd, path, flags, mode, resolve: openat2(2)", \
      "any fd number, or another file: untrusted anyway") \
    X(CLOSE, "fd", \
      "nothing") \
    X(STATX, "dirfd, path, flags, mask, struct statx: statx(2)", \
      "any metadata: validated field by field") \
    X(GETDENTS, "fd, address, length: getdents64(2)", \
      "malformed records: parsed from a copy, bounded") \
    X(READLINK, "dirfd, path, address, length", \
      "any bytes up to length") \
    X(MKDIR, "dirfd, path, mode", \
      "nothing") \
    X(UNLINK, "dirfd, path, flags", \
      "nothing") \
    X(RENAME, "dirfd, path, dirfd, path, flags", \
      "nothing") \
    X(LINK, "dirfd, path, dirfd, path, flags", \
      "nothing") \
    X(SYMLINK, "target, dirfd, path", \
      "nothing") \
    X(MKNOD, "dirfd, path, mode, dev", \
      "nothing") \
    X(TRUNCATE, "fd, length: ftruncate(2)", \
      "nothing") \
    X(FALLOCATE, "fd, mode, offset, length", \
      "nothing") \
    X(SEEK, "fd, offset, whence: lseek(2) for devices, SEEK_DATA and SEEK_HOLE", \
      "any offset: bounded") \
    X(CHMOD, "fd, mode: fchmod(2), also for O_PATH", \
      "nothing") \
    X(CHOWN, "fd, uid, gid: fchown(2), also for O_PATH", \
      "nothing") \
    X(UTIMENS, "dirfd, path, struct timespec[2], flags", \
      "nothing") \
    X(STATFS, "fd, struct statfs: fstatfs(2)", \
      "any figures: informative") \
    X(GETXATTR, "fd, name, address, length", \
      "any bytes up to length") \
    X(LISTXATTR, "fd, address, length", \
      "any bytes up to length, parsed from a copy") \
    X(SETXATTR, "fd, name, address (0: remove it), length, flags", \
      "nothing") \
    X(FLOCK, "fd, operation (LOCK_NB always set)", \
      "grant or refuse wrongly: untrusted files") \
    X(IOCTL, "fd, request, address, length: terminals only (TCGETS.., TIOCGWINSZ..); with " \
      "length 0 the address is a number", \
      "any bytes up to length") \
    X(PREAD, "fd, address, length, offset: what is in the host's memory, else -EAGAIN", \
      "any bytes up to length: for data that is verified") \
    X(PWRITE, "fd, address, length, offset: write to a file", \
      "write nothing, or something else: for data that is verified") \
    X(FLUSH, "fd: fdatasync(2)", \
      "not do it, or say so: what a lost flush leaves is found at the next opening") \
    X(FORGET, "address, length: of an image; what was read of it need not stay in memory", \
      "nothing: what it shows later is verified as well") \
    X(SOCKET, "domain, type, protocol: socket(2), close-on-exec", \
      "any fd number, or a file that is no socket: its data is untrusted anyway") \
    X(BIND, "fd, address, length", \
      "nothing") \
    X(LISTEN, "fd, backlog", \
      "nothing") \
    X(CONNECT, "fd, address, length: where it does not wait", \
      "nothing") \
    X(SOCKNAME, "fd, peer (0 or 1), address, room: the name's length", \
      "any bytes and length: bounded by the room, the family compared") \
    X(GETSOCKOPT, "fd, level, name, address, room: the value's length", \
      "any bytes up to the room") \
    X(SETSOCKOPT, "fd, level, name, address, length", \
      "nothing") \
    X(SENDMSG, "fd, struct msghdr, flags: sendmsg(2) that does not wait", \
      "any count: bounded by what was given") \
    X(IFCONF, "fd, address, room: SIOCGIFCONF, the length", \
      "any bytes and length: bounded by the room") \
    X(CPU_TIME, "the vCPU's thread's CPU time in ns", \
      "lie: CPU times are wrong, within what the TSC says") \
    X(REPLY, "id, enum control_reply, value, address, length: the answer to a request", \
      "drop it") \
    X(MAPPED, \
      "path, address, offset in the file: a program mapped that to execute it; only where " \
      "BOOT_MAPS was asked for and the enclave is debuggable", \
      "nothing")

enum hostcall_nr {
#define X(name, args, hostile) HOSTCALL_##name,
    HOSTCALLS(X)
#undef X
    HOSTCALL_COUNT
};

struct hostcall {
    uint32_t nr;
    uint32_t pad;
    int64_t result;
    uint64_t arg[6];
};

struct host_clock {
    uint64_t tsc;
    uint64_t monotonic_ns;
    uint64_t realtime_ns;
};

/* One page or more a vCPU, page aligned, zeroed by the host before the first entry. */
struct vcpu_shared {
    struct hostcall call;
    struct ring_map ring;
    uint32_t timer_fired; /* how often TIMER's did: a hint, a lie delays ticks */
    uint32_t pad;
    uint64_t reserved[15];
};

#define VCPU_SHARED_STRIDE 4096u
