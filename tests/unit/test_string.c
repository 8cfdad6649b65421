/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory and string functions against byte-by-byte ones; formatting against the C library's.
 * LINK: kernel/lib/string.c kernel/lib/format.c
 * FLAGS: -Wno-format -Wno-format-security -fno-builtin
 */
#include "lib/string.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "tests/unit/unit.h"

#define AREA 2048
static uint8_t area[AREA], before[AREA];

static void fill(void)
{
    for (size_t i = 0; i < AREA; i++)
        area[i] = before[i] = (uint8_t)unit_random();
}

static size_t some_size(void)
{
    unsigned long long r = unit_random();
    return r % 3 == 0 ? (r >> 8) % 20 : r % 3 == 1 ? (r >> 8) % 130 : (r >> 8) % 700;
}

static void expect(size_t at, size_t n, const uint8_t *want)
{
    for (size_t i = 0; i < AREA; i++)
        CHECK_EQ(area[i], i >= at && i < at + n ? want[i - at] : before[i]);
}

static void test_moves(void)
{
    uint8_t want[AREA];
    for (int round = 0; round < 20000; round++) {
        size_t n = some_size(), src = unit_random() % (AREA - n + 1);
        size_t dst = unit_random() % (AREA - n + 1);
        if (round % 2)
            dst = src + unit_random() % 40 < AREA - n ? src + unit_random() % 40 : src;
        if (dst > AREA - n)
            dst = AREA - n;
        fill();
        for (size_t i = 0; i < n; i++)
            want[i] = before[src + i];
        CHECK(memmove(area + dst, area + src, n) == area + dst);
        expect(dst, n, want);
        fill();
        CHECK(memcpy(area + dst, before + src, n) == area + dst);
        expect(dst, n, before + src);
        fill();
        CHECK(memset(area + dst, (int)n + 200, n) == area + dst);
        for (size_t i = 0; i < n; i++)
            want[i] = (uint8_t)(n + 200);
        expect(dst, n, want);
    }
}

static int sign(int v)
{
    return v < 0 ? -1 : v > 0;
}

static void test_compare(void)
{
    for (int round = 0; round < 20000; round++) {
        size_t n = some_size();
        for (size_t i = 0; i < n; i++)
            area[i] = before[i] = (uint8_t)unit_random();
        CHECK_EQ(memcmp(area, before, n), 0);
        CHECK(mem_equal_secret(area, before, n));
        if (!n)
            continue;
        size_t at = unit_random() % n;
        area[at] ^= (uint8_t)(1u << unit_random() % 8);
        CHECK_EQ(sign(memcmp(area, before, n)), area[at] < before[at] ? -1 : 1);
        CHECK(!mem_equal_secret(area, before, n));
        size_t first = 0;
        while (area[first] != area[at])
            first++;
        CHECK(memchr(area, area[at], n) == area + first);
    }
    CHECK(memchr("abc", 'd', 3) == NULL);
    CHECK(strcmp("abc", "abd") < 0 && strcmp("b", "a") > 0 && strcmp("", "") == 0);
    CHECK(strcmp("\xff", "a") > 0);
    CHECK(strncmp("abc", "abd", 2) == 0 && strncmp("abc", "abd", 3) < 0);
    CHECK(strncmp("ab", "ab\0x", 9) == 0);
    CHECK_EQ(strlen("four"), 4);
    CHECK_EQ(strnlen("four", 2), 2);
    const char *path = "/a/b";
    CHECK(strchr(path, '/') == path && strrchr(path, '/') == path + 2);
    CHECK(strchr(path, 0) == path + 4 && strrchr(path, 0) == path + 4 && !strchr(path, 'x'));
    CHECK(str_starts("/proc/1", "/proc/") && !str_starts("/pro", "/proc"));
    char small[4];
    CHECK_EQ(str_copy(small, 4, "abc"), 0);
    CHECK_EQ(str_copy(small, 4, "abcd"), -ENAMETOOLONG);
    CHECK_EQ(small[0], 0);
    CHECK_EQ(str_copy(small, 0, ""), -ENAMETOOLONG);
}

