/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Choosing and building. What precedes a site is found by decoding forward from many places
 * further up and letting them vote; what follows it is certain. Nothing here can harm a program
 * as long as the displaced bytes are instructions: addresses inside a window always trap.
 * A cpuid is rewritten before anybody executes it, so more is asked of what surrounds it.
 * Not here: memory, locks, the table of sites (patch.c).
 */
#include "mm/patch_plan.h"

#include "abi/errno.h"
#include "lib/string.h"

#define SWEEPS     24u /* starting points of the vote */
#define MIN_VOTES  8u  /* that reached the site at all */
#define MAX_BEFORE 4u  /* instructions in front that are considered */

#define LEAVES 0x100u /* of cpuid, in each of its ranges: far more than there are */
#define EAX    0u
#define ECX    1u

#define SCORE_BRANCH   1000u /* a branch seems to go inside: works, but traps each time */
#define SCORE_BOUNDARY 100u
#define SCORE_FAR      150u /* several in front, of which the first is long enough */
#define SCORE_INSN     10u

bool patch_byte_traps(uint8_t b)
{
    switch (b) {
    case 0x06: /* no instructions in 64-bit mode: #UD */
    case 0x07:
    case 0x0e:
    case 0x16:
    case 0x17:
    case 0x1e:
    case 0x1f:
    case 0x27:
    case 0x2f:
    case 0x37:
    case 0x3f:
    case 0x60:
    case 0x61:
    case 0x9a:
    case 0xce:
    case 0xea:
        return true;
    default:
        return false;
    }
}

static bool decode_at(const struct patch_text *t, size_t at, struct x86_insn *out)
{
    return at < t->size && !x86_decode(t->bytes + at, t->size - at, out);
}

/* Lengths of what decodes at each offset in front of a site; the sweeps soon run together. */
struct lengths {
    size_t first;                 /* offset of length[0] in the text */
    uint8_t length[PATCH_BEFORE]; /* 0: not looked at yet */
};
#define NO_INSN 0xffu

static uint8_t length_at(const struct patch_text *t, struct lengths *l, size_t at)
{
    uint8_t *known = &l->length[at - l->first];
    struct x86_insn d;
    if (!*known)
        *known = decode_at(t, at, &d) ? d.length : NO_INSN;
    return *known;
}

/* Distances of the last instructions from the site, nearest first, in a sweep that begins
 * `distance` in front of it; 0: none. False: it misses the site. */
static bool sweep(const struct patch_text *t, struct lengths *l, size_t site, size_t distance,
                  uint8_t last[MAX_BEFORE])
{
    size_t at = site - distance;
    memset(last, 0, MAX_BEFORE);
    while (at < site) {
        uint8_t length = length_at(t, l, at);
        if (length == NO_INSN) { /* not in step yet */
            memset(last, 0, MAX_BEFORE);
            at++;
            continue;
        }
        for (size_t i = MAX_BEFORE - 1; i > 0; i--)
            last[i] = last[i - 1];
        last[0] = (uint8_t)(site - at);
        at += length;
    }
    return at == site;
}

/* What most sweeps say of the i-th instruction; 0: less than two thirds agree. */
static uint8_t elect(uint8_t votes[SWEEPS][MAX_BEFORE], size_t sweeps, size_t i)
{
    for (size_t a = 0; a < sweeps; a++) {
        size_t same = 0;
        for (size_t b = 0; b < sweeps; b++)
            same += votes[b][i] == votes[a][i];
        if (same * 3 >= sweeps * 2)
            return votes[a][i];
    }
    return 0;
}

/* starts[i]: offset of the i-th instruction in front of the site. Returns how many are known;
 * *certain: hardly a sweep has gone past the site. */
static size_t find_before(const struct patch_text *t, size_t site, size_t starts[MAX_BEFORE],
                          bool *certain)
{
    uint8_t votes[SWEEPS][MAX_BEFORE];
    struct lengths l = {.first = site - MIN(site, (size_t)PATCH_BEFORE)};
    size_t sweeps = 0, passed = 0;
    for (size_t distance = PATCH_BEFORE; distance > 16 && sweeps < SWEEPS; distance -= 3) {
        if (distance > site)
            continue;
        bool arrives = sweep(t, &l, site, distance, votes[sweeps]);
        sweeps += arrives;
        passed += !arrives;
    }
    *certain = passed * 4 <= sweeps;
    if (sweeps < MIN_VOTES)
        return 0;
    for (size_t i = 0; i < MAX_BEFORE; i++) {
        uint8_t distance = elect(votes, sweeps, i);
        if (!distance)
            return i;
        starts[i] = site - distance;
    }
    return MAX_BEFORE;
}

