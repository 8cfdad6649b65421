/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads the kernel's ELF file, see elf.h. The file is the builder's own, yet every offset is
 * checked: a truncated or foreign file ends in a message.
 */
#include "image/elf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boundary/layout.h"

static struct err *map_file(const char *path, struct elf_image *elf)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return err_sys(errno, "%s", path);
    if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(Elf64_Ehdr)) {
        close(fd);
        return err_new("%s: too short for an ELF file", path);
    }
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    int saved = errno;

    close(fd);
    if (bytes == MAP_FAILED)
        return err_sys(saved, "%s: cannot be mapped", path);
    elf->path = path;
    elf->bytes = bytes;
    elf->size = (size_t)st.st_size;
    return NULL;
}

/* Whether [offset, offset + bytes) lies in the file. */
static int in_file(const struct elf_image *elf, uint64_t offset, uint64_t bytes)
{
    return offset <= elf->size && bytes <= elf->size - offset;
}

static struct err *add_segment(struct elf_image *elf, const Elf64_Phdr *ph)
{
    struct elf_segment *seg = &elf->segment[elf->count];
    uint64_t floor = 0;

    if (elf->count == ELF_SEGMENTS_MAX)
        return err_new("%s: more than %u segments", elf->path, ELF_SEGMENTS_MAX);
    if (elf->count > 0) {
        const struct elf_segment *last = seg - 1;

        floor = (last->address + last->memory_bytes + LAYOUT_PAGE - 1) & ~(LAYOUT_PAGE - 1);
    }
    if (ph->p_vaddr % LAYOUT_PAGE || ph->p_vaddr < floor)
        return err_new("%s: segment at 0x%llx is not on a page of its own", elf->path,
                       (unsigned long long)ph->p_vaddr);
    if (!in_file(elf, ph->p_offset, ph->p_filesz) || ph->p_filesz > ph->p_memsz ||
        ph->p_memsz > LAYOUT_KERNEL_MAX || ph->p_vaddr > LAYOUT_KERNEL_MAX - ph->p_memsz)
        return err_new("%s: segment at 0x%llx does not fit", elf->path,
                       (unsigned long long)ph->p_vaddr);
    if ((ph->p_flags & PF_W) && (ph->p_flags & PF_X))
        return err_new("%s: segment at 0x%llx is writable and executable", elf->path,
                       (unsigned long long)ph->p_vaddr);
    seg->address = ph->p_vaddr;
    seg->file_offset = ph->p_offset;
    seg->file_bytes = ph->p_filesz;
    seg->memory_bytes = ph->p_memsz;
    seg->flags = ph->p_flags;
    elf->count++;
    return NULL;
}

static struct err *read_segments(struct elf_image *elf)
{
    Elf64_Ehdr eh;

    memcpy(&eh, elf->bytes, sizeof(eh));
    if (memcmp(eh.e_ident, ELFMAG, SELFMAG) || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
        eh.e_machine != EM_X86_64 || eh.e_type != ET_DYN ||
        eh.e_phentsize != sizeof(Elf64_Phdr) ||
        !in_file(elf, eh.e_phoff, (uint64_t)eh.e_phnum * sizeof(Elf64_Phdr)))
        return err_new("%s: not a position-independent x86-64 ELF file", elf->path);
    for (unsigned i = 0; i < eh.e_phnum; i++) {
        Elf64_Phdr ph;

        memcpy(&ph, elf->bytes + eh.e_phoff + i * sizeof(ph), sizeof(ph));
        if (ph.p_type == PT_INTERP)
            return err_new("%s: wants an interpreter; the kernel is static", elf->path);
        if (ph.p_type != PT_LOAD || ph.p_memsz == 0)
            continue;
        struct err *err = add_segment(elf, &ph);

        if (err)
            return err;
    }
    if (elf->count == 0)
        return err_new("%s: nothing to load", elf->path);
    elf->entry = eh.e_entry;
    return NULL;
}

/* The file's bytes at an address of executable code, or NULL. */
static const uint8_t *code_at(const struct elf_image *elf, uint64_t address, uint64_t bytes)
{
    for (uint32_t i = 0; i < elf->count; i++) {
        const struct elf_segment *seg = &elf->segment[i];

        if ((seg->flags & PF_X) && address >= seg->address && bytes <= seg->file_bytes &&
            address - seg->address <= seg->file_bytes - bytes)
            return elf->bytes + seg->file_offset + (address - seg->address);
    }
    return NULL;
}

static struct err *read_enclu(struct elf_image *elf, uint64_t offset, uint64_t bytes)
{
    static const uint8_t expected[] = {0x0f, 0x01, 0xd7,
                                       0x0f, 0x1f, 0x00}; /* enclu; nopl (%rax) */

    if (!in_file(elf, offset, bytes) || bytes % sizeof(uint64_t))
        return err_new("%s: section .enclu is damaged", elf->path);
    free(elf->enclu);
    elf->enclu_count = bytes / sizeof(uint64_t);
    elf->enclu = malloc(bytes + 1);
    if (!elf->enclu)
        return err_sys(ENOMEM, "%s", elf->path);
    memcpy(elf->enclu, elf->bytes + offset, bytes);
    for (size_t i = 0; i < elf->enclu_count; i++) {
        const uint8_t *code = code_at(elf, elf->enclu[i], sizeof(expected));

        if (!code || memcmp(code, expected, sizeof(expected)))
            return err_new("%s: section .enclu, entry %zu: no ENCLU and NOP at 0x%llx",
                           elf->path, i, (unsigned long long)elf->enclu[i]);
    }
    return NULL;
}

static struct err *find_enclu(struct elf_image *elf)
{
    Elf64_Ehdr eh;
    Elf64_Shdr names, sh;

    memcpy(&eh, elf->bytes, sizeof(eh));
    if (eh.e_shnum == 0)
        return NULL;
    if (eh.e_shentsize != sizeof(sh) || eh.e_shstrndx >= eh.e_shnum ||
        !in_file(elf, eh.e_shoff, (uint64_t)eh.e_shnum * sizeof(sh)))
        return err_new("%s: section headers are damaged", elf->path);
    memcpy(&names, elf->bytes + eh.e_shoff + eh.e_shstrndx * sizeof(sh), sizeof(sh));
    if (!in_file(elf, names.sh_offset, names.sh_size))
        return err_new("%s: section names are damaged", elf->path);
    for (unsigned i = 0; i < eh.e_shnum; i++) {
        static const char wanted[] = ".enclu";

        memcpy(&sh, elf->bytes + eh.e_shoff + i * sizeof(sh), sizeof(sh));
        if (sh.sh_name >= names.sh_size || names.sh_size - sh.sh_name < sizeof(wanted))
            continue;
        if (!memcmp(elf->bytes + names.sh_offset + sh.sh_name, wanted, sizeof(wanted)))
            return read_enclu(elf, sh.sh_offset, sh.sh_size);
    }
    return NULL;
}

struct err *elf_open(const char *path, struct elf_image *elf)
{
    memset(elf, 0, sizeof(*elf));
    struct err *err = map_file(path, elf);

    if (!err)
        err = read_segments(elf);
    if (!err)
        err = find_enclu(elf);
    if (!err && !code_at(elf, elf->entry, 1))
        err = err_new("%s: entry point 0x%llx is not in executable code", path,
                      (unsigned long long)elf->entry);
    if (err)
        elf_close(elf);
    return err;
}

void elf_close(struct elf_image *elf)
{
    if (elf->bytes)
        munmap((void *)elf->bytes, elf->size);
    free(elf->enclu);
    memset(elf, 0, sizeof(*elf));
}
