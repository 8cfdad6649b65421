/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program loader's reader: this machine's programs, broken copies of them, script lines.
 * LINK: kernel/proc/elf.c
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/elf.h"
#include "proc/elf.h"
#include "tests/unit/bytes.h"
#include "tests/unit/unit.h"

static long blocks;

void *kzalloc(size_t size)
{
    blocks++;
    return calloc(1, size);
}
void kfree(void *p)
{
    blocks -= p != NULL;
    free(p);
}

static int parse(struct bytes *b, struct elf_image *im)
{
    struct elf_source s = {read_bytes, b};
    int r = elf_parse(&s, im);
    CHECK_EQ(blocks, 0);
    return r;
}

static bool load_file(const char *path, struct bytes *b)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st))
        return false;
    b->size = (size_t)st.st_size;
    b->data = malloc(b->size);
    CHECK_EQ(read(fd, b->data, b->size), b->size);
    close(fd);
    return true;
}

/* What every accepted image promises. */
static void check_promises(const struct elf_image *im)
{
    uint64_t end = 0;
    CHECK(im->segment_count > 0 && im->segment_count <= ELF_MAX_SEGMENTS);
    CHECK(im->start < im->end && im->end <= ELF_ADDRESS_END + PAGE_SIZE);
    CHECK(!(im->start & (PAGE_SIZE - 1)) && !(im->end & (PAGE_SIZE - 1)));
    CHECK(im->entry >= im->start && im->entry < im->end);
    CHECK(im->align >= PAGE_SIZE && !(im->align & (im->align - 1)));
    for (uint32_t i = 0; i < im->segment_count; i++) {
        const struct elf_segment *s = &im->segment[i];
        CHECK(s->mem_size && s->file_size <= s->mem_size);
        CHECK(s->vaddr >= end && s->vaddr >= im->start);
        end = s->vaddr + s->mem_size;
        CHECK(end > s->vaddr && end <= im->end);
        CHECK(!s->file_size || !((s->vaddr ^ s->offset) & (PAGE_SIZE - 1)));
    }
    CHECK(memchr(im->interp, '\0', sizeof(im->interp)));
}

static void test_real(void)
{
    static const char *const files[] = {
        "/bin/true",        "/bin/bash",
        "/usr/bin/python3", "/lib64/ld-linux-x86-64.so.2",
        "/bin/busybox",     "/lib/ld-musl-x86_64.so.1",
        "/proc/self/exe",
    };
    struct elf_image im;
    unsigned seen = 0;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        struct bytes b;
        if (!load_file(files[i], &b))
            continue;
        CHECK_EQ(parse(&b, &im), 0);
        check_promises(&im);
        CHECK(im.phdr >= im.start && im.phdr < im.end);
        if (strstr(files[i], "true") || strstr(files[i], "self"))
            CHECK(!strcmp(im.interp, "/lib64/ld-linux-x86-64.so.2"));
        free(b.data);
        seen++;
    }
    CHECK(seen >= 2);
}

static struct bytes sample(void)
{
    struct bytes b = {calloc(1, 8192), 8192};
    struct abi_elf_header *h = (void *)b.data;
    struct abi_elf_phdr *p = (void *)(b.data + 64);
    *h = (struct abi_elf_header){
        .magic = ELF_MAGIC,
        .elf_class = ELF_CLASS_64,
        .data = ELF_DATA_LSB,
        .version = 1,
        .type = ELF_TYPE_EXEC,
        .machine = ELF_MACHINE_X86_64,
        .file_version = 1,
        .entry = 0x401000,
        .phoff = 64,
        .ehsize = 64,
        .phentsize = 56,
        .phnum = 2,
    };
    p[0] = (struct abi_elf_phdr){.type = ELF_PT_LOAD,
                                 .flags = 5,
                                 .vaddr = 0x400000,
                                 .filesz = 0x1800,
                                 .memsz = 0x1800,
                                 .align = 0x1000};
    p[1] = (struct abi_elf_phdr){.type = ELF_PT_LOAD,
                                 .flags = 6,
                                 .vaddr = 0x402800,
                                 .offset = 0x1800,
                                 .filesz = 0x100,
                                 .memsz = 0x9000,
                                 .align = 0x200000};
    return b;
}

