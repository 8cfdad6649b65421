# SPDX-License-Identifier: BSD-3-Clause
# The small form of demos/build.
# TIMEOUT: 240
exec sh demos/build/run.sh --small "$(dirname "$OCCLUM")/.."
