/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Address sanitizer: the compiler calls us before every access. One shadow byte for eight
 * bytes: 0 all good, 1..7 so many good, POISON none. The heap's shadow comes in pages when
 * something is poisoned; the image's, for global variables, is a static array.
 * Compiled without the sanitizer. Trusts what the compiler registers.
 * LIMIT: variables on stacks are not watched; the compiler would write their shadow itself, at
 * a distance fixed at build time. The stack protector and the bounds checks stand in.
 */
#include "lib/log.h"
#include "lib/san.h"
#include "lib/string.h"

#define POISON      0xffu
#define IMAGE_MAX   (16ull << 20)
#define BATCH       16ull         /* shadow pages added at once */
#define WATCHED_MAX (64ull << 30) /* of the heap; what lies above is not watched */
#define BATCHES     (WATCHED_MAX / 8 / PAGE_SIZE / BATCH)

extern char __image_start[], __image_end[];
typedef void constructor_fn(void);
extern constructor_fn *const __init_array_start[], *const __init_array_end[];

static struct san_env env;
static bool ready;
static uint8_t image_shadow[IMAGE_MAX / 8];
static uint64_t present[BATCHES / 64];
static uint32_t adding; /* a spinlock of its own: the kernel's may be poisoned */

static bool in_image(uint64_t address)
{
    return address - (uint64_t)__image_start < (uint64_t)(__image_end - __image_start);
}

/* Shadow of an address, NULL when it is not watched or has none yet. */
static uint8_t *shadow_of(uint64_t address)
{
    if (in_image(address))
        return &image_shadow[(address - (uint64_t)__image_start) / 8];
    uint64_t at = address - env.heap_start;
    if (at >= env.heap_end - env.heap_start || at >= WATCHED_MAX)
        return NULL;
    uint64_t batch = at / 8 / PAGE_SIZE / BATCH;
    if (!(__atomic_load_n(&present[batch / 64], __ATOMIC_ACQUIRE) >> batch % 64 & 1))
        return NULL;
    return (uint8_t *)env.shadow + at / 8;
}

static bool shadow_add(uint64_t address)
{
    uint64_t at = address - env.heap_start;
    if (at >= env.heap_end - env.heap_start || at >= WATCHED_MAX)
        return false;
    uint64_t batch = at / 8 / PAGE_SIZE / BATCH;
    while (__atomic_exchange_n(&adding, 1, __ATOMIC_ACQUIRE))
        __asm__ volatile("pause");
    bool good = present[batch / 64] >> batch % 64 & 1;
    if (!good && !env.add_pages(env.shadow + batch * BATCH * PAGE_SIZE, BATCH)) {
        __atomic_fetch_or(&present[batch / 64], 1ull << batch % 64, __ATOMIC_RELEASE);
        good = true;
    }
    __atomic_store_n(&adding, 0, __ATOMIC_RELEASE);
    return good;
}

void san_poison(const void *p, size_t size)
{
    uint64_t at = (uint64_t)p, end = align_up(at + size, 8);
    for (at = align_up(at, 8); ready && at < end; at += 8) {
        uint8_t *s = shadow_of(at);
        if (!s && shadow_add(at))
            s = shadow_of(at);
        if (s)
            *s = POISON;
    }
}

void san_unpoison(const void *p, size_t size)
{
    uint64_t at = (uint64_t)p, end = at + size;
    for (; ready && at < end; at += 8) {
        uint8_t *s = shadow_of(at);
        if (s)
            *s = end - at >= 8 ? 0 : (uint8_t)(end - at);
    }
}

static NORETURN void report(uint64_t address, size_t size, bool write, const void *by)
{
    const char *where = "freed memory, or beyond an object of the heap";
    ready = false;
    if (address >= env.user_start && address < env.user_end)
        where = "guest memory, past the copy routines";
    else if (in_image(address))
        where = "beyond a global variable";
    panic("address sanitizer: %s of %zu bytes at %p: %s; by image+0x%lx",
          write ? "write" : "read", size, (void *)address, where,
          (uint64_t)by - (uint64_t)__image_start);
}

/* One group of up to eight bytes within an aligned eight. */
static bool bad_byte(uint64_t address)
{
    const uint8_t *s = shadow_of(address);
    return s && *s && (*s == POISON || (address & 7) >= *s);
}

static bool bad(uint64_t address, size_t size)
{
    if (bad_byte(address) || bad_byte(address + size - 1))
        return true;
    for (uint64_t at = align_up(address, 8); at + 8 <= address + size; at += 8) {
        const uint8_t *s = shadow_of(at);
        if (s && *s)
            return true;
    }
    return false;
}

static void check(uint64_t address, size_t size, bool write, const void *by)
{
    if (!ready || !size)
        return;
    bool guest = address < env.user_end && address + size > env.user_start;
    if (unlikely(guest || bad(address, size)))
        report(address, size, write, by);
}

void san_check(const void *p, size_t size, bool write)
{
    check((uint64_t)p, size, write, __builtin_return_address(0));
}

/* ---- what the compiler calls ---- */

#define ACCESS(size)                                                                           \
    void __asan_load##size##_noabort(uint64_t address);                                        \
    void __asan_store##size##_noabort(uint64_t address);                                       \
    void __asan_load##size##_noabort(uint64_t address)                                         \
    {                                                                                          \
        check(address, size, false, __builtin_return_address(0));                              \
    }                                                                                          \
    void __asan_store##size##_noabort(uint64_t address)                                        \
    {                                                                                          \
        check(address, size, true, __builtin_return_address(0));                               \
    }
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)

void __asan_loadN_noabort(uint64_t address, size_t size);
void __asan_storeN_noabort(uint64_t address, size_t size);
void __asan_handle_no_return(void);
void __asan_loadN_noabort(uint64_t address, size_t size)
{
    check(address, size, false, __builtin_return_address(0));
}
void __asan_storeN_noabort(uint64_t address, size_t size)
{
    check(address, size, true, __builtin_return_address(0));
}
void __asan_handle_no_return(void)
{
}

/* The compilers' descriptor of a global variable. */
struct global {
    uint64_t start, size, size_with_redzone;
    const char *name, *module;
    uint64_t dynamic_init;
    const void *location;
    uint64_t odr_indicator;
};
void __asan_register_globals(const struct global *globals, size_t count);
void __asan_unregister_globals(const struct global *globals, size_t count);
void __asan_register_globals(const struct global *globals, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct global *g = &globals[i];
        san_poison((const void *)g->start, g->size_with_redzone);
        san_unpoison((const void *)g->start, g->size);
    }
}
void __asan_unregister_globals(const struct global *globals, size_t count)
{
}

void san_start(const struct san_env *e)
{
    env = *e;
    assert((uint64_t)(__image_end - __image_start) <= IMAGE_MAX);
    ready = true;
    for (constructor_fn *const *f = __init_array_start; f < __init_array_end; f++)
        (*f)();
}
