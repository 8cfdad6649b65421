# SPDX-License-Identifier: BSD-3-Clause
# The small form of demos/flink.
# TIMEOUT: 480
exec sh demos/flink/run.sh --small "$(dirname "$OCCLUM")/.."
