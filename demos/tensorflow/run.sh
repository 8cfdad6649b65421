#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# TensorFlow from PyPI: Keras training, SavedModel, inference, TensorFlow Lite.
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"

pypi tensorflow tensorflow-cpu
version=$(pypi_version tensorflow-cpu)
make_instance
[ -n "$small" ] && { both "1 epoch" "" /bin/python3 "$here/train.py" 1 /tmp; finish; }
both "Keras" "import=1.3 train=1.03 infer=1.03" /bin/python3 "$here/train.py" 5 /tmp
finish
