#!/usr/bin/env bash
# Installs into a folder of its own, moves that folder, and builds a project outside against it, by CMake and by pkg-config:
# install_test.sh CMAKE BUILD_DIR CXX LIBDIR
set -eu
cmake=$1 build=$2 cxx=$3 libdir=$4
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

"$cmake" --install "$build" --prefix "$dir/first" >/dev/null
mv "$dir/first" "$dir/prefix" # The package has to work wherever it lies.
cp -r "$here/consumer" "$dir/consumer"

"$cmake" -S "$dir/consumer" -B "$dir/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER="$cxx" \
  -DCMAKE_PREFIX_PATH="$dir/prefix" >"$dir/log" || { cat "$dir/log" && exit 1; }
"$cmake" --build "$dir/build" >"$dir/log" || { cat "$dir/log" && exit 1; }
"$dir/build/consumer" "$source/tests/data/golden/example.vqc" "$source/README.md"

# Sanitizers are the builder's own matter, about which a .pc file says nothing.
if ! grep -q '^VQCODEC_SANITIZE:STRING=.' "$build/CMakeCache.txt"; then
  export PKG_CONFIG_PATH=$dir/prefix/$libdir/pkgconfig
  # shellcheck disable=SC2046
  "$cxx" "$dir/consumer/consumer.cc" -o "$dir/consumer_pc" $(pkg-config --cflags --libs vqcodec)
  "$dir/consumer_pc" "$source/tests/data/golden/example.vqc" "$source/README.md"
fi

if [ -x "$dir/prefix/bin/vqcodec" ]; then
  "$dir/prefix/bin/vqcodec" --version
fi
