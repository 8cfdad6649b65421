# SPDX-License-Identifier: BSD-3-Clause
# The small form of demos/bundle.
# TIMEOUT: 240
exec sh demos/bundle/run.sh --small "$(dirname "$OCCLUM")/.."
