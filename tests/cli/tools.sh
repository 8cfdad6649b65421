# SPDX-License-Identifier: BSD-3-Clause
# The checks and the runner themselves: what is wrong is seen, and fails.
top=$PWD
failed=0
mkdir -p "$TMPDIR/tree/kernel/lib" "$TMPDIR/tree/host" "$TMPDIR/tree/boundary" \
    "$TMPDIR/tree/tests/unit" "$TMPDIR/tree/build/unit" "$TMPDIR/tree/build/bin"
cp -r tools LAYERS "$TMPDIR/tree"
cd "$TMPDIR/tree" || exit 1
mkdir -p abi enclave image emu bom cli
line='/* SPDX-License-Identifier: BSD-3-Clause */'

complain() {
    echo "$*"
    cat out
    failed=1
}

# style EXPECTED: bad.c gives exactly this complaint
style() {
    tools/check-style bad.c >out 2>&1 && complain "not seen: $1"
    grep -q -- "$1" out || complain "not said: $1"
    [ "$(wc -l <out)" -eq 1 ] || complain "more than one complaint for: $1"
}

printf '%s\nint x;\n' "$line" >bad.c
tools/check-style bad.c >out 2>&1 || complain "a good file is refused"
printf 'int x;\nint y;\n' >bad.c; style 'bad.c:2: no SPDX line'
printf '%s\nint x; /* %090d */\n' "$line" 0 >bad.c; style 'bad.c:2: longer than 96 columns'
printf '%s\n\tint x;\n' "$line" >bad.c; style 'bad.c:2: a tab'
printf '%s\nint x; \n' "$line" >bad.c; style 'bad.c:2: ends in a space'
printf '%s\nchar *p = alloca(5);\n' "$line" >bad.c; style 'bad.c:2: alloca'
printf '%s\n{\n    strcpy(a, b);\n}\n' "$line" >bad.c; style 'bad.c:3: an unbounded'
printf '%s\ntypedef struct { int a; } b;\n' "$line" >bad.c; style 'a typedef of a struct'
printf '%s\nint (*f)(void) = (int (*)(void))g;\n' "$line" >bad.c; style 'to a function pointer'
{ echo "$line"; echo 'int f(void)'; echo '{'; seq -f '    x(%g);' 61; echo '}'; } >bad.c
style 'a function of 61 lines'
{ echo "$line"; seq -f 'int x%g;' 800; } >bad.c; style '801 lines, 800 are the limit'
printf '%s\n/* alloca(1) "strcpy(" */ char *s = "alloca(2)"; // strcpy(\n' "$line" >bad.c
tools/check-style bad.c >out 2>&1 || complain "words in comments and strings"
rm bad.c

echo '#include "host/a.h"' >kernel/lib/bad.c
echo '#pragma once' >host/a.h
tools/check-layers >out 2>&1 && complain "the kernel may include the host"
grep -q 'kernel/lib/bad.c:1: kernel/lib may not include host' out || complain "layers"
echo '#include "boundary/b.h"' >kernel/lib/bad.c
tools/check-layers >out 2>&1 && complain "a header that is not there"
echo '#pragma once' >boundary/b.h
tools/check-layers >out 2>&1 || complain "an edge that is allowed"

for test in 'good 0' 'bad 3' 'skipped 77' 'slow 0'; do
    set -- $test
    printf '/* TIMEOUT: 1 */\n' >tests/unit/test_$1.c
    printf '#!/bin/sh\necho "reason of %s"\nexit %s\n' "$1" "$2" >build/unit/test_$1
    chmod +x build/unit/test_$1
done
echo 'sleep 20' >>build/unit/test_slow
sed -i 's/exit 0/true/' build/unit/test_slow
echo >tests/unit/test_not_built.c
sh tools/run-tests build unit >out 2>&1 && complain "failures end with status 0"
[ "$(tail -1 out)" = "1 passed, 3 failed, 1 skipped" ] || complain "the counts"
grep -q '^PASS unit/test_good [0-9.]*s$' out || complain "PASS"
grep -q '^SKIP unit/test_skipped .* reason of skipped$' out || complain "SKIP"
grep -q '^    reason of bad$' out || complain "the output of a failure"
grep -q '^FAIL unit/test_slow .*no end after 1 s' out || complain "the time limit"
sh tools/run-tests build unit/test_good >out 2>&1 || complain "one good test"
sh tools/run-tests build nothing-like-this >out 2>&1 && complain "no test at all is no success"
cd "$top" || exit 1
exit $failed
