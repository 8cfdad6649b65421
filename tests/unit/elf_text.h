/* SPDX-License-Identifier: BSD-3-Clause */
/* The executable segments of a program on this machine, for tests that read real code. */
#pragma once

#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct elf_text {
    uint8_t *file;
    size_t size;
    uint64_t address; /* of .text */
    const uint8_t *text;
    size_t text_size;
    uint64_t seg_address; /* of the executable segment */
    const uint8_t *seg;
    size_t seg_size;
};

static inline bool elf_text_open(const char *path, struct elf_text *t)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    memset(t, 0, sizeof(*t));
    if (fd < 0 || fstat(fd, &st))
        return false;
    t->size = (size_t)st.st_size;
    t->file = mmap(NULL, t->size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (t->file == MAP_FAILED || memcmp(t->file, ELFMAG, 4))
        return false;
    const Elf64_Ehdr *e = (const void *)t->file;
    const Elf64_Shdr *s = (const void *)(t->file + e->e_shoff);
    const Elf64_Phdr *p = (const void *)(t->file + e->e_phoff);
    const char *names = (const char *)t->file + s[e->e_shstrndx].sh_offset;
    for (int i = 0; i < e->e_phnum; i++) {
        if (p[i].p_type == PT_LOAD && p[i].p_flags & PF_X) {
            t->seg = t->file + p[i].p_offset;
            t->seg_address = p[i].p_vaddr;
            t->seg_size = p[i].p_filesz;
        }
    }
    for (int i = 0; i < e->e_shnum; i++) {
        if (!strcmp(names + s[i].sh_name, ".text")) {
            t->text = t->file + s[i].sh_offset;
            t->address = s[i].sh_addr;
            t->text_size = s[i].sh_size;
        }
    }
    return t->text && t->seg;
}

static inline void elf_text_close(struct elf_text *t)
{
    if (t->file && t->file != MAP_FAILED)
        munmap(t->file, t->size);
}
