# SPDX-License-Identifier: BSD-3-Clause
# Two files of C, a makefile, and the program that they make.   small.sh FOLDER
export PATH=/usr/bin:/bin
mkdir -p "$1" && cd "$1" || exit 1
cat >main.c <<'C'
#include <stdio.h>
int square(int n);
int main(void)
{
    return printf("%d\n", square(12)) < 0;
}
C
echo 'int square(int n) { return n * n; }' >square.c
printf 'CC = gcc\nCFLAGS = -O2\nmain: main.o square.o\n' >Makefile
make -j2 | sort && sha256sum main && ./main
cd / && rm -rf "$1"
