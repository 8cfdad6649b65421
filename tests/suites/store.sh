# SPDX-License-Identifier: BSD-3-Clause
# What other people's programs make of an encrypted store: Python's tests of files, git, fio,
# stress-ng's stressors of file systems, tar, rsync, dpkg-deb and sqlite3. Natively the same, on
# the machine's own files.
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
    test_zipfile test_tarfile test_io test_mmap test_glob}; do
    [ "${t#test_}" = "$t" ] && continue
    fresh
    by_summary "$t" /usr/bin/python3.11 -m test -v "$t"
done
[ -z "$CASES" ] || exit 0

# Debian's package of the tests has those of sqlite3 not: they come from the source.
if tarball=$(tarball_of python3.11); then
    tar -C "$work" --strip-components=3 --wildcards -xf "$tarball" '*/Lib/test/test_sqlite3'
    fresh
    # shellcheck disable=SC2046
    by_summary test_sqlite3 /usr/bin/python3.11 -c 'import sys, test, unittest
test.__path__.append(sys.argv.pop(1))
unittest.main(module=None)' "$work" -v $(cd "$work" && ls test_sqlite3/test_*.py |
        sed 's|/|.|; s|\.py$||; s|^|test.|')
fi

# A tree of 2,000 files with links, modes and times: packed, unpacked, compared.
tree='i=0
    mkdir -p tree
    while [ $i -lt 2000 ]; do
        [ $((i % 100)) -ne 0 ] || mkdir "tree/d$i" && d=$((i / 100 * 100))
        seq $((i % 300)) >"tree/d$d/f$i"
        [ $((i % 10)) -ne 0 ] || ln -s "f$i" "tree/d$d/l$i"
        [ $((i % 20)) -ne 0 ] || ln "tree/d$d/f$i" "tree/d$d/h$i"
        [ $((i % 30)) -ne 0 ] || chmod 600 "tree/d$d/f$i"
        i=$((i + 1))
    done'
fresh
by_status tar sh -ec "$tree"'
    tar -cf a.tar tree
    mkdir out
    tar -C out -xpf a.tar
    diff -r tree out/tree
    tar -C out -df a.tar'
fresh
by_status rsync sh -ec "$tree"'
    rsync -aH tree/ copy
    diff -r tree copy
    [ -z "$(rsync -aHcin tree/ copy)" ]
    echo more >>tree/d100/f107
    rm tree/d200/f251
    rsync -aH --delete --inplace tree/ copy
    diff -r tree copy'
fresh
by_status dpkg-deb sh -ec "$tree"'
    mkdir -p package/DEBIAN package/usr/share
    cp -a tree package/usr/share/
    printf "Package: tree\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b>\nDescription: d\n" \
        >package/DEBIAN/control
    dpkg-deb --root-owner-group -Znone -b package tree.deb
    dpkg-deb -x tree.deb out
    diff -r tree out/usr/share/tree'
for mode in delete truncate persist wal; do
    fresh
    by_status "sqlite3-$mode" sh -ec 'sqlite3 db "PRAGMA journal_mode='$mode';
        CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT);
        CREATE INDEX i ON t(name);"
        for k in $(seq 20); do
            sqlite3 db "BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n
                WHERE i < 500) INSERT INTO t(name) SELECT hex(i * '"\$k"' * 7919) FROM n; COMMIT;"
            sqlite3 db "BEGIN; DELETE FROM t; ROLLBACK;"
            sqlite3 db "DELETE FROM t WHERE id % 7 = 3; VACUUM;"
        done
        [ "$(sqlite3 db "PRAGMA integrity_check; SELECT count(*) > 1000 FROM t;" | tr "\n" " ")" \
            = "ok 1 " ]'
done

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
