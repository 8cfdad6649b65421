/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes around a system call: whatever is decided stays inside them, moves whole
 * instructions, and translates to and fro.
 * LINK: kernel/mm/x86_decode.c kernel/mm/patch_plan.c
 */
#include <stdlib.h>
#include <string.h>

#include "mm/patch_plan.h"

#define BASE 0x7f0012345000ull

static void require(bool right)
{
    if (!right)
        abort();
}

static void check_built(const struct patch_window *w, const struct patch_text *t)
{
    uint8_t code[PATCH_TRAMPOLINE];
    struct patch_site s;
    uaddr_t at = w->start + 5 + 0x07070707, to;
    require(patch_fits(w, at));
    if (patch_build(w, t, at, 0x112233445566, code, &s))
        return;
    require(s.length <= PATCH_TRAMPOLINE && s.call_at < s.after_at && s.after_at < s.length);
    for (size_t k = 0; k < s.length;) {
        struct x86_insn d;
        require(!x86_decode(code + k, s.length - k, &d) && d.kind != X86_SYSCALL);
        k += d.length;
    }
    require(patch_to_trampoline(&s, w->start, &to) && to == at);
    for (uaddr_t rip = w->start + 1; rip < w->start + PATCH_JUMP; rip++) {
        bool boundary = w->boundaries >> (rip - w->start) & 1;
        require(patch_to_trampoline(&s, rip, &to) == boundary);
        require(!boundary || patch_to_text(&s, to) == rip);
    }
    for (unsigned k = 0; k < s.length; k++) {
        uaddr_t text = patch_to_text(&s, at + k);
        require(text >= w->start && text <= w->end);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct patch_window w[PATCH_CANDIDATES];
    struct patch_text t = {.start = BASE, .bytes = data, .size = size};
    if (size > 400)
        return 0;
    for (size_t at = 0; at + 1 < size; at++) {
        unsigned n = patch_plan(&t, BASE + at, w);
        require(n <= PATCH_CANDIDATES && (!n || (data[at] == 0x0f && data[at + 1] == 0x05)));
        for (unsigned i = 0; i < n; i++) {
            require(w[i].start >= BASE && w[i].end <= BASE + size && w[i].site == BASE + at &&
                    w[i].start <= w[i].site && w[i].end >= w[i].site + 2 &&
                    w[i].end - w[i].start >= PATCH_JUMP && w[i].count <= PATCH_MAX_INSNS &&
                    (!i || w[i].score >= w[i - 1].score));
            check_built(&w[i], &t);
        }
    }
    return 0;
}
