# SPDX-License-Identifier: BSD-3-Clause
# TIMEOUT: 120
# openssl: vector code picked by cpuid, timers by signals, random numbers.
. tests/apps/lib.sh
need openssl

try openssl speed -seconds 1 -bytes 16384 sha256 >"$TMPDIR/speed" 2>"$TMPDIR/err" ||
    { echo "speed: status $?"; tail -3 "$TMPDIR/err"; failed=1; }
grep -q '^sha256 *[0-9.]*k *$' "$TMPDIR/speed" ||
    { echo "speed: not the line that was expected"; tail -3 "$TMPDIR/speed"; failed=1; }
same openssl dgst -sha512 /bin/bash
same openssl dgst -blake2b512 /bin/bash
half=00112233445566778899aabbccddeeff
same openssl enc -aes-256-ctr -K $half$half -iv 000102030405060708090a0b0c0d0e0f -in /bin/bash
same openssl version -a
[ "$(try openssl rand -hex 16 | wc -c)" -eq 33 ] || { echo "rand"; failed=1; }
status 0 openssl genpkey -algorithm ed25519
status 0 openssl genrsa 2048
exit $failed
