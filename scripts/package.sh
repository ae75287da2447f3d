#!/usr/bin/env bash
# Make an archive that runs where it is unpacked, on a bare Debian 12 too: the program, the libraries that it loads,
# configs, licences.
#
# usage: scripts/package.sh [PRESET] [--output FILE] [--no-build]
#   PRESET         release (default), or cuda for NVIDIA GPUs
#   --output FILE  default: build/txtsum-VERSION-linux-x86_64-PRESET.tar.gz; a name that ends in .tar is not compressed
#   --no-build     take build/PRESET as it is, and do not run scripts/build.sh first
#
# What it needs from the machine that it runs on are the C library and libstdc++, no older than here; the driver where
# GPUs are used; Open MPI where mpirun starts ranks. So package on the oldest system that it shall run on.
set -euo pipefail
# shellcheck source=scripts/console.sh
source "$(dirname "$0")/console.sh"

preset=release output='' build=1
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) show_help ;;
    --output)
      [ $# -gt 1 ] || fail "--output needs the name of a file"
      output=$2
      shift
      ;;
    --no-build) build='' ;;
    -*) fail "unknown option $1" "scripts/package.sh --help lists what there is." ;;
    *) preset=$1 ;;
  esac
  shift
done
deps=$repository/.deps
folder=$repository/build/$preset
mkdir -p "$repository/build"
staging=$(mktemp -d "$repository/build/package.XXXXXX")
trap 'rm -rf "$staging"' EXIT

# The newest versions that bare Debian 12 has.
debian_glibc=2.36 debian_libstdcxx=3.4.30
# Parts of the C library and of the compiler's, which every Debian has; the loader has to be of the same build.
system_libraries='^(ld-linux-x86-64|libc|libm|libdl|librt|libpthread|libresolv|libutil|libstdc\+\+|libgcc_s)\.so\.'
# Opened while the program runs, so that no file names them: what reads a spiece.model; of CUDA, cuDNN's parts and the
# compiler that cuDNN uses.
opened=libsentencepiece.so.0
opened_with_cuda=(cudnn/lib/'libcudnn_*.so.*' cu13/lib/'libnvrtc*.so.*')
# Their sources are compiled in, or they are headers alone: no file is carried, but their licences are.
compiled_in=(libcli11-dev libfmt-dev libsentencepiece-dev libspdlog-dev libutf8proc-dev libxxhash-dev libyaml-cpp-dev
  nlohmann-json3-dev zlib1g-dev)

# Print the path of the distribution's library of this name.
distribution_library() {
  local path
  path=$(/sbin/ldconfig -p | awk -v name="$1" '$1 == name { print $NF; exit }')
  [ -n "$path" ] || fail "$1 is missing" "scripts/setup.sh installs it."
  printf '%s\n' "$path"
}