#define SAME(...)                                                                              \
    do {                                                                                       \
        for (size_t size_ = 0; size_ < 64; size_ += 7) {                                       \
            char want_[64] = "w", got_[64] = "w";                                              \
            int a_ = snprintf(want_, size_, __VA_ARGS__);                                      \
            int b_ = format_string(got_, size_, __VA_ARGS__);                                  \
            if (a_ != b_ || strcmp(want_, got_)) {                                             \
                fprintf(stderr, "line %d: %d '%s', not %d '%s'\n", __LINE__, b_, got_, a_,     \
                        want_);                                                                \
                exit(1);                                                                       \
            }                                                                                  \
        }                                                                                      \
    } while (0)

static void test_format(void)
{
    static const char *const ints[] = {"%d",   "%5d",    "%-5d|",   "%05d", "%+d",  "% d",
                                       "%.3d", "%8.3d",  "%-8.3d|", "%i",   "%u",   "%x",
                                       "%#x",  "%#010x", "%X",      "%#X",  "%o",   "%#o",
                                       "%hd",  "%hhd",   "%hhu",    "%hx",  "%.0d", "%+5u"};
    static const int values[] = {0, 1, -1, 7, 255, 256, 65535, 65536, INT_MAX, INT_MIN, 12345};
    for (size_t f = 0; f < ARRAY_SIZE(ints); f++)
        for (size_t v = 0; v < ARRAY_SIZE(values); v++)
            SAME(ints[f], values[v]);
    static const char *const longs[] = {"%ld", "%lld",   "%lu",    "%lx",
                                        "%zu", "%020ld", "%-24lx|"};
    static const long wide[] = {0, -1, LONG_MAX, LONG_MIN, 1l << 33, 42};
    for (size_t f = 0; f < ARRAY_SIZE(longs); f++)
        for (size_t v = 0; v < ARRAY_SIZE(wide); v++)
            SAME(longs[f], wide[v]);
    SAME("plain");
    SAME("%s and %s", "one", "two");
    SAME("%10s|%-10s|%.2s|%.*s|%*s|%-*s|", "a", "b", "cde", 1, "xyz", 4, "w", -5, "v");
    SAME("%c%c%%%5c", 'a', 'b', 'c');
    SAME("%p", (void *)0x1234);
    SAME("%*d", -6, 5);
    char text[16];
    format_string(text, sizeof(text), "%s", (char *)NULL);
    CHECK(!strcmp(text, "(null)"));
}

static void test_parse(void)
{
    uint64_t v;
    CHECK(!parse_u64("0", 0, &v) && v == 0);
    CHECK(!parse_u64("18446744073709551615", 10, &v) && v == UINT64_MAX);
    CHECK(!parse_u64("0xFFffFFffFFffFFff", 0, &v) && v == UINT64_MAX);
    CHECK(!parse_u64("017", 0, &v) && v == 15);
    CHECK(!parse_u64("017", 10, &v) && v == 17);
    CHECK(!parse_u64("ff", 16, &v) && v == 255);
    CHECK_EQ(parse_u64("18446744073709551616", 10, &v), -ERANGE);
    CHECK_EQ(parse_u64("99999999999999999999x", 10, &v), -EINVAL);
    CHECK_EQ(parse_u64("", 0, &v), -EINVAL);
    CHECK_EQ(parse_u64("0x", 0, &v), -EINVAL);
    CHECK_EQ(parse_u64("-1", 0, &v), -EINVAL);
    CHECK_EQ(parse_u64(" 1", 0, &v), -EINVAL);
    CHECK_EQ(parse_u64("8", 8, &v), -EINVAL);
}

int main(void)
{
    test_moves();
    test_compare();
    test_format();
    test_parse();
    return 0;
}
