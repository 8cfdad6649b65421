/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Instruction lengths after the tables in appendix A of the architecture's manual, volume 2.
 * Trusts nothing: each byte is fetched through next(), which knows the end.
 */
#include "mm/x86_decode.h"

#include "abi/errno.h"

/* What follows an opcode. */
enum {
    N = 0x00, /* nothing */
    M = 0x01, /* ModRM */
    B = 0x02, /* 8-bit immediate */
    Z = 0x04, /* 32-bit immediate, 16-bit with the operand size prefix */
    W = 0x08, /* 16-bit immediate */
    J = 0x10, /* 8-bit branch */
    K = 0x20, /* 32-bit branch */
    O = 0x40, /* an absolute address: 8 bytes, 4 with the address size prefix */
    X = 0x80, /* not an instruction, or handled elsewhere */
    MB = M | B,
    MZ = M | Z,
    WB = W | B,
};

/* clang-format off */
static const uint8_t one_byte[256] = {
    /*      0  1  2  3  4  5  6  7   8  9  a  b  c  d  e  f */
    /* 0 */ M, M, M, M, B, Z, X, X,  M, M, M, M, B, Z, X, X,
    /* 1 */ M, M, M, M, B, Z, X, X,  M, M, M, M, B, Z, X, X,
    /* 2 */ M, M, M, M, B, Z, X, X,  M, M, M, M, B, Z, X, X,
    /* 3 */ M, M, M, M, B, Z, X, X,  M, M, M, M, B, Z, X, X,
    /* 4 */ X, X, X, X, X, X, X, X,  X, X, X, X, X, X, X, X,
    /* 5 */ N, N, N, N, N, N, N, N,  N, N, N, N, N, N, N, N,
    /* 6 */ X, X, X, M, X, X, X, X,  Z, MZ, B, MB, N, N, N, N,
    /* 7 */ J, J, J, J, J, J, J, J,  J, J, J, J, J, J, J, J,
    /* 8 */ MB, MZ, X, MB, M, M, M, M,  M, M, M, M, M, M, M, M,
    /* 9 */ N, N, N, N, N, N, N, N,  N, N, X, N, N, N, N, N,
    /* a */ O, O, O, O, N, N, N, N,  B, Z, N, N, N, N, N, N,
    /* b */ B, B, B, B, B, B, B, B,  Z, Z, Z, Z, Z, Z, Z, Z,
    /* c */ MB, MB, W, N, X, X, MB, MZ,  WB, N, W, N, N, B, X, N,
    /* d */ M, M, M, M, X, X, X, N,  M, M, M, M, M, M, M, M,
    /* e */ J, J, J, J, B, B, B, B,  K, K, X, J, N, N, N, N,
    /* f */ X, N, X, X, N, N, M, M,  N, N, N, N, N, N, M, M,
};

static const uint8_t two_byte[256] = {
    /*      0  1  2  3  4  5  6  7   8  9  a  b  c  d  e  f */
    /* 0 */ M, M, M, M, X, N, N, N,  N, N, X, N, X, M, X, X,
    /* 1 */ M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M,
    /* 2 */ M, M, M, M, X, X, X, X,  M, M, M, M, M, M, M, M,
    /* 3 */ N, N, N, N, N, N, X, N,  X, X, X, X, X, X, X, X,
    /* 4 */ M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M,
    /* 5 */ M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M,
    /* 6 */ M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M,
    /* 7 */ MB, MB, MB, MB, M, M, M, N,  M, M, X, X, M, M, M, M,
    /* 8 */ K, K, K, K, K, K, K, K,  K, K, K, K, K, K, K, K,
    /* 9 */ M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M,
    /* a */ N, N, N, M, MB, M, X, X,  N, N, N, M, MB, M, M, M,
    /* b */ M, M, M, M, M, M, M, M,  M, M, MB, M, M, M, M, M,
    /* c */ M, M, MB, M, MB, MB, MB, M,  N, N, N, N, N, N, N, N,
    /* d */ M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M,
    /* e */ M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M,
    /* f */ M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M,
};
/* clang-format on */

struct reader {
    const uint8_t *code;
    size_t size, at;
    bool over; /* asked for more than there is */
    bool operand16, address32, rex_w, repeat, repeat_not;
    uint8_t map; /* 0: one byte, 1: 0f, 2: 0f38, 3: 0f3a, 5 and 6: EVEX only */
    bool vex;
    uint8_t modrm;
};