/* Each change makes the program unusable. */
static void test_broken(void)
{
    static const struct {
        size_t offset, size;
        uint64_t value;
    } changes[] = {
        {0, 4, 0x464c4580},
        {4, 1, 1},
        {5, 1, 2},
        {16, 2, 1},
        {16, 2, 4},
        {18, 2, 3},
        {18, 2, 183},
        {54, 2, 55},
        {56, 2, 0},
        {56, 2, 2000},
        {24, 8, 0x10},
        {24, 8, 0x40c000},
        {64 + 32, 8, 0x1801},
        {64 + 40, 8, 0x2801},
        {64 + 40, 8, UINT64_MAX},
        {64 + 16, 8, 0x7ffffffff000},
        {64 + 16, 8, 0x400001},
        {120 + 16, 8, 0x400800},
        {120 + 8, 8, UINT64_MAX - 0x7ff},
        {120 + 40, 8, 0x10},
    };
    struct elf_image im;
    struct bytes good = sample();
    CHECK_EQ(parse(&good, &im), 0);
    check_promises(&im);
    CHECK(im.fixed && im.segment_count == 2 && im.align == 0x200000);
    CHECK_EQ(im.phdr, 0x400040);
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        struct bytes b = sample();
        memcpy(b.data + changes[i].offset, &changes[i].value, changes[i].size);
        if (parse(&b, &im) != -ENOEXEC)
            fprintf(stderr, "change %zu\n", i);
        CHECK_EQ(parse(&b, &im), -ENOEXEC);
        free(b.data);
    }
    for (size_t cut = 0; cut < 64 + 112; cut++) {
        struct bytes b = {good.data, cut};
        CHECK_EQ(parse(&b, &im), cut < 64 ? -ENOEXEC : -EIO);
    }
    free(good.data);
}

static void test_noise(void)
{
    struct elf_image im;
    unsigned accepted = 0;
    for (int round = 0; round < 200000; round++) {
        struct bytes b = sample();
        unsigned n = 1 + unit_random() % 4;
        while (n--)
            b.data[unit_random() % 176] = (unsigned char)unit_random();
        if (!parse(&b, &im)) {
            check_promises(&im);
            accepted++;
        }
        free(b.data);
    }
    CHECK(accepted > 1000);
}

static void script(const char *text, const char *interpreter, const char *argument)
{
    char line[257] = "";
    char *i, *a;
    strncpy(line, text, 256);
    int r = script_parse(line, 256, &i, &a);
    CHECK_EQ(r, interpreter ? 0 : -ENOEXEC);
    if (r)
        return;
    CHECK(!strcmp(i, interpreter));
    CHECK(!a == !argument && (!a || !strcmp(a, argument)));
}

static void test_scripts(void)
{
    char lots[300];
    script("#!/bin/sh\necho", "/bin/sh", NULL);
    script("#!/bin/sh", "/bin/sh", NULL);
    script("#! \t/usr/bin/env  python3 -u  \nx", "/usr/bin/env", "python3 -u");
    script("#!/bin/sh -e\t\n", "/bin/sh", "-e");
    script("#!\n", NULL, NULL);
    script("#!   \nfoo", NULL, NULL);
    script("#", NULL, NULL);
    script("ELF", NULL, NULL);
    memset(lots, 'a', sizeof(lots));
    memcpy(lots, "#!/", 3);
    lots[299] = '\0';
    script(lots, NULL, NULL); /* the name is cut off */
    lots[9] = ' ';
    lots[255] = '\0';
    char cut[300];
    memcpy(cut, lots + 10, strlen(lots + 10) + 1);
    memset(lots + 255, 'a', 44);
    script(lots, "/aaaaaa", cut); /* only the argument is */
}

int main(void)
{
    test_real();
    test_broken();
    test_noise();
    test_scripts();
    puts("ok");
    return 0;
}
