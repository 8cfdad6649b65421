/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tracing of system calls, in the manner of strace(1): one line when a call ends (two for calls
 * that do not return), with decoded arguments. Only where the measured configuration allows
 * LOG_TRACE: strings and data of the program are shown.
 */
#include "abi/errno.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/user.h"
#include "sched/task.h"
#include "syscall/syscall.h"

#define LINE_BYTES   480
#define STRING_SHOWN 64

struct line {
    char text[LINE_BYTES];
    size_t used;
};

static void put(struct line *l, const char *format, ...) PRINTF(2, 3);
static void put(struct line *l, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = format_string_v(l->text + l->used, sizeof(l->text) - l->used, format, args);
    va_end(args);
    l->used = MIN(l->used + (size_t)n, sizeof(l->text) - 1);
}

static void put_string(struct line *l, uaddr_t at, size_t max, bool to_nul)
{
    char text[STRING_SHOWN];
    size_t n = copy_from_user_partial(text, at, MIN(max, sizeof(text)));

    if (!at || !n) {
        put(l, at ? "0x%lx" : "NULL", at);
        return;
    }
    put(l, "\"");
    for (size_t i = 0; i < n && !(to_nul && !text[i]); i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\n')
            put(l, "\\n");
        else if (c < ' ' || c > '~')
            put(l, "\\x%02x", c);
        else
            put(l, "%c", c);
    }
    put(l, "\"");
}

static const char *next_kind(const char *kinds, char *kind, size_t size)
{
    size_t n = 0;

    while (*kinds && *kinds != ' ') {
        if (n + 1 < size)
            kind[n++] = *kinds;
        kinds++;
    }
    kind[n] = 0;
    return *kinds ? kinds + 1 : kinds;
}

static void put_argument(struct line *l, const char *kind, uint64_t value, uint64_t following)
{
    if (!strcmp(kind, "str") || !strcmp(kind, "path"))
        put_string(l, value, STRING_SHOWN, true);
    else if (!strcmp(kind, "buf"))
        put_string(l, value, following, false);
    else if (!strcmp(kind, "dirfd") && (int)value == -100)
        put(l, "AT_FDCWD");
    else if (!strcmp(kind, "mode"))
        put(l, "0%o", (uint32_t)value);
    else if (!strcmp(kind, "ptr") || !strcmp(kind, "hex"))
        put(l, value ? "0x%lx" : "%lu", value);
    else if (!strcmp(kind, "size") || !strcmp(kind, "ulong"))
        put(l, "%lu", value);
    else if (!strcmp(kind, "off") || !strcmp(kind, "long"))
        put(l, "%ld", (int64_t)value);
    else
        put(l, "%d", (int)value);
}

static void put_call(struct line *l, const struct syscall_entry *e, const struct regs *r,
                     bool ended)
{
    const uint64_t arg[6] = {r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9};
    const char *kinds = e->kinds;
    char kind[8];

    put(l, "[%d] %s(", current->tid, e->name);
    for (unsigned i = 0; i < e->count; i++) {
        kinds = next_kind(kinds, kind, sizeof(kind));
        bool filled = !strcmp(e->name, "write") || ended;
        uint64_t following = i + 1 < 6 ? arg[i + 1] : 0;
        put(l, i ? ", " : "");
        if (!strcmp(kind, "buf") && !strcmp(e->name, "read") && (int64_t)r->rax >= 0)
            following = MIN(following, r->rax);
        put_argument(l, filled || strcmp(kind, "buf") ? kind : "ptr", arg[i], following);
    }
    put(l, ")");
}

void trace_enter(const struct syscall_entry *e, const struct regs *r)
{
    struct line l = {.used = 0};

    /* Calls whose end is never seen here, or that sleep for long: show them as they begin. */
    if (!str_starts(e->name, "exit") && !str_starts(e->name, "exec") &&
        !str_starts(e->name, "rt_sigreturn"))
        return;
    put_call(&l, e, r, false);
    log_line(LOG_TRACE, "%s", l.text);
}

void trace_exit(const struct syscall_entry *e, const struct regs *r)
{
    struct line l = {.used = 0};
    int64_t result = (int64_t)r->rax;

    put_call(&l, e, r, true);
    if (result < 0 && result >= -MAX_ERRNO)
        put(&l, " = -1 errno %ld", -result);
    else if (result > 0xffff)
        put(&l, " = 0x%lx", (uint64_t)result);
    else
        put(&l, " = %ld", result);
    log_line(LOG_TRACE, "%s", l.text);
}
