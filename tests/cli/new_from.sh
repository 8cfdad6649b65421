#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Instances from container images: layers with whiteouts, links, command, user; and images that
# lead out of the tree, lie about their digests, or unpack to too much.
# TIMEOUT: 120
. tests/cli/lib/instance

busybox=$(command -v busybox) || skip "busybox is not here"
umask 022
blobs=$work/oci/blobs/sha256
mkdir -p "$blobs"
cd "$work" || exit 1

# blob FILE: moves it among the blobs; says its digest
blob() {
    hash=$(sha256sum "$1" | cut -d' ' -f1)
    mv "$1" "$blobs/$hash"
    echo "$hash"
}
# pack NAME DIR [TAR-OPTIONS]: one layer; adds to $layers
layers=
pack() {
    name=$1 dir=$2
    shift 2
    tar -C "$dir" --numeric-owner --sort=name --mtime=@1000000000 -cf "$name" "$@" .
    add_layer "$name"
}
add_layer() {
    hash=$(blob "$1")
    layers="$layers${layers:+,}{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\
\"digest\":\"sha256:$hash\",\"size\":1}"
}
# image TAG CONFIG: a manifest over $layers; the only one of the index
image() {
    printf '{"architecture":"amd64","os":"linux","config":%s}' "$2" >config
    config=$(blob config)
    printf '{"schemaVersion":2,"config":{"digest":"sha256:%s"},"layers":[%s]}' \
        "$config" "$layers" >manifest
    manifest=$(blob manifest)
    printf '{"imageLayoutVersion":"1.0.0"}' >oci/oci-layout
    printf '{"schemaVersion":2,"manifests":[{"mediaType":"%s","digest":"sha256:%s",
        "annotations":{"org.opencontainers.image.ref.name":"%s"}}]}' \
        application/vnd.oci.image.manifest.v1+json "$manifest" "$1" >oci/index.json
    layers=
}
made() {
    rm -rf "$work/inst"
    "$occlum" new --from "$1" "$work/inst" >"$work/out" 2>&1 ||
        { cat "$work/out"; fail "$1 was refused"; }
}
# refused WORDS REFERENCE [OPTIONS]: one line that says so, nothing left, nothing outside
refused() {
    words=$1 reference=$2
    shift 2
    rm -rf "$work/inst"
    if "$occlum" new --from "$reference" "$@" "$work/inst" >"$work/out" 2>&1; then
        fail "$reference was not refused: $words"
    fi
    grep -q "$words" "$work/out" || { cat "$work/out"; fail "it does not say \"$words\""; }
    [ ! -e "$work/inst" ] || fail "$words: an instance is left behind"
    [ ! -e "$work/outside" ] || fail "$words: something was written outside"
}

# ---- a good one: two layers, whiteouts, links, a user ----
mkdir -p 1/bin 1/etc 1/usr/lib 1/old 1/gone/deep 1/app 1/tmp
cp "$busybox" 1/bin/busybox
ln -s busybox 1/bin/sh
ln -s usr/lib 1/lib
echo 'app:x:1234:2345::/app:/bin/sh' >1/etc/passwd
echo one >1/old/file
echo gone >1/gone/deep/file
echo first >1/app/hard
ln 1/app/hard 1/app/hard2
chmod 1777 1/tmp
pack one.tar 1
mkdir -p 2/lib 2/old 2/app
touch 2/.wh.gone 2/old/.wh..wh..opq
echo two >2/old/new
echo through >2/lib/through
printf 'echo "$0 $GREETING $(id -u):$(id -g) $(pwd)"\n' >2/app/start
chmod 755 2/app/start
tar -C 2 --numeric-owner --sort=name --mtime=@1000000000 -czf two.tar \
    .wh.gone old lib/through app
add_layer two.tar
image v1 '{"Env":["PATH=/sbin:/bin","GREETING=hello"],"Entrypoint":["sh"],
    "Cmd":["start","an arg"],"User":"app","WorkingDir":"/app"}'
