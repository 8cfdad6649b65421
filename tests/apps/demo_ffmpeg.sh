# SPDX-License-Identifier: BSD-3-Clause
# The small form of demos/ffmpeg.
# TIMEOUT: 240
exec sh demos/ffmpeg/run.sh --small "$(dirname "$OCCLUM")/.."
