/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory and string functions for freestanding C and the kernel; general registers only. */
#pragma once

#include <stdarg.h>

#include "lib/types.h"

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
bool str_starts(const char *s, const char *prefix);

/* Clears secrets; never optimised away. */
void memzero_secret(void *p, size_t n);
/* Compares in constant time; true when equal. */
bool mem_equal_secret(const void *a, const void *b, size_t n);

/* Copies a string with its NUL; -ENAMETOOLONG when it does not fit (dst then holds ""). */
int str_copy(char *dst, size_t size, const char *src) MUST_CHECK;

/*
 * printf subset: %d %i %u %x %X %o %c %s %p %% with flags 0 - # +, width, precision, and
 * hh h l ll z. Returns the length the whole output would have had.
 */
int format_string(char *dst, size_t size, const char *format, ...) PRINTF(3, 4);
int format_string_v(char *dst, size_t size, const char *format, va_list args) PRINTF(3, 0);

/* Decimal or 0x/0-prefixed number (base 0, 8, 10, 16); whole string; -EINVAL, -ERANGE. */
int parse_u64(const char *s, unsigned base, uint64_t *out) MUST_CHECK;
