/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory and string functions in general registers. Short blocks move as overlapping words, all
 * loaded before any is stored; long ones as `rep movsb`, which today's processors do in lines,
 * but for distances at which some of them fall back to single bytes.
 * Trusts its arguments. Not here: anything on guest memory (mm/user) or host memory (enclave/).
 */
#include "lib/string.h"

#include "abi/errno.h"
#include "lib/san.h"

/* The compiler must not turn these loops into calls of the function that they implement. */
#if defined(__clang__)
#define NO_IDIOMS __attribute__((no_builtin))
#else
#define NO_IDIOMS __attribute__((optimize("no-tree-loop-distribute-patterns")))
#endif

/* From here on the string instructions win over words. */
#define REP_MIN 256

struct any_u64 {
    uint64_t v;
} __attribute__((packed, may_alias));
struct any_u32 {
    uint32_t v;
} __attribute__((packed, may_alias));
struct any_u16 {
    uint16_t v;
} __attribute__((packed, may_alias));

ALWAYS_INLINE uint64_t get64(const void *p)
{
    return ((const struct any_u64 *)p)->v;
}
ALWAYS_INLINE void put64(void *p, uint64_t v)
{
    ((struct any_u64 *)p)->v = v;
}
ALWAYS_INLINE uint32_t get32(const void *p)
{
    return ((const struct any_u32 *)p)->v;
}
ALWAYS_INLINE void put32(void *p, uint32_t v)
{
    ((struct any_u32 *)p)->v = v;
}
ALWAYS_INLINE uint16_t get16(const void *p)
{
    return ((const struct any_u16 *)p)->v;
}
ALWAYS_INLINE void put16(void *p, uint16_t v)
{
    ((struct any_u16 *)p)->v = v;
}

/* Up to 16 bytes; the two may overlap. */
ALWAYS_INLINE void move_short(uint8_t *d, const uint8_t *s, size_t n)
{
    if (n >= 8) {
        uint64_t a = get64(s), b = get64(s + n - 8);
        put64(d, a);
        put64(d + n - 8, b);
    } else if (n >= 4) {
        uint32_t a = get32(s), b = get32(s + n - 4);
        put32(d, a);
        put32(d + n - 4, b);
    } else if (n >= 2) {
        uint16_t a = get16(s), b = get16(s + n - 2);
        put16(d, a);
        put16(d + n - 2, b);
    } else if (n) {
        *d = *s;
    }
}

/* More than 16 bytes; right for overlapping blocks where d is below s. */
NO_IDIOMS static inline void move_up(uint8_t *d, const uint8_t *s, size_t n)
{
    uint64_t last0 = get64(s + n - 16), last1 = get64(s + n - 8);
    size_t i = 0;
    for (; i + 16 < n; i += 16) {
        uint64_t a = get64(s + i), b = get64(s + i + 8);
        put64(d + i, a);
        put64(d + i + 8, b);
    }
    put64(d + n - 16, last0);
    put64(d + n - 8, last1);
}

/* More than 16 bytes; right for overlapping blocks where d is above s. */
NO_IDIOMS static void move_down(uint8_t *d, const uint8_t *s, size_t n)
{
    uint64_t first0 = get64(s), first1 = get64(s + 8);
    size_t i = n;
    for (; i > 16; i -= 16) {
        uint64_t a = get64(s + i - 16), b = get64(s + i - 8);
        put64(d + i - 8, b);
        put64(d + i - 16, a);
    }
    put64(d, first0);
    put64(d + 8, first1);
}

/* A destination a little above the source, modulo 4 KiB: AMD's Zen 3 then needs 25 times as
 * long for `rep movsb`. */
ALWAYS_INLINE bool rep_is_slow(const void *d, const void *s)
{
    return (((uintptr_t)d - (uintptr_t)s) % 4096) - 1 < 62;
}

ALWAYS_INLINE void move_rep(void *d, const void *s, size_t n)
{
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
}

NO_IDIOMS void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
    san_check(src, n, false);
    san_check(dst, n, true);
    if (n <= 16)
        move_short(dst, src, n);
    else if (n < REP_MIN || rep_is_slow(dst, src))
        move_up(dst, src, n);
    else
        move_rep(dst, src, n);
    return dst;
}

