#!/bin/sh
# Makes the seeds of the fuzz target `media`, a tiny file of each kind, with the commands of FFmpeg, libjpeg, libtiff and
# libheif: media-seeds.sh FOLDER
set -eu
folder=${1:?usage: Tests/Fuzz/media-seeds.sh FOLDER}
rm -rf "$folder"
mkdir -p "$folder"

make() { # name arguments...
  name=$1
  shift
  ffmpeg -hide_banner -loglevel error -y "$@" -fflags +bitexact "$folder/$name"
}
image="-f lavfi -i testsrc2=size=19x13:rate=10 -frames:v 1"
video="-f lavfi -i testsrc2=size=32x24:rate=10:duration=0.5"
audio="-f lavfi -i sine=duration=0.1:sample_rate=16000"

# shellcheck disable=SC2086
{
  for name in rgb.png jpeg.jpg bmp.bmp tiff.tiff; do make "$name" $image; done
  make rgb.tiff $image -pix_fmt rgb24
  make palette.png $image -pix_fmt pal8
  make grey16.png $image -pix_fmt gray16be
  make lossless.webp $image -c:v libwebp -lossless 1
  make lossy.webp $image -c:v libwebp -pix_fmt yuva420p
  make animation.webp $video -c:v libwebp_anim
  make animation.gif $video
  make h264.mp4 $video $audio -c:v libx264 -bf 2 -g 3 -pix_fmt yuv420p -x264-params sliced-threads=0:threads=1 -c:a aac
  make vp8.webm $video $audio -c:v libvpx -c:a libopus -ar 48000
  make vp9.webm $video -c:v libvpx-vp9
  make mpeg4.avi $video $audio -c:v mpeg4 -bf 2 -c:a mp3
  make mjpeg.mov $video $audio -c:v mjpeg -c:a pcm_s16le
  make ffv1.mkv $video $audio -c:v ffv1 -c:a flac
  for name in pcm.wav layer3.mp3 lossless.flac vorbis.ogg aac.m4a adts.aac; do make "$name" $audio; done
  make adpcm.wav $audio -c:a adpcm_ms
  make opus.ogg $audio -c:a libopus -ar 48000
}

# What these commands write of an image of FFmpeg's.
make plain.ppm -f lavfi -i testsrc2=size=19x13:rate=10 -frames:v 1
make plain.png -f lavfi -i testsrc2=size=19x13:rate=10 -frames:v 1
plain="$folder/rgb.tiff"
tiffcp -t -w 16 -l 16 "$plain" "$folder/tiles.tiff"
tiffcp -p separate -r 4 -c lzw:2 "$plain" "$folder/planes.tiff"
tiffcp -8 -B -c zip "$plain" "$folder/big.tiff"
tiffcp -c jpeg -r 16 "$plain" "$folder/jpeg.tiff"
tiffcp -c zstd "$plain" "$folder/zstd.tiff"
cjpeg -sample 4x1 "$folder/plain.ppm" >"$folder/411.jpg"
cjpeg -arithmetic "$folder/plain.ppm" >"$folder/arithmetic.jpg"
cjpeg -progressive -restart 1 "$folder/plain.ppm" >"$folder/progressive.jpg"
heif-enc "$folder/plain.png" -o "$folder/heic.heic" >"$folder/log" 2>&1
heif-enc -A "$folder/plain.png" -o "$folder/avif.avif" >"$folder/log" 2>&1
rm "$folder/plain.ppm" "$folder/plain.png" "$folder/log"
