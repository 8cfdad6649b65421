#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# An instance with an encrypted image. It is packed, carried over the network into an empty
# directory, and started there; its first stage gets the key from a server that checks a report.
#   demos/keyserver/run.sh [BUILD_FOLDER]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "${1:-$here/../../build}" && pwd)/bin
work=$(mktemp -d)
jobs=
cleanup() {
    # shellcheck disable=SC2086
    [ -z "$jobs" ] || kill $jobs 2>/dev/null || :
    wait
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
cd "$work"

# wait_line FILE EXPRESSION: the line, once it is there.
wait_line() {
    tries=0
    until grep -m1 "$2" "$1" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || { echo "no \"$2\" in $1:" && cat "$1" && exit 1; }
        sleep 0.1
    done
}

echo "== build: the image is encrypted, initfs/ is measured"
cc -O1 -o keyserver "$here/server.c" -lcrypto
cc -O1 -o init "$here/init.c" -lcrypto
"$bin/occlum" new app && cd app
cat >bom.yaml <<'BOM'
includes: [base.yaml]
targets:
  - target: /bin
    copy:
      - files: [/bin/cat]
  - target: /etc
    copy:
      - files: [../secret]
BOM
cat >init.yaml <<'BOM'
includes: [base.yaml]
targets:
  - target: /bin
    copy:
      - files: [../init]
BOM
echo "the plans for the birthday party" >../secret
"$bin/copy_bom" -f bom.yaml --root image
"$bin/copy_bom" -f init.yaml --root initfs
sed -i 's/"EXAMPLE"/"KEY_SERVER"/' Occlum.json
"$bin/occlum" gen-image-key ../image.key
"$bin/occlum" build --image-key ../image.key
! grep -q "birthday" build/rootfs.img || { echo "the image is not encrypted"; exit 1; }
mrenclave=$("$bin/occlum" print mrenclave)
"$bin/occlum" package --debug ../app.tar.gz
cd ..

echo "== the key server, in an enclave of its own"
"$bin/occlum" try --quiet --rw "$work" ./keyserver "$mrenclave" image.key debug \
    >server.log 2>&1 &
jobs="$jobs $!"
port=$(wait_line server.log 'port' | sed 's/.* //')

echo "== the image goes over the network"
python3 -u -m http.server --bind 127.0.0.1 0 >web.log 2>&1 &
jobs="$jobs $!"
web=$(wait_line web.log 'port' | sed 's/.*port \([0-9]*\).*/\1/')
mkdir elsewhere && cd elsewhere
python3 -c 'import sys, urllib.request; urllib.request.urlretrieve(sys.argv[1], "app.tar.gz")' \
    "http://127.0.0.1:$web/app.tar.gz"
tar -xzf app.tar.gz

echo "== run: the key comes from the server"
KEY_SERVER=127.0.0.1:$port "$bin/occlum" run /bin/cat /etc/secret | tee out
grep -q "birthday" out

echo "== another enclave gets nothing"
cd ../app
sed -i 's/"OCCLUM=yes"/"OCCLUM=changed"/' Occlum.json
"$bin/occlum" build --image-key ../image.key >/dev/null
! KEY_SERVER=127.0.0.1:$port "$bin/occlum" run /bin/cat /etc/secret || exit 1
grep -q "another MRENCLAVE" ../server.log
echo "== done"
