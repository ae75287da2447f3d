#!/usr/bin/env bash
# Lay out under a new root what running txtsum needs, to be copied onto an image of the same distribution release.
#
# usage: azureml/environments/collect_runtime.sh PROGRAM ROOT
#
# ROOT/opt/txtsum/bin/txtsum   the program with its modules (Arrow and Parquet files, MPI), and a link to it in ROOT/usr/local/bin
# ROOT/opt/txtsum/configs      the experiments and tables
# ROOT/opt/txtsum/lib          the distribution's libraries that it loads, but for the C library's own
# ROOT/...                     all others (LibTorch's, Arrow's) under the path where the program looks for them
set -euo pipefail

program=$1
root=$2
repository=$(cd "$(dirname "$0")/../.." && pwd)
home=/opt/txtsum

# Opened while the program runs, where a model's tokenizer is a spiece.model.
opened=libsentencepiece.so.0
# Opened while the program runs, where the data are Arrow or Parquet files; the build makes it beside the program.
module=$(dirname "$program")/libtxtsum_arrow.so

# Print the paths of all libraries that are loaded, one a line. A missing one is an error.
libraries() {
  local listing path
  path=$(/sbin/ldconfig -p | awk -v name="$opened" '$1 == name { print $NF; exit }')
  if [ -z "$path" ]; then
    echo "collect_runtime.sh: $opened is missing: scripts/setup.sh installs it" >&2
    return 1
  fi
  echo "$path"
  if [ ! -f "$module" ]; then
    echo "collect_runtime.sh: $module is missing: scripts/setup.sh installs Arrow, then build again" >&2
    return 1
  fi
  listing=$(ldd "$program" "$path" "$module")
  if grep -q 'not found' <<<"$listing"; then
    echo "collect_runtime.sh: $program misses libraries:" >&2
    grep 'not found' <<<"$listing" >&2
    return 1
  fi
  awk '$2 == "=>" && $3 ~ /^\// { print $3 }' <<<"$listing" | sort -u
}

paths=$(libraries)
mkdir -p "$root$home/bin" "$root$home/lib" "$root/usr/local/bin" "$root/etc/ld.so.conf.d"
cp "$program" "$root$home/bin/txtsum"
cp "$module" "$root$home/bin/"
# Open MPI itself is a package of the image's: mpirun and the libraries have to be of one installation.
cp "$(dirname "$program")/libtxtsum_mpi.so" "$root$home/bin/"
ln -sf "$home/bin/txtsum" "$root/usr/local/bin/txtsum"
cp -r "$repository/configs" "$root$home/"
echo "$home/lib" >"$root/etc/ld.so.conf.d/txtsum.conf"
while read -r path; do
  case $(basename "$path") in
    # These come with the image; another build of them would not fit its loader.
    libc.so.* | libm.so.* | libdl.so.* | librt.so.* | libpthread.so.* | libresolv.so.* | libutil.so.*) continue ;;
  esac
  case $path in
    /lib/* | /lib64/* | /usr/lib/*) cp -L "$path" "$root$home/lib/" ;;
    *)
      # The loader names LibTorch's own dependencies by way of `..`; the folders on that way must exist too.
      directory=$(realpath "$(dirname "$path")")
      mkdir -p "$root$directory"
      cp -L "$path" "$root$directory/"
      ;;
  esac
done <<<"$paths"
