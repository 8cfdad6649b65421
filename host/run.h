/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loads an enclave from a page plan and runs it to its end: what the commands use.
 * Everything here is untrusted; the enclave checks what it is given.
 * Not here: files of an instance, configuration, keys; the caller has read them.
 */
#pragma once

#include <stdint.h>

#include "boundary/boot.h"
#include "boundary/hostcalls.h"
#include "host/error.h"
#include "image/plan.h"

enum host_mode {
    HOST_MODE_AUTO = 0, /* hardware where there is a device, else the emulator */
    HOST_MODE_HW,
    HOST_MODE_SIM,
};

/* Told what the enclave asks for, on any of its threads. */
struct host_observer {
    void (*found)(int dirfd, const char *name, uint16_t mode);
    void (*listed)(int fd);
    void (*link_read)(int dirfd, const char *name, const char *link, size_t size);
};

/* What the host sees of a run; the enclave prints its own counts. */
struct host_stats {
    uint64_t calls[HOSTCALL_COUNT], ticks;
};

struct host_run_params {
    const struct page_plan *plan;
    const struct sgx_sigstruct *sigstruct;
    /* Called when all pages are added: `sigstruct` may be complete but for attributes before.
     * 0, or a negative errno with a message; NULL: nothing is missing. */
    int (*complete)(void *arg, struct host_error *err);
    void *complete_arg;
    /* Called when the enclave has its copies of the plan's contents; may be NULL. */
    void (*loaded)(const struct page_plan *plan);
    enum host_mode mode;
    int base_zero; /* programs at fixed addresses: the enclave's base is 0 */
    int debug;     /* SECS.ATTRIBUTES.DEBUG, where SIGSTRUCT leaves it open */
    const char *images[BOOT_MAX_IMAGES];  /* files of read-only images, NULL: none */
    const char *program;                  /* path inside */
    char *const *argv;                    /* NULL-terminated; argv[0] included */
    char *const *envp;                    /* NULL-terminated; may be NULL */
    const char *cwd;                      /* inside; NULL: "/" */
    const char *hostname;                 /* NULL: the host's */
    uint32_t log_level;                   /* enum log_level */
    const uint8_t *log_levels;            /* boot_info's, LOG_SUBSYSTEMS; NULL: none */
    const uint64_t *trace;                /* boot_info's, 8 words; NULL: nothing */
    struct host_stats *stats;             /* NULL: not wanted */
    const struct host_observer *observer; /* NULL: nobody wants to know */
    /* NULL, or told where a program's file is mapped to be executed, on any thread; path NULL:
     * the kernel. Programs are told of only by debuggable enclaves. */
    void (*mapped)(const char *path, uint64_t address, uint64_t offset);
    uint32_t vcpus;                       /* 0: online CPUs, at most the plan's TCSs */
    /* A service: no program, but a listening socket through which they are asked for. `ready`
     * is called when requests are taken. */
    int service, listen_fd;
    void (*ready)(void *arg);
    void *ready_arg;
};

#define HOST_STATUS_PANIC 0x80000000u

/*
 * Returns 0 and what the enclave passed to HOSTCALL_EXIT: the low 16 bits are a wait(2) status,
 * HOST_STATUS_PANIC set: the kernel stopped. Or a negative errno with a message: never ran, or
 * the enclave was lost. One enclave at a time in a process.
 */
int host_run(const struct host_run_params *params, uint32_t *status, struct host_error *err);

/* Whether a mode can be used on this machine, for `occlum doctor`; 0, or negative and the
 * reason. */
int host_probe(enum host_mode mode, struct host_error *err);
