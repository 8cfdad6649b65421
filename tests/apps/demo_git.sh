# SPDX-License-Identifier: BSD-3-Clause
# The small form of demos/git.
# TIMEOUT: 240
exec sh demos/git/run.sh --small "$(dirname "$OCCLUM")/.."
