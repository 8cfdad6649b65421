# SPDX-License-Identifier: BSD-3-Clause
# Every way in which a program may be linked: PIE, static, static-PIE, at a fixed address, with
# another C library, with no C library at all, by another compiler.
. tests/apps/lib.sh

source='#include <stdio.h>
#include <string.h>
#include <stdlib.h>
int global = 7; static char bss[70000]; static const char *names[] = {"a", "b", "c"};
__thread int local = 5;
static void __attribute__((constructor)) early(void) { global++; }
int main(int argc, char **argv)
{
    char *heap = malloc(300000);
    memset(heap, 1, 300000);
    for (int i = 0; i < 3; i++)
        printf("%s %d ", names[i], bss[i * 30000]);
    printf("%d %d %d %s %.3f\n", global, local, argc, argv[argc - 1], strtod("2.5", NULL) * 2);
    fprintf(stderr, "to stderr\n");
    return 42;
}'
flavour() {
    printf '%s\n' "$source" | compile "$TMPDIR/$1" $2 || exit 1
    same "$TMPDIR/$1" hello
}
flavour pie "-pie -fPIE"
flavour fixed "-no-pie -fno-pie"
flavour static "-static -no-pie"
flavour static_pie "-static-pie -fPIE"
flavour lazy "-pie -fPIE -Wl,-z,lazy"
flavour now "-pie -fPIE -Wl,-z,now"
if command -v musl-gcc >/dev/null; then
    CC=musl-gcc flavour musl "-pie -fPIE"
    CC=musl-gcc flavour musl_static "-static"
fi

# No C library: the first and the last thing are system calls.
printf '%s\n' 'void _start(void){__asm__("mov $231,%eax; mov $9,%edi; syscall; hlt");}' |
    compile "$TMPDIR/bare" -nostdlib -static -no-pie
same "$TMPDIR/bare"
# A large gap in the addresses, and a page aligned segment.
printf '%s\n' 'char big[64 << 20]; char page[8192] __attribute__((aligned(65536))) = {1};' \
    'int main(void) { big[60 << 20] = 1; return big[1] + page[0] + big[60 << 20]; }' |
    compile "$TMPDIR/big"
same "$TMPDIR/big"
exit $failed
