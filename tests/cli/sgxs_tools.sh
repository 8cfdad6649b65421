#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The enclave file and its signature by other people's tools (the crate sgxs-tools): they must
# read the stream, find the pages, and sign it to the very same 1808 bytes.
. tests/cli/lib/instance

PATH=$PATH:${SGXS_TOOLS:-$HOME/.cargo}/bin
command -v sgxs-sign >/dev/null && command -v sgxs-info >/dev/null ||
    skip "sgxs-info and sgxs-sign are not here (cargo install sgxs-tools; SGXS_TOOLS=its root)"
new_instance inst
openssl genrsa -3 -out key.pem 3072 2>/dev/null || skip "openssl genrsa -3 does not work"
sed -i 's/"product_id": 0/"product_id": 291/; s/"version_number": 0/"version_number": 5/' \
    Occlum.json
SOURCE_DATE_EPOCH=1700000000
export SOURCE_DATE_EPOCH
build --sign-key key.pem

sgxs-info list-pages build/enclave.sgxs >pages || fail "sgxs-info list-pages"
[ "$(grep -c 'pagetype=1 ' pages)" -eq 32 ] || { head -50 pages; fail "not 32 TCSs"; }
# What the configuration leaves open: DEBUG and AEXNOTIFY; AVX and AVX-512.
sgxs-sign --key key.pem --date 20231114 --isvprodid 291 --isvsvn 5 --miscselect 1/0 \
    --attributes 0x4/0x402 --xfrm 0x3/0xe4 build/enclave.sgxs other.sig || fail "sgxs-sign"
cmp other.sig build/enclave.sig || fail "the signatures differ"
exit 0
