#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Bits flipped anywhere in an image that is mounted: data, hash tree, superblock. What a program
# reads or maps is right or an I/O error; code on a damaged page is never executed.
# TIMEOUT: 200
. tests/cli/lib/instance
cd - >/dev/null || exit 1

"${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE -O1 -static tests/hostile/reader.c -o "$work/reader" ||
    exit 1
new_instance inst
mkdir image/data
"$work/reader" make image/data || fail "reader make"
cp "$work/reader" image/bin/
build
image=build/rootfs.img
cp $image "$work/good"
size=$(stat -c %s $image)
blocks=$((size / 4096))

# read_all, run_code: set $got; nothing wrong may have been seen
read_all() {
    timeout -s KILL 30 "$occlum" run /bin/reader read /data "$@" >"$work/out" 2>&1 </dev/null
    got=$?
    case $got in
    0 | 5) ;;
    125 | 126 | 127 | 135) # does not start: its own pages, or what boot needs
        ! grep -Eq 'assertion|exception|WRONG' "$work/out" || { cat "$work/out"; fail "$what"; }
        ;;
    *) cat "$work/out"; fail "status $got: $what" ;;
    esac
}
run_code() {
    timeout -s KILL 30 "$occlum" run /bin/reader run >"$work/out" 2>&1 </dev/null
    got=$?
    case $got in
    0 | 125 | 126 | 127 | 135) ;;
    *) cat "$work/out"; fail "status $got: $what" ;;
    esac
    ! grep -Eq 'assertion|exception' "$work/out" || { cat "$work/out"; fail "$what"; }
}
what=undamaged
read_all
[ $got -eq 0 ] || { cat "$work/out"; fail "an undamaged image: status $got"; }
run_code
[ $got -eq 0 ] || { cat "$work/out"; fail "undamaged code: status $got"; }

seed=${IMAGE_SEED:-$(date +%s)}
random() { # below $1; not in a subshell
    seed=$(((seed * 1103515245 + 12345) & 0x7fffffff))
    number=$(((seed >> 4) * 7919 % $1))
}
restore() { cp "$work/good" $image; }

# ---- one to sixteen bits anywhere
reads=0 refused=0 unnoticed=0
for round in $(seq 40); do
    what="seed $seed"
    random 16
    for bit in $(seq $((number + 1))); do
        random "$size"
        flip $image $number
    done
    read_all
    case $got in
    0) unnoticed=$((unnoticed + 1)) ;;
    5) reads=$((reads + 1)) ;;
    *) refused=$((refused + 1)) ;;
    esac
    restore
done
echo "anywhere: $reads saw errors, $refused were refused, $unnoticed saw nothing"

# ---- one bit in each of the files' blocks, which boot does not need
seen=0
for file in image/data/*; do
    [ "$(stat -c %s "$file")" -gt 4096 ] || continue
    mark=$(head -c 8 "$file" | od -An -tx1 | sed 's/ /\\x/g')
    at=$(LC_ALL=C grep -abo -P "$mark" "$work/good" | head -1 | cut -d: -f1)
    [ -n "$at" ] || fail "the contents of $file are not in the image as they are"
    what="$file, byte $at"
    flip $image "$at"
    read_all
    [ $got -eq 5 ] || fail "status $got: $what"
    flip $image "$at"
    seen=$((seen + 1))
    [ $seen -lt 6 ] || break
done
[ $seen -gt 3 ] || fail "no files to damage"

# ---- each of the first and the last blocks: superblock, inodes; the top of the hash tree
for block in 0 1 2 3 $((blocks - 1)) $((blocks - 2)) $((blocks - 3)) $((blocks - 4)); do
    for offset in 0 100 1024 1100 4095; do
        what="block $block, byte $offset"
        flip $image $((block * 4096 + offset))
        read_all
        flip $image $((block * 4096 + offset))
    done
done
cmp -s $image "$work/good" || fail "the image was not put back"

# ---- pages of the program's own code: found by what they hold
text=$(grep -abo 'WRONG: %s of file' "$work/reader" | head -1 | cut -d: -f1)
start=$(grep -abo 'WRONG: %s of file' $image | head -1 | cut -d: -f1)
[ -n "$text" ] && [ -n "$start" ] || fail "the program is not in the image as it is"
start=$((start - text))
bus=0
for page in $(seq 0 "$(($(stat -c %s "$work/reader") / 4096 - 1))"); do
    [ $((page % 5)) -eq 1 ] || [ "$page" -lt 60 ] || continue
    what="page $page of the program"
    random 4096
    flip $image $((start + page * 4096 + number))
    run_code
    [ $got -ne 135 ] || bus=$((bus + 1))
    flip $image $((start + page * 4096 + number))
done
echo "code: $bus runs ended by SIGBUS"
[ $bus -gt 3 ] || fail "damaged code was not noticed"

# ---- bits that come and go while it is read
(while :; do
    random "$size"
    flip $image $number
    flip $image $number
done) &
flipper=$!
what="bits that come and go"
for round in 1 2 3 4 5 6; do
    read_all 3
done
kill $flipper
wait $flipper 2>/dev/null
exit 0