# Print where .deps has the library $1, or its own path: the program may have been linked with a toolkit's runtime.
pinned() {
  local file
  for file in "$deps"/{torch,arrow}/lib/"$(basename "$1")" "$deps"/nvidia/*/lib/"$(basename "$1")"; do
    if [ -f "$file" ]; then
      printf '%s\n' "$file"
      return
    fi
  done
  realpath --no-symlinks "$1"
}

# Print the paths of all libraries to carry, one a line.
libraries() {
  local roots=("$folder/txtsum" "$folder/libtxtsum_arrow.so") listing pattern
  roots+=("$(distribution_library $opened)")
  if [ "$preset" = cuda ]; then
    for pattern in "${opened_with_cuda[@]}"; do
      # shellcheck disable=SC2206  # the pattern is meant to be expanded
      roots+=("$deps"/nvidia/$pattern)
    done
    roots+=("$deps/torch/lib/libcaffe2_nvrtc.so")
  fi
  # The driver's own library comes with the driver.
  listing=$(ldd "${roots[@]}" | grep -v 'libcuda\.so')
  if grep -q 'not found' <<<"$listing"; then
    fail "libraries are missing" "$(grep 'not found' <<<"$listing" | sort -u)" "scripts/setup.sh installs them."
  fi
  {
    awk '$2 == "=>" && $3 ~ /^\// { print $3 }' <<<"$listing"
    printf '%s\n' "${roots[@]:2}"
  } | while read -r path; do
    basename "$path" | grep -qE "$system_libraries" || pinned "$path"
  done | sort -u
}

# Copy the libraries into lib/, and note the distribution's packages that they are of.
copy_libraries() {
  local path
  mkdir "$root/lib"
  libraries >"$staging/libraries"
  while read -r path; do
    [ ! -e "$root/lib/$(basename "$path")" ] || fail "two libraries are named $(basename "$path")" "One is $path."
    cp -L "$path" "$root/lib/"
  done <"$staging/libraries"
}

# Print the distribution's package that library $1 is of. It may know it by the path before /lib became a link.
package_of() {
  local path owner
  path=$(realpath "$1")
  for path in "$path" "${path#/usr}"; do
    if owner=$(dpkg-query -S "$path" 2>/dev/null); then
      printf '%s\n' "${owner%%:*}"
      return
    fi
  done
  fail "no package of the distribution has $1, so its licence is not known"
}

# Print the names of the wheels that libraries are carried of, one a line.
wheels() {
  local kinds='^wheel'
  [ "$preset" != cuda ] || kinds='^(CUDA )?wheel'
  "$repository/scripts/setup.sh" --list | grep -E "$kinds" | grep -oE '(torch|nvidia-[a-z0-9-]+)==' | sed 's/==//'
}

copy_licences() {
  local path package wheel packages=("${compiled_in[@]}")
  mkdir "$root/licenses"
  cp "$repository/LICENSE" "$root/LICENSE"
  while read -r path; do
    case $path in "$deps"/*) continue ;; esac
    package=$(package_of "$path")
    packages+=("$package")
  done <"$staging/libraries"
  for package in "${packages[@]}"; do
    [ -s "/usr/share/doc/$package/copyright" ] || fail "package $package has no licence text"
    cp -L "/usr/share/doc/$package/copyright" "$root/licenses/$package.txt"
  done
  dpkg-query -W -f '${binary:Package} ${Version} (source ${source:Package} ${source:Version})\n' "${packages[@]}" |
    sort -u >"$root/licenses/packages.txt"
  while read -r wheel; do
    cp -r "$deps/licenses/$wheel" "$root/licenses/$wheel" ||
      fail "the licence of $wheel is missing" "Run scripts/setup.sh again: it unpacks it."
  done < <(wheels)
  cp -r "$deps/arrow/licenses" "$root/licenses/arrow"
}

# Print the newest version of symbol set $1 (GLIBC, GLIBCXX) that anything in the archive asks for.
newest_version() {
  find "$root" -maxdepth 2 \( -name txtsum -o -name '*.so*' \) -type f -exec objdump -T {} + |
    grep -oE "\(?$1_[0-9.]+" | sed 's/.*_//' | sort -uV | tail -n 1
}

write_readme() {
  local gpu="This one has no code for GPUs."
  [ "$preset" != cuda ] || gpu="On NVIDIA GPUs it needs a driver of 580 or newer (./txtsum info)."
  cat >"$root/README.md" <<END
# txtsum $version

Fine-tunes pretrained encoder-decoders for abstractive summarization, summarizes, and says what it cost. This folder
runs where it lies: move it as you like, keep its files together.

    ./txtsum --version
    ./txtsum train configs/smoke/tiny_bart.yaml        # seconds; its texts are in tests/fixtures/smoke
    echo "A long text ..." | ./txtsum summarize --model configs/models/txtsum-mini
    ./txtsum --help

It needs Linux on x86-64 with glibc $glibc and libstdc++ with GLIBCXX_$libstdcxx or newer; Debian 12 has
glibc $debian_glibc and GLIBCXX_$debian_libstdcxx. $gpu
MLflow over https needs the system's certificates (Debian: ca-certificates). Ranks that mpirun starts need Open MPI
(Debian: openmpi-bin); txtsum launch needs nothing.

libtxtsum_arrow.so reads Arrow and Parquet files, libtxtsum_mpi.so speaks MPI; both are opened when they are needed.
The licences of all that is carried are in licenses/. The distribution's libraries are as the distribution has them;
licenses/packages.txt names the packages, whose sources it offers under the same names. NVIDIA's libraries may be passed
on as part of this program under the terms there.
END
}

pack() {
  local made_at
  made_at=$(git -C "$repository" log -1 --format=%ct 2>/dev/null || date +%s)
  # The same tree gives the same bytes.
  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$made_at" -C "$staging" -cf "$staging/archive.tar" "$name"
  mkdir -p "$(dirname "$output")"
  case $output in
    *.tar) mv "$staging/archive.tar" "$output" ;;
    *) gzip -n -6 <"$staging/archive.tar" >"$output" ;;
  esac
}

[ -z "$build" ] || "$repository/scripts/build.sh" "$preset"
[ -x "$folder/txtsum" ] || fail "build/$preset/txtsum is not there" "Build it first: scripts/build.sh $preset"
for module in libtxtsum_arrow.so libtxtsum_mpi.so; do
  [ -f "$folder/$module" ] || fail "build/$preset/$module is not there" "scripts/setup.sh installs what it needs; then build again."
done
version=$("$folder/txtsum" --version | awk '{ print $2 }')
name=txtsum-$version-linux-x86_64-$preset
root=$staging/$name
output=${output:-$repository/build/$name.tar.gz}

stage 1/3 "Collect $name"
require_disk "$staging" "$([ "$preset" = cuda ] && echo 9000 || echo 1500)" "the package"
mkdir -p "$root/tests/fixtures"
PATH=$deps/cmake/bin:$PATH cmake --install "$folder" --prefix "$root" --strip >"$staging/install.log" ||
  fail "CMake could not install the program" "$(cat "$staging/install.log")"
copy_libraries
cp -r "$repository/configs" "$root/configs"
cp -r "$repository/tests/fixtures/smoke" "$root/tests/fixtures/smoke"
copy_licences

stage 2/3 "What it asks of the system"
glibc=$(newest_version GLIBC)
libstdcxx=$(newest_version GLIBCXX)
say "glibc $glibc, libstdc++ GLIBCXX_$libstdcxx"
if [ "$(printf '%s\n' "$glibc" $debian_glibc | sort -V | tail -n 1)" != $debian_glibc ] ||
  [ "$(printf '%s\n' "$libstdcxx" $debian_libstdcxx | sort -V | tail -n 1)" != $debian_libstdcxx ]; then
  warn "Debian 12 has glibc $debian_glibc and GLIBCXX_$debian_libstdcxx: there it will not run. Package on Debian 12 instead"
fi
write_readme

stage 3/3 "Pack"
pack
say "$output: $(du -m --apparent-size "$output" | cut -f 1) MiB, unpacked $(du -sm --apparent-size "$root" | cut -f 1) MiB"
