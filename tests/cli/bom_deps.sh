# SPDX-License-Identifier: BSD-3-Clause
# copy_bom: the libraries that it finds are those that the loader finds, without running
# anything.
copy_bom=$(realpath "${BUILD_DIR:-build}")/bin/copy_bom
cd "$TMPDIR" || exit 1
failed=0

complain() {
    echo "$*"
    failed=1
}

one_target() {
    printf 'targets:\n  - target: /bin\n    copy: [{files: %s}]\n' "$1" >bom.yaml
}

# The programs of this machine: what ldd lists is what is copied.
for program in /bin/bash /usr/bin/python3 /usr/bin/sqlite3 /usr/bin/openssl /bin/ls; do
    [ -e $program ] || continue
    rm -rf root
    one_target "[$program]"
    "$copy_bom" -f bom.yaml --root root || complain "$program: status $?"
    ldd $program | sed -n 's/^[^/]*\(\/[^ ]*\).*/\1/p' | sort >wanted
    (cd root && find . -name '*.so*' | sed 's/^\.//' | sort) >found
    cmp -s wanted found || { complain "$program: < ldd, > copied"; diff wanted found; }
    [ "$(id -u)" -ne 0 ] || chroot root /bin/${program##*/} --help >/dev/null 2>&1 ||
        chroot root /bin/${program##*/} --version >/dev/null 2>&1 ||
        chroot root /bin/${program##*/} version >/dev/null 2>&1 ||
        complain "$program does not start in the root"
done

# Own ones: RUNPATH with \$ORIGIN, RPATH that is inherited, a library that only dlopen would
# find.
mkdir -p app/bin app/lib app/rlib
echo 'int deepest(void) { return 5; }' | gcc -shared -fPIC -x c - -o app/rlib/libdeepest.so
echo 'int deepest(void); int deep(void) { return deepest() + 1; }' |
    gcc -shared -fPIC -x c - -o app/rlib/libdeep.so -Lapp/rlib -ldeepest
echo 'int near(void) { return 2; }' | gcc -shared -fPIC -x c - -o app/lib/libnear.so
echo 'int near(void); int main(void) { return near(); }' |
    gcc -x c - -o app/bin/run -Lapp/lib -lnear '-Wl,--enable-new-dtags,-rpath,$ORIGIN/../lib'
echo 'int deep(void); int main(void) { return deep(); }' |
    gcc -x c - -o app/bin/rpath -Lapp/rlib -ldeep -Wl,-rpath-link,app/rlib \
        "-Wl,--disable-new-dtags,-rpath,$TMPDIR/app/rlib"
cat >bom.yaml <<'E'
targets:
  - target: /opt/x/bin
    copy: [{from: app/bin, files: [run, rpath]}]
E
rm -rf root
"$copy_bom" -f bom.yaml --root root || complain "own programs: status $?"
[ -e root/opt/x/lib/libnear.so ] || complain "\$ORIGIN inside the root"
[ -e "root$TMPDIR/app/rlib/libdeepest.so" ] || complain "an inherited RPATH"
if [ "$(id -u)" -eq 0 ]; then
    LD_ORIGIN_PATH=/opt/x/bin chroot root /opt/x/bin/run
    [ $? -eq 2 ] || complain "run in the root"
    chroot root /opt/x/bin/rpath; [ $? -eq 6 ] || complain "rpath in the root"
fi
# RUNPATH is not inherited: here the loader would not find it either.
echo 'int deep(void); int main(void) { return deep(); }' |
    gcc -x c - -o app/bin/runpath -Lapp/rlib -ldeep -Wl,-rpath-link,app/rlib \
        "-Wl,--enable-new-dtags,-rpath,$TMPDIR/app/rlib"
one_target '[app/bin/runpath]'
rm -rf root
"$copy_bom" -f bom.yaml --root root 2>err
[ $? -eq 248 ] || complain "a library that is missing: status"
grep -q 'libdeep.so needs libdeepest.so' err || { complain "it is not said"; cat err; }
# Listed by hand, or with autodep: false, it is accepted.
one_target '[app/bin/runpath, app/rlib/libdeepest.so]'
"$copy_bom" -f bom.yaml --root root || complain "listed by hand: status $?"
one_target '[{name: app/bin/runpath, autodep: false}]'
rm -rf root
"$copy_bom" -f bom.yaml --root root || complain "autodep false: status $?"
[ -z "$(find root -name '*.so*')" ] || complain "autodep false copied libraries"

# A file that is listed comes before a library that is found.
echo 'int near(void) { return 22; }' | gcc -shared -fPIC -x c - -o libnear.so
cat >bom.yaml <<'E'
targets:
  - {target: /opt/x/bin, copy: [{files: [app/bin/run]}]}
  - {target: /opt/x/lib, copy: [{files: [libnear.so]}]}
E
rm -rf root
"$copy_bom" -f bom.yaml --root root || complain "listed library: status $?"
cmp -s libnear.so root/opt/x/lib/libnear.so || complain "the library that was found won"

# A folder's libraries are found, too; what is missing there is a warning.
cp app/bin/runpath app/rlib/plugin.so
printf 'targets:\n  - target: /plugins\n    copy: [{dirs: [app/rlib/]}]\n' >bom.yaml
rm -rf root app/rlib/libdeepest.so
"$copy_bom" -f bom.yaml --root root 2>err || complain "folder: status $?"
grep -q 'warning: .*needs libdeepest.so' err || { complain "no warning"; cat err; }
[ -e root/lib/x86_64-linux-gnu/libc.so.6 ] || complain "the folder's libc"

# musl's loader finds its own libraries, wherever its path file says.
if command -v musl-gcc >/dev/null; then
    echo 'int main(void) { return 3; }' | musl-gcc -x c - -o app/bin/musl
    one_target '[app/bin/musl]'
    rm -rf root
    "$copy_bom" -f bom.yaml --root root || complain "musl: status $?"
    [ "$(cd root && find . -name '*.so*')" = ./lib/ld-musl-x86_64.so.1 ] ||
        complain "musl: $(find root -name '*.so*')"
    [ "$(id -u)" -ne 0 ] || chroot root /bin/musl
    [ $? -eq 3 ] || [ "$(id -u)" -ne 0 ] || complain "musl in the root"
fi

# Nothing is executed: a loader that would say so is not asked.
printf '#!/bin/sh\ntouch %s/ran\n' "$TMPDIR" >loader
chmod +x loader
echo 'int main(void) { return 0; }' | gcc -x c - -o trap "-Wl,--dynamic-linker=$TMPDIR/loader"
one_target '[trap]'
"$copy_bom" -f bom.yaml --root root >/dev/null 2>&1
[ ! -e ran ] || complain "the loader was run"

# Programs of the original's toolchain name its loader.
echo 'int main(void) { return 4; }' |
    gcc -x c - -o old -Wl,--dynamic-linker=/opt/occlum/glibc/lib/ld-linux-x86-64.so.2
cat >bom.yaml <<'E'
includes: [base.yaml]
targets:
  - {target: /bin, copy: [{files: [old]}]}
  - {target: /opt/occlum/glibc/lib, copy: [{files: [/opt/occlum/glibc/lib/libdl.so.2]}]}
E
rm -rf root
"$copy_bom" -f bom.yaml --root root || complain "original's toolchain: status $?"
[ -e root/lib/x86_64-linux-gnu/libdl.so.2 ] && [ -d root/dev/shm ] ||
    complain "libdl, base.yaml"
[ "$(id -u)" -ne 0 ] || chroot root /bin/old
[ $? -eq 4 ] || [ "$(id -u)" -ne 0 ] || complain "old in the root"
exit $failed
