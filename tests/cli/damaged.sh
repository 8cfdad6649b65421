#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A bit flipped in what `occlum run` opens is found before anything runs, and the file is named.
# TIMEOUT: 120
. tests/cli/lib/instance

new_instance inst
build
cp -a build good
size=$(stat -c %s build/enclave.sgxs)

damage() { # FILE OFFSET
    flip "build/$1" "$2"
    refuses 125 "build/$1" "$occlum" run /bin/true
    cp "good/$1" "build/$1"
}

for offset in 0 9 12 70 80 200 5000 $((size / 3)) $((size / 2)) $((size - 1)); do
    damage enclave.sgxs "$offset"
done
for offset in 0 17 24 30 60 128 400 512 516 700 900 928 960 1024 1026 1030 1100 1500 1807; do
    damage enclave.sig "$offset"
done
for offset in 0 8 16 47 48; do
    damage enclave.sites "$offset"
done
flip build/enclave.sig 700
refuses 1 'build/enclave.sig: the signature' "$occlum" print mrsigner
cp good/enclave.sig build/enclave.sig

# Cut short, too long, or gone.
for file in enclave.sgxs enclave.sig enclave.sites rootfs.img; do
    truncate -s -1 "build/$file"
    refuses 125 "build/$file" "$occlum" run /bin/true
    cp "good/$file" "build/$file"
    echo >>"build/$file"
    refuses 125 "build/$file" "$occlum" run /bin/true
    : >"build/$file"
    refuses 125 "build/$file" "$occlum" run /bin/true
    cp "good/$file" "build/$file"
done
for file in enclave.sig enclave.sites rootfs.img; do
    rm "build/$file"
    refuses 125 "build/$file: No such file" "$occlum" run /bin/true
    cp "good/$file" "build/$file"
done

# A signature and an enclave of different builds.
echo other >>image/etc/greeting
build
cp good/enclave.sig build/enclave.sig
refuses 125 'build/enclave.sgxs: damaged: its measurement' "$occlum" run /bin/true
exit 0
