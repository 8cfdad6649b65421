# SPDX-License-Identifier: BSD-3-Clause
# The small form of demos/java.
# TIMEOUT: 240
exec sh demos/java/run.sh --small "$(dirname "$OCCLUM")/.."