/* Padding is not moved: a function might begin behind it. */
static bool can_move_before(const struct x86_insn *d)
{
    return (d->kind == X86_PLAIN || d->kind == X86_JCC) && !d->locked;
}

static bool ends_flow(const struct x86_insn *d)
{
    return d->kind == X86_RET || d->kind == X86_JMP || d->kind == X86_JMP_INDIRECT;
}

static bool can_move_after(const struct x86_insn *d)
{
    return can_move_before(d) || d->kind == X86_NOP || ends_flow(d);
}

static void add_insn(struct patch_window *w, size_t at, const struct x86_insn *d)
{
    w->insn[w->count].at = (uint8_t)at;
    w->insn[w->count].insn = *d;
    w->count++;
}

static void mark_boundary(struct patch_window *w, size_t offset)
{
    if (offset >= 1 && offset < PATCH_JUMP)
        w->boundaries |= (uint8_t)(1u << offset);
}

/* Adds instructions behind the system call until the jump has room. */
static bool extend_after(const struct patch_text *t, size_t first, size_t site,
                         struct patch_window *w)
{
    size_t at = site + 2;
    bool ended = false;
    struct x86_insn d;
    while (at - first < PATCH_JUMP) {
        if (!decode_at(t, at, &d) || w->count == PATCH_MAX_INSNS)
            return false;
        bool padding = d.kind == X86_NOP || (d.kind == X86_TRAP && d.opcode == 0xcc);
        if (ended ? !padding : !can_move_after(&d))
            return false;
        mark_boundary(w, at - first);
        add_insn(w, at - first, &d);
        ended = ended || ends_flow(&d);
        at += d.length;
    }
    w->end = t->start + at;
    return true;
}

/* How many direct branches nearby seem to go into the window, or past its start to the site. */
static unsigned count_branches(const struct patch_text *t, const struct patch_window *w)
{
    unsigned hits = 0;
    for (size_t i = 0; i + 6 < t->size; i++) {
        const uint8_t *p = t->bytes + i;
        size_t length;
        int64_t to;
        if ((p[0] & 0xf0) == 0x70 || p[0] == 0xeb || (p[0] & 0xfc) == 0xe0) {
            length = 2;
            to = (int8_t)p[1];
        } else if (p[0] == 0xe9 || p[0] == 0xe8 || (p[0] == 0x0f && (p[1] & 0xf0) == 0x80)) {
            int32_t rel;
            length = p[0] == 0x0f ? 6 : 5;
            memcpy(&rel, p + length - 4, 4);
            to = rel;
        } else {
            continue;
        }
        uaddr_t target = t->start + i + length + (uint64_t)to;
        for (unsigned k = 0; k < w->count; k++)
            hits += w->insn[k].at && target == w->start + w->insn[k].at;
        hits += w->start != w->site && target == w->site;
    }
    return hits;
}

static void rate(const struct patch_text *t, size_t before, struct patch_window *w)
{
    w->score = SCORE_INSN * w->count + SCORE_BRANCH * MIN(count_branches(t, w), 9u);
    for (unsigned k = 1; k < PATCH_JUMP; k++)
        w->score += w->boundaries >> k & 1 ? SCORE_BOUNDARY : 0;
    if (before > 1 && !w->boundaries)
        w->score += SCORE_FAR;
}

/* The window that begins `before` instructions in front of the site. */
static bool make_window(const struct patch_text *t, size_t site, const size_t *starts,
                        size_t before, struct patch_window *w)
{
    size_t first = before ? starts[before - 1] : site;
    *w = (struct patch_window){.start = t->start + first, .site = t->start + site};
    for (size_t i = before; i-- > 0;) {
        struct x86_insn d;
        if (!decode_at(t, starts[i], &d) || !can_move_before(&d))
            return false;
        mark_boundary(w, starts[i] - first);
        add_insn(w, starts[i] - first, &d);
    }
    mark_boundary(w, site - first);
    w->end = w->site + 2;
    if (site + 2 - first < PATCH_JUMP && !extend_after(t, first, site, w))
        return false;
    if (w->end - w->start > PATCH_MAX_WINDOW)
        return false;
    rate(t, before, w);
    return true;
}

/* mov $15,%eax or %rax in front: unwinders know the bytes of a signal's return. */
static bool is_sigreturn(const struct patch_text *t, size_t site)
{
    static const uint8_t eax[] = {0xb8, 0x0f, 0, 0, 0},
                         rax[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0};
    return (site >= sizeof(eax) && !memcmp(t->bytes + site - sizeof(eax), eax, sizeof(eax))) ||
           (site >= sizeof(rax) && !memcmp(t->bytes + site - sizeof(rax), rax, sizeof(rax)));
}

