/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of ELF that loading a program needs: elf(5), x86-64 psABI. */
#pragma once

#include <stdint.h>

#define ELF_MAGIC          0x464c457fu
#define ELF_CLASS_64       2
#define ELF_DATA_LSB       1
#define ELF_TYPE_EXEC      2
#define ELF_TYPE_DYN       3
#define ELF_MACHINE_X86_64 62

struct abi_elf_header {
    uint32_t magic;
    uint8_t elf_class, data, version, os_abi, pad[8];
    uint16_t type, machine;
    uint32_t file_version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
_Static_assert(sizeof(struct abi_elf_header) == 64, "Elf64_Ehdr");

#define ELF_PT_LOAD      1u
#define ELF_PT_INTERP    3u
#define ELF_PT_PHDR      6u
#define ELF_PT_GNU_STACK 0x6474e551u
#define ELF_PF_X         1u
#define ELF_PF_W         2u
#define ELF_PF_R         4u

struct abi_elf_phdr {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
_Static_assert(sizeof(struct abi_elf_phdr) == 56, "Elf64_Phdr");
