/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which bytes around a system call can become a jump, and what the trampoline then holds. Pure:
 * works on a copy of the text, knows no process. Theory of operation: docs/patching.md.
 */
#pragma once

#include "lib/types.h"
#include "mm/x86_decode.h"

#define PATCH_JUMP       5u  /* bytes of `jmp rel32` */
#define PATCH_BEFORE     96u /* text wanted in front of a site, where there is so much */
#define PATCH_AFTER_SITE 48u /* and from the site on */
#define PATCH_MAX_INSNS  8u  /* displaced by one window */
#define PATCH_MAX_WINDOW 64u /* bytes that one window displaces */
#define PATCH_CANDIDATES 6u
#define PATCH_TRAMPOLINE 128u /* bytes; no trampoline is longer */

struct patch_text {
    uaddr_t start;
    const uint8_t *bytes;
    size_t size;
};

struct patch_window {
    uaddr_t start, site, end; /* displaced: [start, end); end is where the program goes on */
    uint32_t score;           /* the least is the best */
    uint8_t boundaries;       /* bit k: an instruction began at start + k, 1 <= k <= 4 */
    uint8_t count;            /* displaced instructions, without the system call */
    struct {
        uint8_t at; /* from start */
        struct x86_insn insn;
    } insn[PATCH_MAX_INSNS];
};

/* Candidates, best first; 0 when nothing can be done at this site: a system call that has
 * executed, or a cpuid that nobody has seen execute, and which must be one beyond doubt. */
unsigned patch_plan(const struct patch_text *t, uaddr_t site,
                    struct patch_window out[PATCH_CANDIDATES]);

/* True if a jump from the window to `trampoline` reaches, and traps wherever an instruction of
 * the program began inside it. */
bool patch_fits(const struct patch_window *w, uaddr_t trampoline);
void patch_jump(const struct patch_window *w, uaddr_t trampoline, uint8_t out[PATCH_JUMP]);

/* A rewritten site: where the pieces of its trampoline are. Offsets are from `start` and from
 * `trampoline`. */
struct patch_site {
    uaddr_t start, site, end;
    uaddr_t trampoline;
    uint8_t count;
    uint8_t call_at, after_at; /* the way into the kernel; where it comes back to */
    uint8_t length;
    struct {
        uint8_t window, trampoline;
    } insn[PATCH_MAX_INSNS];
};

/* Writes the trampoline. -ERANGE: an operand does not reach from there. */
int patch_build(const struct patch_window *w, const struct patch_text *t, uaddr_t trampoline,
                uaddr_t entry, uint8_t out[PATCH_TRAMPOLINE], struct patch_site *s) MUST_CHECK;

/* The program's address that `rip`, inside the trampoline, stands for. */
uaddr_t patch_to_text(const struct patch_site *s, uaddr_t rip);
/* The place in the trampoline that does what the program had at `rip`, overwritten by the jump.
 * False: `rip` is none of those. The first byte counts as well. */
bool patch_to_trampoline(const struct patch_site *s, uaddr_t rip, uaddr_t *out);

/* The bytes that a stray jump into a rewritten window may meet: all of them trap at once. */
bool patch_byte_traps(uint8_t b);
