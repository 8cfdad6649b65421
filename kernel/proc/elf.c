/* SPDX-License-Identifier: BSD-3-Clause */
/* ELF headers and script lines; see elf.h. Trusts nothing that it reads. */
#include "proc/elf.h"

#include "abi/elf.h"
#include "abi/errno.h"
#include "lib/string.h"
#include "mm/kmalloc.h"
#include "mm/vm.h"

#define ALIGN_MAX (1ull << 30)

static int read_exactly(const struct elf_source *s, void *buffer, size_t size, uint64_t offset)
{
    ssize_t n = s->read(s->file, buffer, size, offset);
    if (n < 0)
        return (int)n;
    return (size_t)n == size ? 0 : -EIO;
}

static int check_header(const struct abi_elf_header *h)
{
    if (h->magic != ELF_MAGIC || h->elf_class != ELF_CLASS_64 || h->data != ELF_DATA_LSB)
        return -ENOEXEC;
    if (h->machine != ELF_MACHINE_X86_64)
        return -ENOEXEC;
    if (h->type != ELF_TYPE_EXEC && h->type != ELF_TYPE_DYN)
        return -ENOEXEC;
    if (h->phentsize != sizeof(struct abi_elf_phdr) || !h->phnum || h->phnum > ELF_MAX_PHDRS)
        return -ENOEXEC;
    return 0;
}

static uint32_t segment_prot(uint32_t flags)
{
    return (flags & ELF_PF_R ? PROT_READ : 0) | (flags & ELF_PF_W ? PROT_WRITE : 0) |
           (flags & ELF_PF_X ? PROT_EXEC : 0);
}

static int add_segment(struct elf_image *im, const struct abi_elf_phdr *p)
{
    uint64_t end, file_end;
    if (!p->memsz)
        return 0;
    if (p->filesz > p->memsz || add_overflows(p->vaddr, p->memsz, &end) ||
        end > ELF_ADDRESS_END || add_overflows(p->offset, p->filesz, &file_end) ||
        file_end > INT64_MAX)
        return -ENOEXEC;
    if ((p->vaddr ^ p->offset) & (PAGE_SIZE - 1) && p->filesz)
        return -ENOEXEC;
    if (im->segment_count == ELF_MAX_SEGMENTS)
        return -ENOEXEC;
    if (im->segment_count) {
        const struct elf_segment *last = &im->segment[im->segment_count - 1];
        if (p->vaddr < last->vaddr + last->mem_size)
            return -ENOEXEC;
    } else {
        im->start = align_down(p->vaddr, PAGE_SIZE);
    }
    im->segment[im->segment_count++] = (struct elf_segment){
        .vaddr = p->vaddr,
        .offset = p->offset,
        .file_size = p->filesz,
        .mem_size = p->memsz,
        .prot = segment_prot(p->flags),
    };
    im->end = align_up(end, PAGE_SIZE);
    if (!(p->align & (p->align - 1)) && p->align <= ALIGN_MAX && p->align > im->align)
        im->align = p->align;
    return 0;
}

static int add_interp(const struct elf_source *s, struct elf_image *im,
                      const struct abi_elf_phdr *p)
{
    if (im->interp[0])
        return 0; /* the first one counts */
    if (p->filesz < 2 || p->filesz > ELF_INTERP_MAX)
        return -ENOEXEC;
    int r = read_exactly(s, im->interp, p->filesz, p->offset);
    if (r)
        return r;
    if (im->interp[p->filesz - 1] != '\0' || !im->interp[0])
        return -ENOEXEC;
    return 0;
}

/* Where the program headers will be found in memory. */
static void find_phdr(struct elf_image *im, uint64_t phoff)
{
    for (uint32_t i = 0; i < im->segment_count; i++) {
        const struct elf_segment *g = &im->segment[i];
        if (phoff >= g->offset && phoff - g->offset < g->file_size) {
            im->phdr = g->vaddr + (phoff - g->offset);
            return;
        }
    }
}

static int read_phdrs(const struct elf_source *s, struct elf_image *im,
                      const struct abi_elf_header *h)
{
    size_t size = h->phnum * sizeof(struct abi_elf_phdr);
    struct abi_elf_phdr *table = kzalloc(size);
    if (!table)
        return -ENOMEM;
    int r = read_exactly(s, table, size, h->phoff);
    for (uint32_t i = 0; !r && i < h->phnum; i++) {
        if (table[i].type == ELF_PT_LOAD)
            r = add_segment(im, &table[i]);
        else if (table[i].type == ELF_PT_INTERP)
            r = add_interp(s, im, &table[i]);
        else if (table[i].type == ELF_PT_GNU_STACK)
            im->exec_stack = table[i].flags & ELF_PF_X;
    }
    kfree(table);
    if (!r && !im->segment_count)
        r = -ENOEXEC;
    return r;
}

int elf_parse(const struct elf_source *s, struct elf_image *im)
{
    struct abi_elf_header h;
    memset(im, 0, sizeof(*im));
    ssize_t n = s->read(s->file, &h, sizeof(h), 0);
    if (n < 0)
        return (int)n;
    if ((size_t)n != sizeof(h))
        return -ENOEXEC;
    int r = check_header(&h);
    if (r)
        return r;
    im->fixed = h.type == ELF_TYPE_EXEC;
    im->entry = h.entry;
    im->phnum = h.phnum;
    im->align = PAGE_SIZE;
    r = read_phdrs(s, im, &h);
    if (r)
        return r;
    find_phdr(im, h.phoff);
    if (im->entry < im->start || im->entry >= im->end)
        return -ENOEXEC;
    return 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

int script_parse(char *line, size_t size, char **interpreter, char **argument)
{
    *argument = NULL;
    if (size < 3 || line[0] != '#' || line[1] != '!')
        return -ENOEXEC;
    char *end = memchr(line, '\n', size), *p = line + 2;
    if (!end) {
        /* Cut off: fine as long as the interpreter's name itself is whole. */
        end = line + size - 1;
        char *q = p;
        while (q < end && is_blank(*q))
            q++;
        while (q < end && *q && !is_blank(*q))
            q++;
        if (q == end)
            return -ENOEXEC;
    }
    *end = '\0';
    end = line + strlen(line);
    while (end > p && is_blank(end[-1]))
        *--end = '\0';
    while (is_blank(*p))
        p++;
    if (!*p)
        return -ENOEXEC;
    *interpreter = p;
    while (*p && !is_blank(*p))
        p++;
    if (!*p)
        return 0;
    *p++ = '\0';
    while (is_blank(*p))
        p++;
    if (*p)
        *argument = p;
    return 0;
}
