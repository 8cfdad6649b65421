# SPDX-License-Identifier: BSD-3-Clause
# What other people's programs make of an encrypted store: Python's tests of files, git, fio,
# stress-ng's stressors of file systems. Natively the same, on the machine's own files.
suite=store
. tests/suites/lib.sh
echo "sefs" >"$work/version"
fresh() {
    rm -rf "$work/native" "$work/inside"
    mkdir "$work/native" "$work/inside"
}
# Each side in a folder of its own, which inside is the store.
natively() { (cd "$work/native" && TMPDIR=$PWD timeout -k 5 "$LIMIT" "$@" </dev/null); }
inside() {
    (cd "$work/inside" && TMPDIR=$PWD timeout -k 5 "$LIMIT" \
        "$occlum" try --quiet --store "$PWD" "$@" </dev/null)
}
LIMIT=300
for t in ${CASES:-test_os test_shutil test_tempfile test_posix test_fcntl test_pathlib \
    test_zipfile test_tarfile test_sqlite3 test_io test_mmap test_glob}; do
    [ "${t#test_}" = "$t" ] && continue
    fresh
    by_lines "$t" '\.\.\. ok$' /usr/bin/python3.11 -m test -v "$t"
done
[ -z "$CASES" ] || exit 0

# 5,000 files: added, cloned, checked.
fresh
by_status git sh -ec 'export HOME=$PWD
    git init -q repo
    cd repo
    for i in $(seq 50); do
        mkdir "d$i"
        for j in $(seq 100); do echo "$i $j" >"d$i/f$j"; done
    done
    git add -A
    git -c user.name=a -c user.email=a@b commit -q -m all
    cd ..
    git clone -q repo copy
    cd copy
    git fsck --full --strict
    [ "$(git ls-files | wc -l)" -eq 5000 ] && [ -z "$(git status --short)" ]'
for pattern in write randwrite rw randrw; do
    for verify in crc32c sha256 pattern; do
        fresh
        by_status "fio-$pattern-$verify" fio --name=v --rw=$pattern --bs=4k --size=32m \
            --verify=$verify --verify_pattern=0xdeadbeef --do_verify=1 --ioengine=psync \
            --thread --fsync=64
    done
done
for t in access chdir chmod chown copy-file dentry dir dirdeep dirmany fallocate fcntl file-ioctl \
    filename flock fpunch fsize fstat getdent hdd io iomix link locka lockf lockofd mknod open \
    rename symlink sync-file touch utime xattr; do
    fresh
    by_status "stress-$t" stress-ng --"$t" 1 --timeout "${SECONDS_EACH:-2}" --verify --temp-path .
done