static uint8_t next(struct reader *r)
{
    if (r->at < r->size)
        return r->code[r->at++];
    r->over = true;
    return 0;
}

static int32_t next_signed(struct reader *r, unsigned bytes)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint32_t)next(r) << (8 * i);
    return bytes == 1 ? (int8_t)v : bytes == 2 ? (int16_t)v : (int32_t)v;
}

/* Legacy prefixes and REX, which counts only right before the opcode. */
static void read_prefixes(struct reader *r, struct x86_insn *out)
{
    for (;; r->at++) {
        uint8_t c = r->at < r->size ? r->code[r->at] : 0;
        bool rex = (c & 0xf0) == 0x40;
        if (c == 0x66)
            r->operand16 = true;
        else if (c == 0x67)
            r->address32 = true;
        else if (c == 0xf0)
            out->locked = true;
        else if (c == 0xf2)
            r->repeat_not = true;
        else if (c == 0xf3)
            r->repeat = true;
        else if (!rex && c != 0x26 && c != 0x2e && c != 0x36 && c != 0x3e && c != 0x64 &&
                 c != 0x65)
            return;
        r->rex_w = rex && c & 8;
    }
}

/* After c4, c5 or 62: the rest of the prefix, then what follows the opcode in that map. */
static uint8_t read_vector(struct reader *r, struct x86_insn *out, uint8_t prefix)
{
    uint8_t first = next(r);
    r->vex = true;
    r->map = prefix == 0xc5 ? 1 : prefix == 0xc4 ? first & 0x1f : first & 7;
    if (prefix == 0xc4)
        next(r);
    if (prefix == 0x62) {
        if (first & 8 || !(next(r) & 4)) /* fixed bits */
            return X;
        next(r);
    }
    out->opcode_at = (uint8_t)r->at;
    out->opcode = next(r);
    if (r->operand16 || r->repeat || r->repeat_not || out->locked)
        return X;
    switch (r->map) {
    case 1:
        if (out->opcode == 0x77 && prefix != 0x62)
            return N;
        return two_byte[out->opcode] & B ? MB : M;
    case 2:
        return M;
    case 3:
        return MB;
    case 5:
    case 6:
        return prefix == 0x62 ? M : X;
    default:
        return X;
    }
}

static uint8_t read_opcode(struct reader *r, struct x86_insn *out)
{
    bool rex = r->at && (r->code[r->at - 1] & 0xf0) == 0x40;
    out->opcode_at = (uint8_t)r->at;
    uint8_t c = next(r);
    out->opcode = c;
    if (c == 0xc4 || c == 0xc5 || c == 0x62)
        return rex ? X : read_vector(r, out, c);
    if (c != 0x0f)
        return one_byte[c];
    out->opcode_at = (uint8_t)r->at;
    out->opcode = c = next(r);
    r->map = 1;
    if (c != 0x38 && c != 0x3a)
        return two_byte[c];
    r->map = c == 0x38 ? 2 : 3;
    out->opcode_at = (uint8_t)r->at;
    out->opcode = next(r);
    return c == 0x38 ? M : MB;
}

static void read_modrm(struct reader *r, struct x86_insn *out)
{
    r->modrm = next(r);
    uint8_t mod = r->modrm >> 6, rm = r->modrm & 7;
    bool control =
        r->map == 1 && !r->vex && (out->opcode & 0xfc) == 0x20; /* mov to/from CR, DR */
    if (mod == 3 || control)
        return;
    uint8_t base = rm == 4 ? next(r) & 7 : rm;
    if (mod == 0 && rm == 5) {
        out->rip_disp_at = (uint8_t)r->at;
        out->relative = next_signed(r, 4);
    } else if (mod == 2 || (mod == 0 && base == 5)) {
        next_signed(r, 4);
    } else if (mod == 1) {
        next(r);
    }
}

