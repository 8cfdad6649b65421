#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# package: a build that runs elsewhere; refused where it would mislead.
. tests/cli/lib/instance

new_instance inst
refuses 1 'the instance is not built' "$occlum" package
build
refuses 1 'the enclave is debuggable' "$occlum" package
[ ! -e inst.tar.gz ] || fail "a package in spite of it"
[ "$("$occlum" package --debug)" = inst.tar.gz ] || fail "package --debug"
refuses 1 'inst.tar.gz: exists already' "$occlum" package --debug
rm inst.tar.gz
sed -i 's/"debuggable": true/"debuggable": false/' Occlum.json
build
[ "$("$occlum" package ../named.tgz)" = ../named.tgz ] || fail "package NAME"
mkdir ../elsewhere && tar -xzf ../named.tgz -C ../elsewhere || fail "tar"
measured=$(mrenclave)
flip build/enclave.sgxs 5000
refuses 1 'build/enclave.sgxs: damaged' "$occlum" package ../bad.tgz
[ ! -e ../bad.tgz ] || fail "a package of a damaged build"
cd ../elsewhere || fail "cd"
[ "$(mrenclave)" = "$measured" ] || fail "another MRENCLAVE"
[ "$("$occlum" status)" = built ] || fail "status"
[ ! -e image ] && [ ! -e run ] || fail "too much was packed"
exit 0
