#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# PyTorch as Debian packages it: a convolutional net, threads, loader processes, gloo.
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"

debian python3-torch
version=$(debian_version python3-torch)
make_instance
if [ -n "$small" ]; then
    both "1 thread" "" /bin/python3 "$here/train.py" 1 0 1 /tmp
    finish
fi
both "1 thread" "import=1.3 train=1.03 infer=1.03" /bin/python3 "$here/train.py" 1 0 5 /tmp
both "2 threads" "train=1.03 infer=1.03" /bin/python3 "$here/train.py" 2 0 5 /tmp
both "2 loader processes" "train=" /bin/python3 "$here/train.py" 1 2 2 /tmp
both "gloo, 2 processes" "whole=" /bin/python3 "$here/distributed.py" fork
finish