static void read_immediates(struct reader *r, struct x86_insn *out, uint8_t what)
{
    unsigned z = r->operand16 && !r->rex_w ? 2 : 4;
    if (r->map == 0 && (out->opcode & 0xf8) == 0xb8 && r->rex_w)
        z = 8;
    if (r->map == 0 && (out->opcode & 0xfe) == 0xf6 && (r->modrm & 0x38) <= 0x08)
        what |= out->opcode == 0xf6 ? B : Z; /* test, among the unary ones */
    if (r->map == 1 && !r->vex && out->opcode == 0x78 && (r->operand16 || r->repeat_not))
        what |= W; /* extrq, insertq: two bytes */
    if (what & W)
        next_signed(r, 2);
    if (what & B)
        next(r);
    for (unsigned i = 0; what & Z && i < z; i++)
        next(r);
    for (unsigned i = 0; what & O && i < (r->address32 ? 4 : 8); i++)
        next(r);
    if (what & (J | K)) {
        out->relative_at = (uint8_t)r->at;
        out->relative_bytes = what & J ? 1 : 4;
        out->relative = next_signed(r, out->relative_bytes);
    }
}

static enum x86_kind kind_of_ff(uint8_t modrm)
{
    switch (modrm >> 3 & 7) {
    case 2:
    case 3:
        return X86_CALL_INDIRECT;
    case 4:
    case 5:
        return X86_JMP_INDIRECT;
    default:
        return X86_PLAIN;
    }
}

static enum x86_kind kind_of_one(const struct reader *r, uint8_t opcode)
{
    if ((opcode & 0xf0) == 0x70)
        return X86_JCC;
    switch (opcode) {
    case 0x90:
        return r->repeat ? X86_PLAIN : X86_NOP; /* pause is a nop with a meaning */
    case 0xc2:
    case 0xc3:
    case 0xca:
    case 0xcb:
    case 0xcf:
        return X86_RET;
    case 0xcc:
    case 0xcd:
    case 0xf1:
    case 0xf4:
        return X86_TRAP;
    case 0xc7:
        return r->modrm == 0xf8 ? X86_XBEGIN : X86_PLAIN;
    case 0xe0:
    case 0xe1:
    case 0xe2:
    case 0xe3:
        return X86_LOOP;
    case 0xe8:
        return X86_CALL;
    case 0xe9:
    case 0xeb:
        return X86_JMP;
    case 0xff:
        return kind_of_ff(r->modrm);
    default:
        return X86_PLAIN;
    }
}

static enum x86_kind kind_of_two(const struct reader *r, uint8_t opcode)
{
    if ((opcode & 0xf0) == 0x80)
        return X86_JCC;
    switch (opcode) {
    case 0x05:
    case 0x34: /* sysenter */
        return X86_SYSCALL;
    case 0x07:
    case 0x35:
        return X86_RET;
    case 0x0b:
    case 0xb9:
    case 0xff:
        return X86_TRAP;
    case 0x1e:
        if (r->repeat && (r->modrm & 0xfe) == 0xfa)
            return X86_ENDBR;
        return X86_NOP;
    case 0x1f:
        return X86_NOP;
    default:
        return X86_PLAIN;
    }
}

static bool refused(const struct reader *r, const struct x86_insn *out)
{
    if (r->over || r->at > X86_MAX_LENGTH)
        return true;
    /* 66 before a branch: processors disagree. */
    if (out->relative_at && r->operand16 && !r->rex_w)
        return true;
    if (r->vex)
        return false;
    if (r->map == 0 && out->opcode == 0x8f && r->modrm & 0x38) /* XOP */
        return true;
    if (r->map == 0 && out->opcode == 0xfe && (r->modrm & 0x38) > 0x08)
        return true;
    return r->map == 0 && out->opcode == 0xff && (r->modrm & 0x38) == 0x38;
}

int x86_decode(const uint8_t *code, size_t size, struct x86_insn *out)
{
    struct reader r = {.code = code, .size = size};
    *out = (struct x86_insn){0};
    read_prefixes(&r, out);
    if (r.at > X86_MAX_LENGTH)
        return -EINVAL;
    uint8_t what = read_opcode(&r, out);
    if (what & X)
        return -EINVAL;
    if (what & M)
        read_modrm(&r, out);
    read_immediates(&r, out, what);
    if (refused(&r, out))
        return -EINVAL;
    if (!r.vex)
        out->kind = r.map == 0   ? kind_of_one(&r, out->opcode)
                    : r.map == 1 ? kind_of_two(&r, out->opcode)
                                 : X86_PLAIN;
    out->length = (uint8_t)r.at;
    return 0;
}
