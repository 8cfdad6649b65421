/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the store (kernel/fs/sefs) needs of a kernel, on the host: memory, strings, a log. The
 * cryptography is the kernel's own. Used by the host's tools and by the store's tests.
 */
#include <cpuid.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/sefs/port.h"
#include "kernel/crypto/crypto.h"
#include "kernel/lib/log.h"
#include "kernel/lib/string.h"
#include "kernel/mm/kmalloc.h"

long port_live, port_fail_after = -1;
unsigned port_log_lines;
char port_log_last[512];
bool port_log_quiet;

static bool allowed(void)
{
    if (port_fail_after == 0)
        return false;
    if (port_fail_after > 0)
        port_fail_after--;
    port_live++;
    return true;
}

void *kmalloc(size_t size)
{
    return allowed() ? malloc(size ? size : 1) : NULL;
}

void *kzalloc(size_t size)
{
    return allowed() ? calloc(1, size ? size : 1) : NULL;
}

void *kcalloc(size_t count, size_t size)
{
    return allowed() ? calloc(count ? count : 1, size ? size : 1) : NULL;
}

void kfree(void *p)
{
    if (p)
        port_live--;
    free(p);
}

void memzero_secret(void *p, size_t n)
{
    explicit_bzero(p, n);
}

bool mem_equal_secret(const void *a, const void *b, size_t n)
{
    const volatile uint8_t *x = a, *y = b;
    uint8_t differ = 0;
    for (size_t i = 0; i < n; i++)
        differ |= x[i] ^ y[i];
    return !differ;
}

int format_string(char *dst, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(dst, size, format, args);
    va_end(args);
    return n;
}

void log_always(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(port_log_last, sizeof(port_log_last), format, args);
    va_end(args);
    port_log_lines++;
    if (!port_log_quiet)
        fprintf(stderr, "%s\n", port_log_last);
}

void panic(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

void assert_failed(const char *expression, const char *file, int line)
{
    panic("%s:%d: assertion: %s", file, line, expression);
}

void port_init(void)
{
    static bool done;
    uint32_t eax, ebx = 0, ecx = 0, edx, low = 3, high = 0;
    if (done)
        return;
    done = true;
    __get_cpuid(1, &eax, &ebx, &ecx, &edx);
    if (ecx & bit_OSXSAVE)
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx);
    struct crypto_env env = {
        .xfrm = (uint64_t)high << 32 | low, .cpuid7_ebx = ebx, .cpuid7_ecx = ecx};
    crypto_init(&env);
}
