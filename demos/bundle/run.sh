#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Two static programs out of packages of npm: esbuild (Go) bundles a library of 640 modules, and
# Biome (Rust, musl) formats it. What they write is equal bit by bit.
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"

npm_package @esbuild/linux-x64 0.28.2
esbuild=$package/bin/esbuild
npm_package @biomejs/cli-linux-x64-musl 2.6.8
biome=$package/biome
npm_package lodash-es 4.17.21
version="esbuild 0.28.2, biome 2.6.8"
mkdir -p "$work/project"
cp -r "$package" "$work/project/lodash" && ln "$esbuild" "$biome" "$work/" 2>/dev/null ||
    cp "$esbuild" "$biome" "$work/" || exit 1
echo 'import * as all from "./lodash/lodash.js"; console.log(all.chunk([1, 2, 3], 2), all)' \
    >"$work/project/main.js"
make_instance
output=/tmp/occlum-demo-bundle
bundle="$work/esbuild $work/project/main.js --bundle --minify --sourcemap --log-level=warning"
format="$work/biome format --write --colors=off --files-max-size=9000000 --vcs-enabled=false"
if [ -n "$small" ]; then
    both "a bundle" "" /bin/sh -c \
        "$bundle --outfile=$output/out.js && sha256sum $output/*; rm -r $output"
    finish
fi
both "a bundle, 5 times" "whole=1.1" /bin/sh -c "for i in 1 2 3 4 5; do
    $bundle --outfile=$output/\$i.js || exit; done; sha256sum $output/*; rm -r $output"
both "641 files formatted" "whole=1.1" /bin/sh -c "cp -r $work/project $output && cd $output &&
    $format . 2>&1 | sed 's/ in [0-9.]*.s//' &&
    find . -name '*.js' | sort | xargs sha256sum | sha256sum
    rm -r $output"
finish
