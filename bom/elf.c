/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads an ELF file's program headers and dynamic section. Sections are not asked, because
 * stripped files may lack them and loaders ignore them.
 */
#include "bom/elf.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct view {
    const uint8_t *data;
    size_t size;
    Elf64_Ehdr header;
};

struct dynamic {
    uint64_t strtab, strsz, rpath, runpath, flags_1;
    bool has_rpath, has_runpath;
};

static bool get(const struct view *v, uint64_t offset, void *out, size_t size)
{
    if (offset > v->size || size > v->size - offset)
        return false;
    memcpy(out, v->data + offset, size);
    return true;
}

static bool get_phdr(const struct view *v, unsigned i, Elf64_Phdr *out)
{
    return get(v, v->header.e_phoff + (uint64_t)i * sizeof(*out), out, sizeof(*out));
}

/* A string that ends before `limit`, itself inside the file. */
static char *get_string(struct pool *pool, const struct view *v, uint64_t offset,
                        uint64_t limit)
{
    if (limit > v->size || offset >= limit)
        return NULL;
    const uint8_t *start = v->data + offset;
    const uint8_t *end = memchr(start, 0, limit - offset);
    return end ? pool_copy(pool, (const char *)start, (size_t)(end - start)) : NULL;
}

static bool file_offset(const struct view *v, uint64_t address, uint64_t *out)
{
    Elf64_Phdr ph;
    for (unsigned i = 0; i < v->header.e_phnum && get_phdr(v, i, &ph); i++) {
        if (ph.p_type == PT_LOAD && address >= ph.p_vaddr &&
            address - ph.p_vaddr < ph.p_filesz) {
            *out = ph.p_offset + (address - ph.p_vaddr);
            return true;
        }
    }
    return false;
}

static void note_entry(struct dynamic *dyn, const Elf64_Dyn *entry)
{
    switch (entry->d_tag) {
    case DT_STRTAB:
        dyn->strtab = entry->d_un.d_val;
        break;
    case DT_STRSZ:
        dyn->strsz = entry->d_un.d_val;
        break;
    case DT_RPATH:
        dyn->rpath = entry->d_un.d_val;
        dyn->has_rpath = true;
        break;
    case DT_RUNPATH:
        dyn->runpath = entry->d_un.d_val;
        dyn->has_runpath = true;
        break;
    case DT_FLAGS_1:
        dyn->flags_1 = entry->d_un.d_val;
        break;
    }
}

static char *dyn_string(struct pool *pool, const struct view *v, const struct dynamic *dyn,
                        uint64_t offset)
{
    uint64_t base;
    if (!file_offset(v, dyn->strtab, &base) || base > v->size)
        return NULL;
    uint64_t room = v->size - base;
    uint64_t limit = base + (dyn->strsz < room ? dyn->strsz : room);
    return offset < limit - base ? get_string(pool, v, base + offset, limit) : NULL;
}

static bool read_dynamic(struct pool *pool, const struct view *v, const Elf64_Phdr *ph,
                         struct elf_needs *out)
{
    struct dynamic dyn = {0};
    Elf64_Dyn entry;
    uint64_t count = ph->p_filesz / sizeof(entry), i;
    for (i = 0; i < count; i++) {
        if (!get(v, ph->p_offset + i * sizeof(entry), &entry, sizeof(entry)))
            return false;
        if (entry.d_tag == DT_NULL)
            break;
        note_entry(&dyn, &entry);
    }
    out->no_default_libs = dyn.flags_1 & DF_1_NODEFLIB;
    if (dyn.has_rpath && !(out->rpath = dyn_string(pool, v, &dyn, dyn.rpath)))
        return false;
    if (dyn.has_runpath && !(out->runpath = dyn_string(pool, v, &dyn, dyn.runpath)))
        return false;
    count = i;
    for (i = 0; i < count; i++) {
        get(v, ph->p_offset + i * sizeof(entry), &entry, sizeof(entry));
        if (entry.d_tag != DT_NEEDED)
            continue;
        char *name = dyn_string(pool, v, &dyn, entry.d_un.d_val);
        if (!name || !*name)
            return false;
        out->needed = pool_more(pool, out->needed, out->needed_count, sizeof(char *));
        out->needed[out->needed_count++] = name;
    }
    return true;
}

static bool is_ours(const Elf64_Ehdr *h)
{
    return !memcmp(h->e_ident, ELFMAG, SELFMAG) && h->e_ident[EI_CLASS] == ELFCLASS64 &&
           h->e_ident[EI_DATA] == ELFDATA2LSB && h->e_machine == EM_X86_64 &&
           (h->e_type == ET_EXEC || h->e_type == ET_DYN);
}

bool elf_parse(struct pool *pool, const uint8_t *data, size_t size, struct elf_needs *out,
               const char **why)
{
    struct view v = {.data = data, .size = size};
    Elf64_Phdr ph;
    *out = (struct elf_needs){0};
    if (!get(&v, 0, &v.header, sizeof(v.header)) || !is_ours(&v.header))
        return true;
    *why = "its program headers are broken";
    if (v.header.e_phnum && v.header.e_phentsize != sizeof(ph))
        return false;
    for (unsigned i = 0; i < v.header.e_phnum; i++) {
        if (!get_phdr(&v, i, &ph))
            return false;
        if (ph.p_type == PT_INTERP) {
            uint64_t end = ph.p_offset + ph.p_filesz;
            out->interp = end >= ph.p_offset ? get_string(pool, &v, ph.p_offset, end) : NULL;
            *why = "its interpreter is broken";
            if (!out->interp || out->interp[0] != '/')
                return false;
        } else if (ph.p_type == PT_DYNAMIC && !out->needed) {
            *why = "its dynamic section is broken";
            if (!read_dynamic(pool, &v, &ph, out))
                return false;
        }
    }
    out->is_elf = true;
    return true;
}

int elf_read(struct pool *pool, const char *path, struct elf_needs *out, const char **why)
{
    struct stat st;
    *out = (struct elf_needs){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(Elf64_Ehdr)) {
        close(fd);
        return 0;
    }
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    int error = errno;
    close(fd);
    if (data == MAP_FAILED)
        return -error;
    bool good = elf_parse(pool, data, (size_t)st.st_size, out, why);
    munmap(data, (size_t)st.st_size);
    return good ? 0 : -EINVAL;
}
