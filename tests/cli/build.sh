#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# build: reproducible, keeps what is not its own, changes its measurement with every input.
. tests/cli/lib/instance

new_instance one
mkdir run && echo kept >run/data
build
[ "$("$occlum" status)" = built ] || fail "status"
[ "$(cat run/data)" = kept ] || fail "run/ was touched"
first=$(mrenclave)
[ "$first" = "$(sha256sum build/enclave.sgxs | cut -d' ' -f1)" ] || fail "MRENCLAVE of the file"
[ "${#first}" -eq 64 ] || fail "length of MRENCLAVE"
cp build/rootfs.img ../rootfs.1

# The same again, here and at another path; other names, same content.
build --force --enable-edmm Y --sgx-mode SIM
[ "$(mrenclave)" = "$first" ] || fail "a second build differs"
[ "$(cat build/.sgx_mode)" = SIM ] || fail "--sgx-mode is not kept"
cp -a ../one ../two && cd ../two && rm -rf build || fail "cp"
build
[ "$(mrenclave)" = "$first" ] || fail "a build at another path differs"
cmp build/rootfs.img ../rootfs.1 || fail "the image differs"
[ ! -e build/.sgx_mode ] || fail "a mode that was not asked for"

# Modification times count, unless SOURCE_DATE_EPOCH clamps them.
touch -d @1700000000 image/etc/greeting
build
[ "$(mrenclave)" != "$first" ] || fail "a modification time does not count"
SOURCE_DATE_EPOCH=1000000000
export SOURCE_DATE_EPOCH
build
clamped=$(mrenclave)
touch -d @1710000000 image/etc/greeting
build
[ "$(mrenclave)" = "$clamped" ] || fail "SOURCE_DATE_EPOCH does not clamp"
unset SOURCE_DATE_EPOCH
build
before=$(mrenclave)

# Every input counts.
echo more >>image/etc/greeting
touch -d @1710000000 image/etc/greeting
build
content=$(mrenclave)
[ "$content" != "$before" ] || fail "content does not count"
sed -i 's/OCCLUM=yes/OCCLUM=no/' Occlum.json
build
[ "$(mrenclave)" != "$content" ] || fail "the configuration does not count"

# A key of one's own: the signer changes, the measurement does not.
signer=$("$occlum" print mrsigner)
measured=$(mrenclave)
openssl genrsa -3 -out ../key.pem 3072 2>/dev/null || skip "openssl genrsa -3 does not work"
build --sign-key ../key.pem
[ "$(mrenclave)" = "$measured" ] || fail "the key changes MRENCLAVE"
[ "$("$occlum" print mrsigner)" != "$signer" ] || fail "the key does not change MRSIGNER"

# Refusals leave the old build as it is.
openssl genrsa -out ../bad.pem 2048 2>/dev/null
refuses 1 'bad.pem: an RSA key of 2048 bits' "$occlum" build --sign-key ../bad.pem
refuses 1 'Occlum.json: not a private key' "$occlum" build --sign-key Occlum.json
refuses 1 '/no/key: No such file' "$occlum" build --sign-key /no/key
refuses 2 '--frob' "$occlum" build --frob
refuses 1 '--sgx-mode: "EMU": must be HW or SIM' "$occlum" build --sgx-mode EMU
refuses 2 '--enable-edmm maybe: must be Y or N' "$occlum" build --enable-edmm maybe
cp Occlum.json ../good.json
for line in '"process": {"default_stack_size": "8XB"}|process.default_stack_size: "8XB"' \
    '"process": {"default_stack": "8MB"}|process.default_stack: unknown key' \
    '"metadata": {"debuggable": "yes"}|metadata.debuggable: "yes": must be true or false' \
    '"resource_limits": {"user_space_size": "9999TB"}|user_space_size: "9999TB": impossible'; do
    echo "{${line%|*}}" >Occlum.json
    refuses 1 "Occlum.json: .*${line#*|}" "$occlum" build
done
echo '{' >Occlum.json
refuses 1 'Occlum.json:[0-9]+:[0-9]+: ' "$occlum" build
cp ../good.json Occlum.json
mv image image.away
refuses 1 'image: No such file' "$occlum" build
mkdir image && echo file >image/tmp
refuses 1 '/tmp: "tmp" is not a directory in the image' "$occlum" build
rm -rf image && mkdir -p "image/$(printf 'd/%.0s' $(seq 600))" || fail "mkdir"
refuses 1 '^occlum build: image/d/d/.*: more than 512 directories deep' "$occlum" build
rm -rf image && mv image.away image
[ "$(mrenclave)" = "$measured" ] || fail "a refusal changed the build"
[ ! -e .__occlum_build.new ] || fail "something half-made was left"
exit 0
