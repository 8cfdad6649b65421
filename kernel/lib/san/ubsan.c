/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Undefined behaviour sanitizer: each check that fails says where it stands, and the kernel
 * stops. The compiler hands a description that begins with the place in the source, and the
 * operands. Compiled without the sanitizers.
 */
#include "lib/log.h"
#include "lib/san.h"

struct place {
    const char *file;
    uint32_t line, column;
};

struct mismatch {
    struct place place;
    const void *type;
    uint8_t log_alignment, kind;
};

static NORETURN void stop(const struct place *p, const char *what)
{
    panic("undefined behaviour: %s at %s:%u:%u", what, p->file ? p->file : "?", p->line,
          p->column);
}

/* Each comes in two names: one that may return, one that may not. */
#define HANDLER(name, text, ...)                                                               \
    void __ubsan_handle_##name(const struct place *p, ##__VA_ARGS__);                          \
    NORETURN void __ubsan_handle_##name##_abort(const struct place *p, ##__VA_ARGS__);         \
    void __ubsan_handle_##name(const struct place *p, ##__VA_ARGS__)                           \
    {                                                                                          \
        stop(p, text);                                                                         \
    }                                                                                          \
    void __ubsan_handle_##name##_abort(const struct place *p, ##__VA_ARGS__)                   \
    {                                                                                          \
        stop(p, text);                                                                         \
    }

HANDLER(add_overflow, "signed addition overflows", uint64_t a, uint64_t b)
HANDLER(sub_overflow, "signed subtraction overflows", uint64_t a, uint64_t b)
HANDLER(mul_overflow, "signed multiplication overflows", uint64_t a, uint64_t b)
HANDLER(negate_overflow, "negation overflows", uint64_t a)
HANDLER(divrem_overflow, "division by zero, or its result overflows", uint64_t a, uint64_t b)
HANDLER(shift_out_of_bounds, "shift by too much, or of a negative number", uint64_t a,
        uint64_t b)
HANDLER(out_of_bounds, "index out of bounds", uint64_t index)
HANDLER(alignment_assumption, "pointer less aligned than promised", uint64_t p1, uint64_t a,
        uint64_t o)
HANDLER(vla_bound_not_positive, "array of no size", uint64_t n)
HANDLER(load_invalid_value, "a bool or enum holds none of its values", uint64_t v)
HANDLER(invalid_builtin, "bit scan of zero")
HANDLER(nonnull_arg, "NULL for an argument that is never NULL")
HANDLER(nonnull_return_v1, "NULL from a function that never returns it", const struct place *at)
HANDLER(pointer_overflow, "pointer arithmetic overflows", uint64_t a, uint64_t b)
HANDLER(function_type_mismatch, "call through a pointer of the wrong type", uint64_t f)

NORETURN void __ubsan_handle_builtin_unreachable(const struct place *p);
NORETURN void __ubsan_handle_missing_return(const struct place *p);
void __ubsan_handle_builtin_unreachable(const struct place *p)
{
    stop(p, "the unreachable was reached");
}
void __ubsan_handle_missing_return(const struct place *p)
{
    stop(p, "a function ended without its value");
}

static NORETURN void mismatch(const struct mismatch *m, uint64_t pointer)
{
    if (!pointer)
        stop(&m->place, "access through NULL");
    if (m->log_alignment && pointer & ((1ull << m->log_alignment) - 1))
        stop(&m->place, "misaligned access");
    stop(&m->place, "access beyond an object");
}
void __ubsan_handle_type_mismatch_v1(const struct mismatch *m, uint64_t pointer);
NORETURN void __ubsan_handle_type_mismatch_v1_abort(const struct mismatch *m, uint64_t pointer);
void __ubsan_handle_type_mismatch_v1(const struct mismatch *m, uint64_t pointer)
{
    mismatch(m, pointer);
}
void __ubsan_handle_type_mismatch_v1_abort(const struct mismatch *m, uint64_t pointer)
{
    mismatch(m, pointer);
}
