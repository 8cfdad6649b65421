/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a program finds on its stack: argc, argv, environment, auxiliary vector, and the stack's
 * alignment; uname.
 */
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/utsname.h>
#include "tests/guest/test.h"

extern char **environ;

int main(int argc, char **argv)
{
    struct utsname name;
    expect(argc, 1, 0);
    expect(argv[0] != NULL && strstr(argv[0], "auxv") != NULL, 1, 0);
    expect(argv[1] == NULL, 1, 0);
    expect(environ == argv + argc + 1, 1, 0);
    expect(getauxval(AT_PAGESZ), 4096, 0);
    expect(getauxval(AT_CLKTCK), 100, 0);
    expect(getauxval(AT_UID), getuid(), 0);
    expect(getauxval(AT_EUID), geteuid(), 0);
    expect(getauxval(AT_GID), getgid(), 0);
    expect(getauxval(AT_EGID), getegid(), 0);
    expect(getauxval(AT_SECURE), 0, 0);
    expect(getauxval(AT_PHENT), sizeof(ElfW(Phdr)), 0);
    expect(getauxval(AT_PHNUM) > 0, 1, 0);
    ElfW(Phdr) *phdr = (ElfW(Phdr) *)getauxval(AT_PHDR);
    expect(phdr != NULL && phdr->p_type == PT_PHDR, 1, 0);
    expect(getauxval(AT_BASE) != 0, 1, 0);
    expect(getauxval(AT_ENTRY) != 0, 1, 0);
    expect(*(char *)getauxval(AT_PLATFORM), 'x', 0);
    expect(getauxval(AT_EXECFN) != 0, 1, 0);
    expect(strstr((char *)getauxval(AT_EXECFN), "auxv") != NULL, 1, 0);
    unsigned char *random = (unsigned char *)getauxval(AT_RANDOM);
    expect(random != NULL, 1, 0);
    int sum = 0;
    for (int i = 0; i < 16; i++)
        sum |= random[i];
    expect(sum != 0, 1, 0);
    /* The strings are behind the vector, all on the stack. */
    expect((char *)argv < argv[0], 1, 0);
    expect(((unsigned long)__builtin_frame_address(0) & 15) == 0, 1, 0);
    expect(uname(&name), 0, 0);
    expect(strcmp(name.sysname, "Linux"), 0, 0);
    expect(strcmp(name.machine, "x86_64"), 0, 0);
    expect(atoi(name.release) >= 5, 1, 0);
    return test_end();
}
