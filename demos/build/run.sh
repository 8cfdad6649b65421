#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# gcc and make: a package of C is unpacked, configured, built and used; the results are equal
# bit by bit. The package is xz 5.2.3, which comes inside a package of npm.
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"

debian gcc make bzip2 binutils libc6-dev
[ -x /usr/bin/gcc ] || missing gcc
export PATH="$O/bin:/usr/bin:/bin"
version="gcc $(debian_version gcc-12)"
folder=/tmp/occlum-demo-build
if [ -n "$small" ]; then
    make_instance
    both "two files" "" /bin/sh "$here/small.sh" $folder
    finish
fi
npm_package lzma-native 8.0.6
cp "$package/deps/xz-5.2.3.tar.bz2" "$work/source.tar.bz2" || exit 1
make_instance
both "xz 5.2.3" "configure=1.5 make=1.5" /bin/sh "$here/build.sh" \
    "$work/source.tar.bz2" $folder 1
finish
