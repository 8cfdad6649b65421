/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tracing of system calls, in the manner of strace(1): one line when a call ends (two for calls
 * that do not return), with decoded arguments. Only where the measured configuration allows
 * LOG_TRACE: strings and data of the program are shown.
 */
#include "syscall/trace.h"

#include "abi/errno.h"
#include "enclave/clock.h"
#include "enclave/trace.h"
#include "lib/names.h"
#include "lib/string.h"
#include "mm/user.h"
#include "sched/task.h"
#include "syscall/syscall.h"

#define KIND_BYTES 24

void trace_put(struct trace_text *l, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = format_string_v(l->text + l->used, sizeof(l->text) - l->used, format, args);
    va_end(args);
    l->used = MIN(l->used + (size_t)n, sizeof(l->text) - 1);
}

static void put_byte(struct trace_text *l, unsigned char c)
{
    static const char short_form[] = {
        ['\a'] = 'a', ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\v'] = 'v',
        ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};

    if (c < sizeof(short_form) && short_form[c])
        trace_put(l, "\\%c", short_form[c]);
    else if (c < ' ' || c > '~')
        trace_put(l, "\\x%02x", c);
    else
        trace_put(l, "%c", c);
}

void trace_put_string(struct trace_text *l, uaddr_t at, uint64_t size, bool to_nul)
{
    char text[TRACE_STRING_SHOWN];
    size_t n = copy_from_user_partial(text, at, MIN(size, sizeof(text)));

    if (!at || (size && !n)) {
        trace_put(l, at ? "0x%lx" : "NULL", at);
        return;
    }
    size_t shown = to_nul ? strnlen(text, n) : n;
    trace_put(l, "\"");
    for (size_t i = 0; i < shown; i++)
        put_byte(l, (unsigned char)text[i]);
    trace_put(l, shown == n && (to_nul || n < size) ? "\"..." : "\"");
}

static const char *next_kind(const char *kinds, char kind[KIND_BYTES])
{
    size_t n = 0;

    while (*kinds && *kinds != ' ') {
        if (n + 1 < KIND_BYTES)
            kind[n++] = *kinds;
        kinds++;
    }
    kind[n] = 0;
    return *kinds ? kinds + 1 : kinds;
}

static void put_plain(struct trace_text *l, const char *kind, const struct trace_argument *a)
{
    uint64_t value = a->value;

    if (!strcmp(kind, "str") || !strcmp(kind, "path"))
        trace_put_string(l, value, TRACE_STRING_SHOWN, true);
    else if (!strcmp(kind, "buf"))
        trace_put_string(l, value, a->following, false);
    else if (!strcmp(kind, "dirfd") && (int)value == -100)
        trace_put(l, "AT_FDCWD");
    else if (!strcmp(kind, "mode"))
        trace_put(l, "%#o", (uint32_t)value);
    else if (!strcmp(kind, "sig") && signal_name((int)value))
        trace_put(l, "%s", signal_name((int)value));
    else if (!strcmp(kind, "ptr") && !value)
        trace_put(l, "NULL");
    else if (!strcmp(kind, "ptr") || !strcmp(kind, "hex"))
        trace_put(l, value ? "0x%lx" : "%lu", value);
    else if (!strcmp(kind, "size") || !strcmp(kind, "ulong"))
        trace_put(l, "%lu", value);
    else if (!strcmp(kind, "off") || !strcmp(kind, "long"))
        trace_put(l, "%ld", (int64_t)value);
    else
        trace_put(l, "%d", (int)value);
}

/* kind/decoder; a > behind it: what is there only after the call, if it worked. */
static void put_argument(struct trace_text *l, char *kind, struct trace_argument *a, bool ended)
{
    char *decoder = strchr(kind, '/'), *later = strchr(kind, '>');

    if (decoder)
        *decoder++ = 0;
    if (later)
        *later = 0;
    a->decoder = decoder;
    if (decoder && a->value && later && (!ended || a->result < 0))
        trace_put(l, "0x%lx", a->value);
    else if (!decoder || !(trace_put_name(l, a) || (a->value && trace_put_memory(l, a))))
        put_plain(l, kind, a);
}

static void put_call(struct trace_text *l, const struct syscall_entry *e, const struct regs *r,
                     bool ended)
{
    const uint64_t arg[7] = {r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9, 0};
    const char *kinds = e->kinds;
    char kind[KIND_BYTES];

    trace_put(l, "%s(", e->name);
    for (unsigned i = 0; i < e->count; i++) {
        struct trace_argument a = {
            .value = arg[i], .following = arg[i + 1], .result = ended ? (int64_t)r->rax : 0};
        kinds = next_kind(kinds, kind);
        trace_put(l, i ? ", " : "");
        put_argument(l, kind, &a, ended);
    }
    trace_put(l, ")");
}

/* Calls whose end is never seen here are shown as they begin. */
bool trace_enter(const struct syscall_entry *e, const struct regs *r)
{
    struct trace_text l = {.used = 0};

    if (!str_starts(e->name, "exit") && !str_starts(e->name, "exec") &&
        !str_starts(e->name, "rt_sigreturn"))
        return false;
    put_call(&l, e, r, false);
    trace_line(current->tid, "%s", l.text);
    return true;
}

static void put_result(struct trace_text *l, int64_t result)
{
    if (result == -ERESTARTSYS || result == -ERESTARTNOHAND || result == -ERESTART_RESTARTBLOCK)
        trace_put(l, " = ? (interrupted by a signal)");
    else if (result < 0 && result >= -MAX_ERRNO && errno_name((int)-result))
        trace_put(l, " = -1 %s", errno_name((int)-result));
    else if (result > 0xfffff || result < 0)
        trace_put(l, " = 0x%lx", (uint64_t)result);
    else
        trace_put(l, " = %ld", result);
}

void trace_exit(const struct syscall_entry *e, const struct regs *r, bool shown,
                uint64_t began_ns)
{
    struct trace_text l = {.used = 0};
    uint64_t us = (clock_monotonic_ns() - began_ns) / 1000;

    if (shown)
        trace_put(&l, "%s", e->name);
    else
        put_call(&l, e, r, true);
    put_result(&l, (int64_t)r->rax);
    trace_put(&l, " <%lu.%06lu>", us / 1000000, us % 1000000);
    trace_line(current->tid, "%s", l.text);
}