static bool is_cpuid(const struct patch_text *t, size_t site)
{
    return site + 2 <= t->size && t->bytes[site] == 0x0f && t->bytes[site + 1] == 0xa2;
}

static bool is_call(const struct patch_text *t, size_t site)
{
    struct x86_insn d;
    return decode_at(t, site, &d) && d.kind == X86_SYSCALL && d.length == 2 &&
           d.opcode == 0x05 && !is_sigreturn(t, site);
}

/* ---- cpuid that nobody has seen execute ---- */

/* mov $imm32, or xor with itself. */
static bool sets_constant(const uint8_t *p, size_t length, unsigned reg)
{
    uint32_t value;
    if (length == 2)
        return (p[0] == 0x31 || p[0] == 0x33) && p[1] == (0xc0 | reg << 3 | reg);
    if (length != 5 || p[0] != (0xb8 | reg))
        return false;
    memcpy(&value, p + 1, sizeof(value));
    return (value & 0x7fffffff) < LEAVES;
}

/* mov from another register. */
static bool sets_moved(const uint8_t *p, size_t length, unsigned reg)
{
    unsigned rex = length == 3 ? p[0] : 0x40;
    if (length != 2 && length != 3)
        return false;
    p += length - 2;
    if (p[1] < 0xc0 || rex >> 4 != 4 || rex & 8)
        return false;
    if (p[0] == 0x89)
        return (p[1] & 7) == reg && !(rex & 1);
    return p[0] == 0x8b && (p[1] >> 3 & 7) == reg && !(rex & 4);
}

/* Instruction streams run together after a few instructions. So nearly all sweeps arrive at
 * one, and few at bytes inside another. In data all streams are as good as any: there, EAX is
 * not set just before, or, where that is by a mere move, ECX, too. */
static bool is_told(const struct patch_text *t, size_t site, const size_t *starts, size_t known)
{
    bool constant = false, moved = false, indexed = false;
    for (size_t i = 0; i < known; i++) {
        const uint8_t *p = t->bytes + starts[i];
        size_t length = (i ? starts[i - 1] : site) - starts[i];
        constant |= sets_constant(p, length, EAX);
        moved |= sets_moved(p, length, EAX);
        indexed |= sets_constant(p, length, ECX) || sets_moved(p, length, ECX);
    }
    return constant || (moved && indexed);
}

/* ---- deciding ---- */

unsigned patch_plan(const struct patch_text *t, uaddr_t site_address,
                    struct patch_window out[PATCH_CANDIDATES])
{
    size_t starts[MAX_BEFORE], site = site_address - t->start;
    bool certain;
    unsigned found = 0;
    if (!is_call(t, site) && !is_cpuid(t, site))
        return 0;
    size_t known = find_before(t, site, starts, &certain);
    if (is_cpuid(t, site) && !(certain && is_told(t, site, starts, known)))
        return 0;
    for (size_t before = 0; before <= known; before++) {
        struct patch_window w;
        if (!make_window(t, site, starts, before, &w))
            continue;
        unsigned at = found++;
        for (; at > 0 && out[at - 1].score > w.score; at--)
            out[at] = out[at - 1];
        out[at] = w;
    }
    return found;
}

/* ---- building ---- */

static int64_t jump_distance(const struct patch_window *w, uaddr_t trampoline)
{
    return (int64_t)(trampoline - (w->start + PATCH_JUMP));
}

bool patch_fits(const struct patch_window *w, uaddr_t trampoline)
{
    int64_t distance = jump_distance(w, trampoline);
    if (distance != (int32_t)distance)
        return false;
    for (unsigned k = 1; k < PATCH_JUMP; k++)
        if (w->boundaries >> k & 1 && !patch_byte_traps((uint8_t)(distance >> (8 * (k - 1)))))
            return false;
    return true;
}

void patch_jump(const struct patch_window *w, uaddr_t trampoline, uint8_t out[PATCH_JUMP])
{
    int32_t distance = (int32_t)jump_distance(w, trampoline);
    out[0] = 0xe9;
    memcpy(out + 1, &distance, 4);
}

struct builder {
    uint8_t *out;
    size_t length;
    uaddr_t base;
    bool out_of_reach;
};

static void emit(struct builder *b, const void *bytes, size_t n)
{
    memcpy(b->out + b->length, bytes, n);
    b->length += n;
}

/* A 32-bit displacement that ends `tail` bytes before the instruction does. */
static void emit_relative(struct builder *b, uaddr_t target, size_t tail)
{
    int64_t distance = (int64_t)(target - (b->base + b->length + 4 + tail));
    int32_t d = (int32_t)distance;
    if (d != distance)
        b->out_of_reach = true;
    emit(b, &d, 4);
}

