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

# In an empty root directory, and as a container image that is an instance's source again.
[ -x /bin/busybox ] || skip "the rest passed; busybox is not here"
new_instance tiny
cp /bin/busybox image/bin/
command='"command": ["/bin/busybox", "echo", "by itself"],'
sed -i "s|\"process\": {|\"process\": { $command|" Occlum.json
build
"$occlum" package --debug "$work/a.tgz" >/dev/null || fail "package"
"$occlum" package --debug "$work/b.tgz" >/dev/null
cmp "$work/a.tgz" "$work/b.tgz" || fail "two packages of one build differ"
"$occlum" package --debug --oci "$work/tiny.oci" >/dev/null || fail "package --oci"
refuses 1 'exists already' "$occlum" package --debug --oci "$work/tiny.oci"
for blob in "$work"/tiny.oci/blobs/sha256/*; do
    [ "$(sha256sum <"$blob" | cut -c1-64)" = "${blob##*/}" ] || fail "$blob"
done
mkdir "$work/root" && tar -xzf "$work/a.tgz" -C "$work/root" || fail "tar"
if chroot "$work/root" /occlum version >/dev/null 2>&1; then
    [ "$(chroot "$work/root" /occlum run)" = "by itself" ] || fail "in an empty root"
    chroot "$work/root" /occlum start || fail "start in an empty root"
    [ "$(chroot "$work/root" /occlum exec /bin/busybox echo served)" = served ] ||
        fail "exec in an empty root"
    chroot "$work/root" /occlum stop || fail "stop in an empty root"
fi
cd "$work" && "$occlum" new --from oci:tiny.oci again || fail "new --from its own image"
[ "$(cd again/image/instance && ./occlum run)" = "by itself" ] || fail "what the image holds"
grep -q '/instance/occlum' again/Occlum.json || fail "the image's entry point"
exit 0
