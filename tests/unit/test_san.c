/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The address sanitizer's runtime: what it lets pass and what not, over a heap whose shadow
 * comes in pieces, and global variables as the compiler registers them.
 * LINK: kernel/lib/san/asan.c
 * FLAGS: -DOCCLUM_SAN
 */
#include "lib/san.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/unit/unit.h"

#define HEAP (8u << 20)

char __image_start[4096] __attribute__((aligned(4096)));
__asm__(".globl __image_end\n.set __image_end, __image_start + 4096\n");

static jmp_buf stopped;
static char message[256];
static unsigned added, refuse;
static uint8_t *heap, *shadow, *guest;

void panic(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    longjmp(stopped, 1);
}
void assert_failed(const char *e, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, e);
    abort();
}

static int add_pages(uint64_t address, uint64_t count)
{
    if (refuse)
        return -1;
    added++;
    return mprotect((void *)address, count * 4096, PROT_READ | PROT_WRITE);
}

static void start(void)
{
    struct san_env env = {.heap_start = (uint64_t)heap,
                          .heap_end = (uint64_t)heap + HEAP,
                          .user_start = (uint64_t)guest,
                          .user_end = (uint64_t)guest + 4096,
                          .shadow = (uint64_t)shadow,
                          .add_pages = add_pages};
    san_start(&env);
}

/* True if the access is stopped; the runtime then has to be started again. */
static bool refused(const void *p, size_t size, bool write)
{
    if (setjmp(stopped)) {
        start();
        return true;
    }
    san_check(p, size, write);
    return false;
}

static void test_heap(void)
{
    CHECK(!refused(heap, HEAP, true));
    san_poison(heap + 4096, 4096);
    CHECK_EQ(added, 1);
    CHECK(!refused(heap, 4096, true));
    CHECK(refused(heap, 4097, true));
    CHECK(refused(heap + 4096, 1, false));
    CHECK(refused(heap + 8191, 1, false));
    CHECK(!refused(heap + 8192, 4096, false));
    for (size_t size = 1; size <= 40; size++) {
        uint8_t *p = heap + 4096 + 64;
        san_poison(p, 64);
        san_unpoison(p, size);
        for (size_t at = 0; at < 64; at++) {
            for (size_t n = 1; at + n <= 64; n++)
                CHECK_EQ(refused(p + at, n, at & 1), at + n > size);
        }
        CHECK(refused(p - 1, 1, false));
    }
    CHECK(!refused(heap + 4096 + 64, 0, true));
    CHECK(strstr(message, "heap"));
}

/* Without pages for the shadow nothing is watched, and nothing breaks. */
static void test_no_shadow(void)
{
    uint8_t *far = heap + HEAP - 4096;
    refuse = 1;
    san_poison(far, 4096);
    CHECK(!refused(far, 4096, true));
    refuse = 0;
    san_poison(far, 4096);
    CHECK(refused(far, 1, true));
}

struct global {
    uint64_t start, size, size_with_redzone;
    const char *name, *module;
    uint64_t dynamic_init;
    const void *location;
    uint64_t odr_indicator;
};
void __asan_register_globals(const struct global *globals, size_t count);
void __asan_load1_noabort(uint64_t address);
void __asan_store4_noabort(uint64_t address);
void __asan_storeN_noabort(uint64_t address, size_t size);

static void test_globals(void)
{
    struct global g[2] = {{(uint64_t)__image_start, 20, 64, "a", "m", 0, NULL, 0},
                          {(uint64_t)__image_start + 64, 64, 128, "b", "m", 0, NULL, 0}};
    __asan_register_globals(g, 2);
    CHECK(!refused(__image_start, 20, true));
    CHECK(refused(__image_start + 20, 1, true));
    CHECK(strstr(message, "global"));
    CHECK(refused(__image_start + 63, 1, true));
    CHECK(!refused(__image_start + 64, 64, true));
    CHECK(refused(__image_start + 64, 65, true));
    volatile int reports = 0;
    if (!setjmp(stopped))
        __asan_load1_noabort((uint64_t)__image_start + 20);
    else
        reports++, start();
    if (!setjmp(stopped))
        __asan_store4_noabort((uint64_t)__image_start + 17);
    else
        reports++, start();
    if (!setjmp(stopped))
        __asan_storeN_noabort((uint64_t)__image_start + 10, 11);
    else
        reports++, start();
    CHECK_EQ(reports, 3);
    __asan_store4_noabort((uint64_t)__image_start + 16);
}

static void test_guest(void)
{
    CHECK(refused(guest, 1, false));
    CHECK(strstr(message, "guest"));
    CHECK(refused(guest + 4095, 8, true));
    CHECK(!refused(guest + 4096, 1, true));
}

int main(void)
{
    heap = mmap(NULL, HEAP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    shadow = mmap(NULL, HEAP / 8 + (1u << 20), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    guest = mmap(NULL, 3 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(heap != MAP_FAILED && shadow != MAP_FAILED && guest != MAP_FAILED);
    san_poison(heap, 64); /* before the start: nothing happens */
    CHECK_EQ(added, 0);
    start();
    test_heap();
    test_no_shadow();
    test_globals();
    test_guest();
    return 0;
}
