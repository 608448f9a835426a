#!/usr/bin/env bash
# Prints the folder of LibTorch (the one with include/ and lib/), or exits with 1. Looks in this order:
# $Torch_DIR or the first argument, the Python in $VIRTUAL_ENV, the project's .venv, python3.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
min_version=2.7 # Since then every build has the C++11 ABI of the standard library.

# LibTorch's own archive has a file build-version, the Python package has version.py.
version_of() {
  if [ -f "$1/build-version" ]; then
    cat "$1/build-version"
  else
    sed -n "s/^__version__ = '\(.*\)'/\1/p" "$1/version.py" 2>/dev/null
  fi
}

accept() {
  [ -e "$1/include/torch/csrc/api/include/torch/torch.h" ] && [ -e "$1/lib/libtorch.so" ] || return 1
  local version
  version=$(version_of "$1")
  if [ "$(printf '%s\n' "$min_version" "${version:-0}" | sort -V | head -n 1)" != "$min_version" ]; then
    echo "LibTorch ${version:-of unknown version} in $1 is left aside: $min_version or newer is needed" >&2
    return 1
  fi
  (cd "$1" && pwd)
  exit 0
}

torch_dir=${1:-${Torch_DIR:-}}
if [ -n "$torch_dir" ]; then
  # Either the folder itself or, as CMake has it, its share/cmake/Torch.
  accept "$torch_dir/../../.." || accept "$torch_dir" || {
    echo "Torch_DIR=$torch_dir holds no LibTorch that can be used" >&2
    exit 1
  }
fi

for python in ${VIRTUAL_ENV:+"$VIRTUAL_ENV/bin/python3"} "$root/.venv/bin/python3" python3; do
  command -v "$python" >/dev/null 2>&1 || continue
  package=$("$python" -c 'import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0])' \
    2>/dev/null) || continue
  accept "$package" || true
done
exit 1
