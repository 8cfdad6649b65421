/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Logging to the host's standard error, assertions and the kernel's stop. Secrets and guest
 * data never go here. log_level is bounded by the measured configuration.
 */
#pragma once

#include "boundary/config.h"
#include "lib/types.h"

extern uint32_t log_level; /* enum log_level */
/* The same for messages from one folder, which the build knows as LOG_HERE. */
extern uint8_t log_levels[LOG_SUBSYSTEMS];
#ifndef LOG_HERE
#define LOG_HERE LOG_SUB_boot
#endif
void log_levels_set(uint32_t general, const uint8_t *special, uint32_t most);

/* One line, prefixed with level and the current thread; appends '\n'. At most 512 bytes. */
void log_line(uint32_t level, const char *format, ...) PRINTF(2, 3);

#define log_at(level, ...)                                                                     \
    do {                                                                                       \
        if (unlikely(log_levels[LOG_HERE] >= (level)))                                         \
            log_line(level, __VA_ARGS__);                                                      \
    } while (0)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

/* Shown at every log level: the reason why nothing can go on, or a refusal. */
void log_always(const char *format, ...) PRINTF(1, 2);

/* Prints the reason and stops the whole enclave (HOSTCALL_EXIT), for ever. */
NORETURN void panic(const char *format, ...) PRINTF(1, 2);

NORETURN void assert_failed(const char *expression, const char *file, int line);
/* For bugs of our own only; always on. */
#define assert(e) (likely(e) ? (void)0 : assert_failed(#e, __FILE__, __LINE__))

/* Given by enclave/stop.c: the way out for text, and the end. */
void log_write(const char *text, size_t n);
NORETURN void kernel_stop(uint32_t status);
/* The number that prefixes a line; the scheduler sets it (0: booting). */
extern int (*log_thread_id)(void);
