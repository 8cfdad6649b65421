# SPDX-License-Identifier: BSD-3-Clause
# The small form of demos/openvino.
# TIMEOUT: 240
exec sh demos/openvino/run.sh --small "$(dirname "$OCCLUM")/.."
