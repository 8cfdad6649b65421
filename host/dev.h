/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A machine that holds one enclave: the in-kernel SGX driver (dev_hw.c) or the architecture in
 * software (emu/). Both take the same page plan and give the same MRENCLAVE.
 * Offsets are relative to the enclave's base; every call returns 0 or a negative errno.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "boundary/sgx.h"
#include "host/error.h"
#include "image/plan.h"

struct dev_secs {
    uint64_t size; /* power of two */
    int base_zero; /* the enclave's base is 0; else a random one, aligned to the size */
    uint32_t ssa_frame_size;
    uint32_t miscselect;
    struct sgx_attributes attributes;
};

struct dev {
    const struct dev_ops *ops;
    uint64_t base, size;
};

struct host_signal;

struct dev_ops {
    const char *name;
    uint32_t platform; /* enum boot_platform */

    /* 0 when this machine can be used; else a negative errno and the reason. */
    int (*probe)(struct host_error *err);

    /* ECREATE; *out owns the address range until destroy(). */
    int (*create)(const struct dev_secs *secs, struct dev **out, struct host_error *err);
    int (*add_pages)(struct dev *dev, const struct plan_run *run, struct host_error *err);
    /* The ENCLU instructions listed in a plan, before init(); may be ignored. */
    int (*set_enclu_sites)(struct dev *dev, const uint64_t *offsets, size_t count);
    int (*init)(struct dev *dev, const struct sgx_sigstruct *sig, struct host_error *err);
    void (*destroy)(struct dev *dev);

    int (*aug)(struct dev *dev, uint64_t offset, uint64_t pages);
    int (*restrict_perms)(struct dev *dev, uint64_t offset, uint64_t pages, uint32_t perms);
    int (*extend)(struct dev *dev, uint64_t offset, uint64_t pages, uint32_t perms);
    int (*trim)(struct dev *dev, uint64_t offset, uint64_t pages);
    int (*remove)(struct dev *dev, uint64_t offset, uint64_t pages);

    /* Prepares the calling thread to enter; undone by thread_fini on the same thread. */
    int (*thread_init)(struct dev *dev, struct host_error *err);
    void (*thread_fini)(struct dev *dev);

    /*
     * The machine's part of a signal that found this thread, before the runtime looks at it:
     * where the thread was in the enclave, the AEX. Afterwards a thread that was interrupted in
     * the enclave has RIP at the AEP it entered with, and the host's FS and GS bases. Returns 1
     * if the signal was all the machine's own and the context shall just be resumed. NULL: the
     * hardware has done it.
     */
    int (*signal)(struct dev *dev, struct host_signal *signal);

    /* What host/enter.S calls in place of the ENCLU instruction (EENTER, ERESUME); NULL: ENCLU.
     */
    void (*enclu)(void);
};

extern const struct dev_ops dev_hw;

/* The largest enclave that the CPU can have, in bytes; UINT64_MAX: not known, or no SGX. */
uint64_t dev_hw_size_limit(void);
extern const struct dev_ops dev_emu;
