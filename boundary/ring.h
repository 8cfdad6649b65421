/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A ring pair in host memory with io_uring's layout (io_uring(7)): the host kernel's own, or an
 * ordinary allocation served by the interpreter in host/ with plain system calls. The enclave
 * writes submissions and reads completions; it keeps its own copies of every index and of what
 * is in flight, and takes nothing from here but a completion's user_data and res, once each.
 *
 * A hostile host can lose, delay, repeat or invent completions and lie in res. The enclave
 * matches user_data against requests in flight (index and generation) and bounds res by what
 * was asked.
 */
#pragma once

#include <stdint.h>

#define RING_ENTRIES 256u /* power of two; submission entries */
#define RING_COMPLETIONS                                                                       \
    4096u /* entries; what finds no room comes later, in the kernel as in the interpreter */

/* Host addresses of the parts of one ring pair. */
struct ring_map {
    uint64_t sq_head, sq_tail, sq_mask, sq_array,
        sq_flags;                       /* uint32_t each; sq_array[entries] */
    uint64_t sqes;                      /* struct ring_sqe [entries] */
    uint64_t cq_head, cq_tail, cq_mask; /* uint32_t each */
    uint64_t cqes;                      /* struct ring_cqe [cq_entries] */
    uint32_t sq_entries, cq_entries;
    uint32_t features; /* RING_FEATURE_* */
    uint32_t pad;
};

#define RING_SQ_TASKRUN 4u /* in sq_flags: completions will be made when the host is asked */

#define RING_FEATURE_KERNEL 1u /* the host kernel's io_uring; else the interpreter */
#define RING_FEATURE_SQPOLL 2u /* a polling thread takes submissions without a call */

/* The same 64 and 16 bytes as struct io_uring_sqe and io_uring_cqe. */
struct ring_sqe {
    uint8_t opcode, flags;
    uint16_t ioprio;
    int32_t fd;
    uint64_t off;
    uint64_t addr;
    uint32_t len;
    uint32_t op_flags;
    uint64_t user_data;
    uint16_t buf_index, personality;
    int32_t splice_fd_in;
    uint64_t addr3, pad;
};

struct ring_cqe {
    uint64_t user_data;
    int32_t res;
    uint32_t flags;
};

/* The operations in use, with io_uring's numbers. */
enum ring_op {
    RING_OP_NOP = 0,
    RING_OP_READV = 1,
    RING_OP_WRITEV = 2,
    RING_OP_FSYNC = 3,
    RING_OP_POLL_ADD = 6,
    RING_OP_SYNC_FILE_RANGE = 8,
    RING_OP_RECVMSG = 10,
    RING_OP_TIMEOUT = 11,
    RING_OP_ACCEPT = 13,
    RING_OP_ASYNC_CANCEL = 14,
    RING_OP_CONNECT = 16,
    RING_OP_CLOSE = 19,
    RING_OP_READ = 22,
    RING_OP_WRITE = 23,
    RING_OP_SEND = 26,
    RING_OP_RECV = 27,
    RING_OP_SHUTDOWN = 34,
};
