# SPDX-License-Identifier: BSD-3-Clause
# The small form of demos/tensorflow.
# TIMEOUT: 480
exec sh demos/tensorflow/run.sh --small "$(dirname "$OCCLUM")/.."
