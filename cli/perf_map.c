/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/perf_map.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "image/file.h"

struct seen {
    struct seen *next;
    uint64_t address;
    char path[];
};

static FILE *map_file;
static const char *map_root;
static struct seen *seen;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct err *perf_map_begin(const char *root)
{
    char path[64];

    snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    map_file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!map_file)
        return err_sys(errno, "%s", path);
    map_root = root;
    return NULL;
}

/* The same file at the same place: programs that start again. */
static int is_new(const char *path, uint64_t address)
{
    for (const struct seen *s = seen; s; s = s->next)
        if (s->address == address && !strcmp(s->path, path))
            return 0;
    struct seen *s = malloc(sizeof(*s) + strlen(path) + 1);
    if (s) {
        s->next = seen;
        s->address = address;
        memcpy(s->path, path, strlen(path) + 1);
        seen = s;
    }
    return 1;
}

static const void *part(const struct file_map *f, uint64_t at, uint64_t size)
{
    return at <= f->size && size <= f->size - at ? f->bytes + at : NULL;
}

/* Where the file's addresses begin, if what is at `offset` in it is at `address`. */
static int find_bias(const struct file_map *f, const Elf64_Ehdr *e, uint64_t address,
                     uint64_t offset, uint64_t *bias)
{
    const Elf64_Phdr *p = part(f, e->e_phoff, (uint64_t)e->e_phnum * sizeof(*p));

    for (unsigned i = 0; p && i < e->e_phnum; i++) {
        if (p[i].p_type == PT_LOAD && offset >= (p[i].p_offset & ~4095ull) &&
            offset < p[i].p_offset + p[i].p_filesz) {
            *bias = address - offset - (p[i].p_vaddr - p[i].p_offset);
            return 1;
        }
    }
    return 0;
}

static void add_table(const struct file_map *f, const Elf64_Shdr *table,
                      const Elf64_Shdr *strings, uint64_t bias)
{
    const Elf64_Sym *s = part(f, table->sh_offset, table->sh_size);
    const char *names = part(f, strings->sh_offset, strings->sh_size);

    if (!s || !names || !strings->sh_size || names[strings->sh_size - 1])
        return;
    for (uint64_t i = 0; i < table->sh_size / sizeof(*s); i++) {
        unsigned type = ELF64_ST_TYPE(s[i].st_info);
        if ((type == STT_FUNC || type == STT_GNU_IFUNC) && s[i].st_shndx != SHN_UNDEF &&
            s[i].st_size && s[i].st_name < strings->sh_size)
            fprintf(map_file, "%lx %lx %s\n", bias + s[i].st_value, s[i].st_size,
                    names + s[i].st_name);
    }
}

static void add_symbols(const struct file_map *f, const Elf64_Ehdr *e, uint64_t bias)
{
    const Elf64_Shdr *h = part(f, e->e_shoff, (uint64_t)e->e_shnum * sizeof(*h));
    const Elf64_Shdr *best = NULL;

    for (unsigned i = 0; h && i < e->e_shnum; i++) {
        if (h[i].sh_link < e->e_shnum &&
            (h[i].sh_type == SHT_SYMTAB || (h[i].sh_type == SHT_DYNSYM && !best)))
            best = &h[i];
    }
    if (best)
        add_table(f, best, &h[best->sh_link], bias);
}

static void add_file(const char *path, uint64_t address, uint64_t offset, int kernel)
{
    struct file_map f;
    struct err *err = file_map(path, &f);
    uint64_t bias = address;

    if (err) {
        err_free(err);
        return;
    }
    const Elf64_Ehdr *e = part(&f, 0, sizeof(*e));
    if (e && !memcmp(e->e_ident, ELFMAG, SELFMAG) && e->e_ident[EI_CLASS] == ELFCLASS64 &&
        (kernel || find_bias(&f, e, address, offset, &bias)))
        add_symbols(&f, e, bias);
    file_unmap(&f);
}

void perf_map_add(const char *name, uint64_t address, uint64_t offset)
{
    char path[8192];

    pthread_mutex_lock(&lock);
    if (!name) {
        struct err *err = kernel_path(path, sizeof(path));
        if (!err)
            add_file(path, address, 0, 1);
        err_free(err);
    } else if (is_new(name, address)) {
        struct stat st;
        int n = snprintf(path, sizeof(path), "%s%s", map_root, name);
        if (n < (int)sizeof(path) && !stat(path, &st) && S_ISREG(st.st_mode))
            add_file(path, address, offset, 0);
    }
    fflush(map_file);
    pthread_mutex_unlock(&lock);
}
