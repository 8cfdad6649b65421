/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The instruction decoder against libZydis over the code of whatever programs this machine has:
 * the same lengths, branch targets and rip-relative operands; and no byte read past the end.
 * LINK: kernel/mm/x86_decode.c
 * LIBS: $(if $(wildcard /usr/include/Zydis/Zydis.h),-lZydis)
 */
#include "mm/x86_decode.h"

#include "tests/unit/elf_text.h"
#include "tests/unit/unit.h"

static void test_kinds(void)
{
    static const struct {
        const char *code;
        uint8_t size, kind, rip_at, rel_at;
        int32_t relative;
    } cases[] = {
        {"\x0f\x05", 2, X86_SYSCALL, 0, 0, 0},
        {"\xc3", 1, X86_RET, 0, 0, 0},
        {"\xf3\xc3", 2, X86_RET, 0, 0, 0},
        {"\xc2\x08\x00", 3, X86_RET, 0, 0, 0},
        {"\xe8\x01\x00\x00\x00", 5, X86_CALL, 0, 1, 1},
        {"\xff\xd0", 2, X86_CALL_INDIRECT, 0, 0, 0},
        {"\xff\x15\x10\x00\x00\x00", 6, X86_CALL_INDIRECT, 2, 0, 16},
        {"\xff\x25\xf0\xff\xff\xff", 6, X86_JMP_INDIRECT, 2, 0, -16},
        {"\xeb\xfe", 2, X86_JMP, 0, 1, -2},
        {"\xe9\xfb\xff\xff\xff", 5, X86_JMP, 0, 1, -5},
        {"\x75\x10", 2, X86_JCC, 0, 1, 16},
        {"\x0f\x84\x00\x01\x00\x00", 6, X86_JCC, 0, 2, 256},
        {"\xe3\x02", 2, X86_LOOP, 0, 1, 2},
        {"\xf3\x0f\x1e\xfa", 4, X86_ENDBR, 0, 0, 0},
        {"\xcc", 1, X86_TRAP, 0, 0, 0},
        {"\x0f\x0b", 2, X86_TRAP, 0, 0, 0},
        {"\x90", 1, X86_NOP, 0, 0, 0},
        {"\x66\x0f\x1f\x44\x00\x00", 6, X86_NOP, 0, 0, 0},
        {"\xc7\xf8\x00\x00\x00\x00", 6, X86_XBEGIN, 0, 0, 0},
        {"\xb8\x0f\x00\x00\x00", 5, X86_PLAIN, 0, 0, 0},
        {"\x48\xc7\xc0\x0f\x00\x00\x00", 7, X86_PLAIN, 0, 0, 0},
        {"\x48\xb8\x01\x02\x03\x04\x05\x06\x07\x08", 10, X86_PLAIN, 0, 0, 0},
        {"\x66\xb8\x01\x02", 4, X86_PLAIN, 0, 0, 0},
        {"\xf7\x05\x10\x00\x00\x00\x01\x00\x00\x00", 10, X86_PLAIN, 2, 0, 16},
        {"\x48\x8d\x0d\x00\x00\x00\x00", 7, X86_PLAIN, 3, 0, 0},
        {"\x64\x48\x8b\x04\x25\x28\x00\x00\x00", 9, X86_PLAIN, 0, 0, 0},
        {"\x62\xf1\xfe\x48\x6f\x05\x10\x00\x00\x00", 10, X86_PLAIN, 6, 0, 16},
        {"\xc5\xf8\x77", 3, X86_PLAIN, 0, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct x86_insn d;
        uint8_t *exact = malloc(cases[i].size);
        memcpy(exact, cases[i].code, cases[i].size);
        CHECK_EQ(x86_decode(exact, cases[i].size, &d), 0);
        CHECK_EQ(d.length, cases[i].size);
        CHECK_EQ(d.kind, cases[i].kind);
        CHECK_EQ(d.rip_disp_at, cases[i].rip_at);
        CHECK_EQ(d.relative_at, cases[i].rel_at);
        CHECK_EQ(d.relative, cases[i].relative);
        for (size_t cut = 0; cut < cases[i].size; cut++)
            CHECK(x86_decode(exact, cut, &d) != 0 || d.length <= cut);
        free(exact);
    }
    struct x86_insn d;
    CHECK(x86_decode((const uint8_t *)"\x06\x90\x90", 3, &d) != 0);
    CHECK(x86_decode((const uint8_t *)"\x66\xe9\x00\x00\x00\x00", 6, &d) != 0);
    uint8_t prefixes[20];
    memset(prefixes, 0x66, sizeof(prefixes));
    CHECK(x86_decode(prefixes, sizeof(prefixes), &d) != 0);
    prefixes[15] = 0x90;
    CHECK(x86_decode(prefixes, 16, &d) != 0);
    CHECK(x86_decode(prefixes + 1, 15, &d) == 0 && d.length == 15);
}

#if __has_include(<Zydis/Zydis.h>)
#include <Zydis/Zydis.h>

static bool zydis_locked(const ZydisDecodedInstruction *z)
{
    return (z->attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0;
}

static bool is_branch(const ZydisDecodedInstruction *z)
{
    return z->raw.imm[0].is_relative && z->mnemonic != ZYDIS_MNEMONIC_XBEGIN;
}

static bool rip_relative(const ZydisDecodedInstruction *z)
{
    return z->attributes & ZYDIS_ATTRIB_HAS_MODRM && z->raw.modrm.mod == 0 &&
           z->raw.modrm.rm == 5 && z->raw.disp.size == 32;
}

static void show(const char *path, uint64_t at, const uint8_t *p, const char *what)
{
    fprintf(stderr, "%s at %llx: %s:", path, (unsigned long long)at, what);
    for (int i = 0; i < 16; i++)
        fprintf(stderr, " %02x", p[i]);
    fprintf(stderr, "\n");
}

/* Returns how many differences there are at that place. */
static int compare(const char *path, uint64_t at, const uint8_t *p, size_t left,
                   const ZydisDecodedInstruction *z)
{
    struct x86_insn d;
    const char *what = NULL;
    if (x86_decode(p, left, &d))
        what = "refused";
    else if (d.length != z->length)
        what = "length";
    else if ((d.relative_at != 0) != is_branch(z))
        what = "branch";
    else if (is_branch(z) &&
             (d.relative != z->raw.imm[0].value.s || d.relative_at != z->raw.imm[0].offset))
        what = "branch target";
    else if ((d.rip_disp_at != 0) != rip_relative(z))
        what = "rip-relative";
    else if (rip_relative(z) &&
             (d.relative != z->raw.disp.value || d.rip_disp_at != z->raw.disp.offset))
        what = "displacement";
    else if (d.locked < zydis_locked(z))
        what = "lock prefix";
    else if ((d.kind == X86_SYSCALL) !=
             (z->mnemonic == ZYDIS_MNEMONIC_SYSCALL || z->mnemonic == ZYDIS_MNEMONIC_SYSENTER))
        what = "system call";
    else if ((d.kind == X86_CALL || d.kind == X86_CALL_INDIRECT) !=
             (z->mnemonic == ZYDIS_MNEMONIC_CALL))
        what = "call";
    if (what)
        show(path, at, p, what);
    return what != NULL;
}

static bool known_gap(const ZydisDecodedInstruction *z)
{
    return z->encoding == ZYDIS_INSTRUCTION_ENCODING_XOP ||
           z->encoding == ZYDIS_INSTRUCTION_ENCODING_3DNOW ||
           z->mnemonic == ZYDIS_MNEMONIC_FEMMS ||
           (is_branch(z) && z->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) || /* Xeon Phi */
           (is_branch(z) && z->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE);
}

static int sweep(const char *path)
{
    struct elf_text t;
    if (!elf_text_open(path, &t))
        return 0;
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    size_t most = t.text_size < (4u << 20) ? t.text_size : 4u << 20;
    unsigned long count = 0, differences = 0;
    for (size_t at = 0; at < most && differences < 20;) {
        ZydisDecodedInstruction z;
        const uint8_t *p = t.text + at;
        if (!ZYAN_SUCCESS(
                ZydisDecoderDecodeInstruction(&decoder, NULL, p, t.text_size - at, &z))) {
            at++;
            continue;
        }
        if (!known_gap(&z))
            differences +=
                (unsigned long)compare(path, t.address + at, p, t.text_size - at, &z);
        count++;
        at += z.length;
    }
    printf("%-45s %9lu instructions\n", path, count);
    CHECK_EQ(differences, 0);
    elf_text_close(&t);
    return 1;
}

/* Any bytes: where both see an instruction, they see the same one. */
static void test_noise(void)
{
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    unsigned long both = 0, differ = 0;
    for (int i = 0; i < 1000000; i++) {
        uint64_t code[3] = {unit_random(), unit_random(), 0};
        const uint8_t *p = (const uint8_t *)code;
        ZydisDecodedInstruction z;
        struct x86_insn d;
        bool zydis = ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, p, 16, &z));
        if (!zydis || known_gap(&z) || x86_decode(p, 16, &d))
            continue;
        both++;
        if (d.length != z.length && differ++ < 20)
            show("noise", (uint64_t)z.length, p, "length");
    }
    printf("%lu of 1000000 random strings are instructions\n", both);
    CHECK(both > 500000);
    CHECK_EQ(differ, 0);
}

static void test_programs(void)
{
    static const char *const paths[] = {
        "/usr/lib/x86_64-linux-gnu/libc.so.6",
        "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
        "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
        "/usr/bin/python3.11",
        "/bin/bash",
        "/bin/busybox",
        "/usr/lib/x86_64-linux-musl/libc.so",
        "/usr/lib/go-1.19/bin/go",
        "/usr/lib/x86_64-linux-gnu/libm.so.6",
    };
    int found = 0;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        found += sweep(paths[i]);
    CHECK(found > 0);
    test_noise();
}
#else
static void test_programs(void)
{
    SKIP("libZydis is not installed");
}
#endif

int main(void)
{
    test_kinds();
    test_programs();
    return 0;
}
