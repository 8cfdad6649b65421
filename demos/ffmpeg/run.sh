#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# ffmpeg: pictures made, encoded by x264 in its hand-written AVX, decoded, scaled; sums equal.
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"

debian ffmpeg
version=$(debian_version ffmpeg | sed 's/+.*//')
make_instance
quiet="/bin/ffmpeg -nostdin -hide_banner -loglevel error"
# encode THREADS FRAMES PRESET
encode() {
    echo "$quiet -f lavfi -i testsrc2=size=640x360:rate=25 -frames:v $2 -c:v libx264 \
        -preset $3 -threads $1 -x264-params sliced-threads=0 -f md5 -"
}
if [ -n "$small" ]; then
    both "20 frames" "" $(encode 2 20 ultrafast)
    finish
fi
both "x264, 1 thread" "whole=1.03" $(encode 1 250 medium)
both "x264, 2 threads" "whole=1.03" $(encode 2 250 medium)
file=/tmp/occlum-demo-ffmpeg
both "AAC, then decoded, scaled, resampled" "whole=1.03" /bin/sh -c "
    $quiet -y -f lavfi -i testsrc2=size=1280x720:rate=25 -f lavfi -i sine=frequency=440 -t 10 \
        -c:v mpeg4 -threads 1 -c:a aac -bitexact -f nut $file && sha256sum $file
    $quiet -i $file -threads 1 -vf scale=320:180 -ar 16000 -c:v rawvideo -c:a pcm_s16le -f md5 -
    rm $file"
finish