static void emit_insn(struct builder *b, const uint8_t *code, const struct x86_insn *d,
                      uaddr_t at)
{
    uaddr_t target = at + d->length + (uint64_t)(int64_t)d->relative;
    if (d->kind == X86_JCC) {
        const uint8_t jcc[] = {0x0f, (uint8_t)(0x80 | (d->opcode & 0x0f))};
        emit(b, jcc, 2);
        emit_relative(b, target, 0);
    } else if (d->kind == X86_JMP) {
        emit(b, "\xe9", 1);
        emit_relative(b, target, 0);
    } else if (d->rip_disp_at) {
        size_t tail = d->length - d->rip_disp_at - 4u;
        emit(b, code, d->rip_disp_at);
        emit_relative(b, target, tail);
        emit(b, code + d->rip_disp_at + 4, tail);
    } else {
        emit(b, code, d->length);
    }
}

/* lea after(%rip),%rcx; movabs $entry,%r11; jmp *%r11 */
static void emit_call(struct builder *b, uaddr_t entry)
{
    emit(b, "\x48\x8d\x0d\x0d\x00\x00\x00\x49\xbb", 9);
    emit(b, &entry, 8);
    emit(b, "\x41\xff\xe3", 3);
}

/* lea after(%rip),%rbx; movabs $entry,%rdx; jmp *%rdx; cpuid, for what the entry does not know.
 */
static void emit_cpuid(struct builder *b, uaddr_t entry)
{
    emit(b, "\x48\x8d\x1d\x0e\x00\x00\x00\x48\xba", 9);
    emit(b, &entry, 8);
    emit(b, "\xff\xe2\x0f\xa2", 4);
}

static void emit_site(struct builder *b, const struct patch_text *t, uaddr_t site,
                      uaddr_t entry, struct patch_site *s)
{
    s->call_at = (uint8_t)b->length;
    if (is_cpuid(t, site - t->start)) {
        emit_cpuid(b, entry);
        s->after_at = (uint8_t)b->length;
        return;
    }
    emit_call(b, entry);
    s->after_at = (uint8_t)b->length;
    emit(b, "\x48\x8d\x0d", 3); /* lea site+2(%rip),%rcx: what the instruction leaves */
    emit_relative(b, site + 2, 0);
}

int patch_build(const struct patch_window *w, const struct patch_text *t, uaddr_t trampoline,
                uaddr_t entry, uint8_t out[PATCH_TRAMPOLINE], struct patch_site *s)
{
    struct builder b = {.out = out, .base = trampoline};
    bool called = false;
    *s = (struct patch_site){.start = w->start,
                             .site = w->site,
                             .end = w->end,
                             .trampoline = trampoline,
                             .count = w->count};
    for (unsigned i = 0; i <= w->count; i++) {
        size_t at = i < w->count ? w->insn[i].at : w->end - w->start;
        if (!called && w->start + at > w->site) {
            emit_site(&b, t, w->site, entry, s);
            called = true;
        }
        if (i == w->count)
            break;
        s->insn[i].window = (uint8_t)at;
        s->insn[i].trampoline = (uint8_t)b.length;
        emit_insn(&b, t->bytes + (w->start - t->start) + at, &w->insn[i].insn, w->start + at);
    }
    emit(&b, "\xe9", 1);
    emit_relative(&b, w->end, 0);
    s->length = (uint8_t)b.length;
    return b.out_of_reach ? -ERANGE : 0;
}

/* ---- translating ---- */

uaddr_t patch_to_text(const struct patch_site *s, uaddr_t rip)
{
    uint64_t at = rip - s->trampoline;
    if (at >= s->call_at && at < s->after_at)
        return s->site;
    for (unsigned i = 0; i < s->count; i++)
        if (s->insn[i].trampoline == at)
            return s->start + s->insn[i].window;
    return at == s->after_at ? s->site + 2 : s->end; /* the jump back */
}

bool patch_to_trampoline(const struct patch_site *s, uaddr_t rip, uaddr_t *out)
{
    uint64_t at = rip - s->start;
    if (at >= PATCH_JUMP)
        return false;
    uint8_t to = 0;
    bool found = at == 0;
    for (unsigned i = 0; i < s->count; i++) {
        if (at && s->insn[i].window == at) {
            to = s->insn[i].trampoline;
            found = true;
        }
    }
    if (at && rip == s->site) {
        to = s->call_at;
        found = true;
    }
    *out = s->trampoline + to;
    return found;
}
