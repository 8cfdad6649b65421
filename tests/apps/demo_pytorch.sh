# SPDX-License-Identifier: BSD-3-Clause
# The small form of demos/pytorch.
# TIMEOUT: 480
exec sh demos/pytorch/run.sh --small "$(dirname "$OCCLUM")/.."
