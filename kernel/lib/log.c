/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Formats messages on the stack and hands them to log_write(). Runs in any context, so it takes
 * no lock: each message is one write. Not here: where the text goes (enclave/stop).
 */
#include "lib/log.h"

#include "lib/string.h"

#define LINE_BYTES        512
#define STOP_STATUS_PANIC 0x80007f00u /* enclave/stop.h: STOP_PANIC, and exit status 127 */

uint32_t log_level = LOG_OFF;
uint8_t log_levels[LOG_SUBSYSTEMS];
int (*log_thread_id)(void);

static const char *const level_names[] = {"", "error", "warn", "info", "debug", "trace"};

void log_levels_set(uint32_t general, const uint8_t *special, uint32_t most)
{
    log_level = MIN(general, most);
    for (unsigned i = 0; i < LOG_SUBSYSTEMS; i++) {
        uint32_t own = special && special[i] ? special[i] - 1u : general;
        log_levels[i] = (uint8_t)MIN(own, most);
    }
}

static void log_v(const char *prefix, const char *format, va_list args)
{
    char line[LINE_BYTES];
    int tid = log_thread_id ? log_thread_id() : 0;
    int n = tid ? format_string(line, sizeof(line), "occlum: %s[%d] ", prefix, tid)
                : format_string(line, sizeof(line), "occlum: %s", prefix);
    size_t used = (size_t)n < sizeof(line) - 2 ? (size_t)n : sizeof(line) - 2;
    n = format_string_v(line + used, sizeof(line) - 1 - used, format, args);
    used += (size_t)n;
    if (used > sizeof(line) - 2)
        used = sizeof(line) - 2;
    line[used++] = '\n';
    log_write(line, used);
}

void log_line(uint32_t level, const char *format, ...)
{
    char prefix[16];
    va_list args;
    const char *name = level < ARRAY_SIZE(level_names) ? level_names[level] : "?";
    format_string(prefix, sizeof(prefix), "%s: ", name);
    va_start(args, format);
    log_v(prefix, format, args);
    va_end(args);
}

void log_always(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_v("", format, args);
    va_end(args);
}

static void panic_begin(void)
{
    /* A fault inside this very path must not print for ever. */
    static uint32_t depth;
    if (__atomic_fetch_add(&depth, 1, __ATOMIC_RELAXED) > 8)
        kernel_stop(STOP_STATUS_PANIC);
}

extern const char __image_start[] __attribute__((weak)), __text_end[] __attribute__((weak));

/* Return addresses of the callers, relative to the image, along the chain of frame pointers. */
static void print_callers(void)
{
    const uint64_t *frame = __builtin_frame_address(0);
    char line[256];
    int n = 0;

    for (int i = 0; i < 16 && (uint64_t)frame % 8 == 0 && frame; i++) {
        uint64_t address = frame[1], next = frame[0];
        if (address < (uint64_t)__image_start || address >= (uint64_t)__text_end)
            break;
        n += format_string(line + n, sizeof(line) - (size_t)n, " 0x%lx",
                           address - (uint64_t)__image_start);
        if (next <= (uint64_t)frame || next - (uint64_t)frame > (64u << 10))
            break;
        frame = (const uint64_t *)next;
    }
    if (n)
        log_always("called from%s", line);
}

void panic(const char *format, ...)
{
    va_list args;
    panic_begin();
    va_start(args, format);
    log_v("kernel stopped: ", format, args);
    va_end(args);
    print_callers();
    kernel_stop(STOP_STATUS_PANIC);
}

void assert_failed(const char *expression, const char *file, int line)
{
    panic("assertion failed: %s (%s:%d)", expression, file, line);
}

/* The stack protector's and the compiler's own ends. */
NORETURN void __stack_chk_fail(void);
void __stack_chk_fail(void)
{
    panic("kernel stack overwritten");
}