NO_IDIOMS void *memmove(void *dst, const void *src, size_t n)
{
    uintptr_t distance = (uintptr_t)dst - (uintptr_t)src;
    san_check(src, n, false);
    san_check(dst, n, true);
    if (n <= 16)
        move_short(dst, src, n);
    else if (distance < n)
        move_down(dst, src, n);
    else if (n < REP_MIN || -distance < 64 || rep_is_slow(dst, src)) /* rep: by bytes */
        move_up(dst, src, n);
    else
        move_rep(dst, src, n);
    return dst;
}

NO_IDIOMS void *memset(void *dst, int c, size_t n)
{
    uint8_t *d = dst;
    uint64_t v = 0x0101010101010101ull * (uint8_t)c;
    san_check(d, n, true);
    if (n >= REP_MIN) {
        __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
    } else if (n >= 8) {
        for (size_t i = 0; i + 8 < n; i += 8)
            put64(d + i, v);
        put64(d + n - 8, v);
    } else if (n >= 4) {
        put32(d, (uint32_t)v);
        put32(d + n - 4, (uint32_t)v);
    } else if (n) {
        d[0] = (uint8_t)c;
        d[n / 2] = (uint8_t)c;
        d[n - 1] = (uint8_t)c;
    }
    return dst;
}

NO_IDIOMS int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;
    size_t i = 0;
    while (i + 8 <= n && get64(x + i) == get64(y + i))
        i += 8;
    for (; i < n; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

NO_IDIOMS void *memchr(const void *s, int c, size_t n)
{
    const uint8_t *p = s;
    for (size_t i = 0; i < n; i++)
        if (p[i] == (uint8_t)c)
            return (void *)(p + i);
    return NULL;
}

NO_IDIOMS size_t strlen(const char *s)
{
    size_t n = 0;
    while (s[n])
        n++;
    return n;
}

NO_IDIOMS size_t strnlen(const char *s, size_t max)
{
    size_t n = 0;
    while (n < max && s[n])
        n++;
    return n;
}

NO_IDIOMS int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (uint8_t)*a - (uint8_t)*b;
}

NO_IDIOMS int strncmp(const char *a, const char *b, size_t n)
{
    for (; n; n--, a++, b++)
        if (*a != *b || !*a)
            return (uint8_t)*a - (uint8_t)*b;
    return 0;
}

NO_IDIOMS char *strchr(const char *s, int c)
{
    for (; *s != (char)c; s++)
        if (!*s)
            return NULL;
    return (char *)s;
}

NO_IDIOMS char *strrchr(const char *s, int c)
{
    const char *found = NULL;
    do {
        if (*s == (char)c)
            found = s;
    } while (*s++);
    return (char *)found;
}

bool str_starts(const char *s, const char *prefix)
{
    while (*prefix)
        if (*s++ != *prefix++)
            return false;
    return true;
}

void memzero_secret(void *p, size_t n)
{
    memset(p, 0, n);
    __asm__ volatile("" : : "r"(p) : "memory");
}

bool mem_equal_secret(const void *a, const void *b, size_t n)
{
    const volatile uint8_t *x = a, *y = b;
    uint8_t different = 0;
    for (size_t i = 0; i < n; i++)
        different |= x[i] ^ y[i];
    return different == 0;
}

int str_copy(char *dst, size_t size, const char *src)
{
    size_t n = strnlen(src, size);
    if (n >= size) {
        if (size)
            dst[0] = '\0';
        return -ENAMETOOLONG;
    }
    memcpy(dst, src, n + 1);
    return 0;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 16;
}

int parse_u64(const char *s, unsigned base, uint64_t *out)
{
    if ((base == 0 || base == 16) && s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
        s += 2;
        base = 16;
    } else if (base == 0) {
        base = s[0] == '0' ? 8 : 10;
    }
    uint64_t value = 0;
    bool big = false;
    if (!*s)
        return -EINVAL;
    for (; *s; s++) {
        unsigned digit = (unsigned)digit_of(*s);
        if (digit >= base)
            return -EINVAL;
        if (mul_overflows(value, (uint64_t)base, &value) ||
            add_overflows(value, (uint64_t)digit, &value))
            big = true;
    }
    if (big)
        return -ERANGE;
    *out = value;
    return 0;
}
