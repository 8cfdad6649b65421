#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# XGBoost from PyPI: training with one and two threads, prediction, two workers with a tracker.
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"

pypi xgboost numpy xgboost-cpu
version=$(pypi_version xgboost-cpu)
make_instance
if [ -n "$small" ]; then
    both "2 threads" "" /bin/python3 "$here/train.py" 2 2000 10
    finish
fi
train=$here/train.py
both "1 thread" "import=1.3 train=1.03 predict=1.03" /bin/python3 "$train" 1 20000 60
both "2 threads" "train=1.03 predict=1.03" /bin/python3 "$train" 2 20000 60
both "tracker, 2 workers" "whole=" /bin/python3 "$here/workers.py" fork
finish