made oci:oci:v1
tree=$work/inst/image
[ "$(cat "$tree/old/new")" = two ] && [ ! -e "$tree/old/file" ] || fail "opaque folder"
[ ! -e "$tree/gone" ] || fail "whiteout"
[ "$(find "$tree" -name '.wh*')" = "" ] || fail "whiteouts are left"
[ "$(cat "$tree/usr/lib/through")" = through ] && [ -L "$tree/lib" ] || fail "through a link"
[ "$(stat -c %i "$tree/app/hard")" = "$(stat -c %i "$tree/app/hard2")" ] || fail "hard links"
[ "$(stat -c %a "$tree/tmp")" = 1777 ] || fail "modes"
[ "$(stat -c %Y "$tree/old")" = 1000000000 ] || fail "times of folders"
grep -q '"user": "1234:2345"' inst/Occlum.json || fail "user"
(cd inst && "$occlum" build >"$work/out" 2>&1) || { cat "$work/out"; fail "does not build"; }
said=$(cd inst && "$occlum" run 2>"$work/err") || { cat "$work/err"; fail "does not run"; }
[ "$said" = "start hello 1234:2345 /app" ] || fail "it said: $said"
(cd inst && "$occlum" run /bin/busybox true) 2>"$work/err"
[ $? -eq 126 ] || fail "something else than the command may be started"
first=$(cd inst && "$occlum" print mrenclave)
made oci:oci
(cd inst && "$occlum" build >"$work/out" 2>&1) || fail "does not build again"
[ "$(cd inst && "$occlum" print mrenclave)" = "$first" ] || fail "another MRENCLAVE"
refused 'is called v2' oci:oci:v2

# ---- the same as docker save and as a directory ----
mkdir docker
cp "$blobs/$(sed -n 's/.*config":{"digest":"sha256:\([0-9a-f]*\).*/\1/p' "$blobs/$manifest")" \
    docker/config.json
mkdir docker/l
tar -C 1 -cf docker/l/layer.tar .
echo '[{"Config":"config.json","RepoTags":["app:1"],"Layers":["l/layer.tar"]}]' \
    >docker/manifest.json
touch 1/app/start && chmod 755 1/app/start
tar -C docker -cf docker.tar .
made docker-archive:docker.tar:app:1
[ "$(cat inst/image/old/file)" = one ] || fail "docker archive"
[ ! -e inst/.__occlum_import ] || fail "scratch is left"
refused '0 images' docker-archive:docker.tar:other
made "dir:$work/1"
[ "$(cat inst/image/gone/deep/file)" = gone ] || fail "dir"
refused 'not a kind of image' tarball:x

# ---- bad ones ----
printf '{"config":{}}' >x
evil() { # evil TAR WORDS
    add_layer "$1"
    image bad '{}'
    refused "$2" oci:oci
}
mkdir 3 && echo evil >3/outside
tar -C 3 -P --transform 's|^|../../|' -cf evil.tar outside
evil evil.tar '".." in a name'
mkdir 4 && ln -s ../../.. 4/up && ln -s / 4/abs
tar -C 4 -cf evil.tar up abs
tar -C 3 --transform "s|^|up$work/|" -rf evil.tar outside
tar -C 3 -P --transform "s|^|abs$work/|" -rf evil.tar outside
add_layer evil.tar
image links '{}'
made oci:oci # links lead around inside
[ ! -e outside ] || fail "written outside, through a link"
tar -C 3 -cf evil.tar outside
truncate -s 700 evil.tar
evil evil.tar ''
head -c 3000000 /dev/zero >3/zeros
tar -C 3 -czf bomb.tar zeros
add_layer bomb.tar
image bomb '{}'
refused 'unpacks to more than' oci:oci --max-size 1MB
image empty '{}'
refused 'no layers' oci:oci
pack good.tar 3
image tampered '{}'
for f in "$blobs"/*; do
    case $f in */$manifest | */$config) ;; *) printf x >>"$f" ;; esac
done
refused 'damaged' oci:oci
printf '{"config":{}}' >"$blobs/$config"
refused 'damaged' oci:oci
echo '{' >oci/index.json
refused 'index.json' oci:oci
refused 'No such file' oci:nowhere
refused 'not an OCI image layout' "oci:$work/1"
exit 0
