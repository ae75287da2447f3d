#!/usr/bin/env bash
# Install what building txtsum needs: the distribution's packages, and LibTorch from its wheel into .deps/.
#
# usage: scripts/setup.sh [--tests] [--cuda] [--no-packages] [--check | --list]
#   --tests        also the packages that only building and running the tests needs
#   --cuda         also what building for NVIDIA GPUs and running there needs, but for the driver (2.4 GB to download,
#                  6 GB of disk). A CUDA 13 toolkit that is there (CUDACXX, PATH, /usr/local/cuda) compiles; without
#                  one, nvcc is installed into .deps/ (another 0.3 GB)
#   --no-packages  leave the distribution's packages alone (they are there, or you install them yourself)
#   --check        look at the machine, its disk and its network, install nothing, and end
#   --list         print the packages, versions and hashes that are pinned here, and end
#
# Tried on Debian 12 and 13. Ubuntu 24.04 is handled but untested. x86-64 only. Packages are installed as root
# or through sudo; nothing else needs root. What is there already is not fetched again: downloads are kept in
# $TXTSUM_CACHE (default ~/.cache/txtsum), so a second clone does not download anything.
set -euo pipefail
# shellcheck source=scripts/console.sh
source "$(dirname "$0")/console.sh"

# The one list of distribution packages.
build_packages=(
  build-essential ca-certificates ccache git ninja-build python3 python3-pip unzip
  libcli11-dev libcurl4-openssl-dev libfmt-dev libopenmpi-dev libsentencepiece-dev libspdlog-dev libutf8proc-dev libxxhash-dev
  libyaml-cpp-dev nlohmann-json3-dev zlib1g-dev
)
test_packages=(libgmock-dev libgtest-dev openmpi-bin)

# requirement, wheel, SHA-256. LibTorch's libraries are the same in the wheels of every Python version.
torch_wheels=(
  "torch==2.11.0 torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl 7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a"
  "nvidia-cuda-cupti==13.0.85 nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl 4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8"
  "nvidia-cuda-runtime==13.0.96 nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl 7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548"
)
# What LibTorch's CUDA libraries load, in the versions that its wheel asks for, and the headers that make cuDNN's graphs
# (the frontend, MIT and Apache 2.0: only its headers are used); then nvcc and what it takes to compile
# LibTorch's headers. The smallest is last, as above.
cuda_wheels=(
  "nvidia-cublas==13.1.0.3 nvidia_cublas-13.1.0.3-py3-none-manylinux_2_27_x86_64.whl ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171"
  "nvidia-cudnn-cu13==9.19.0.56 nvidia_cudnn_cu13-9.19.0.56-py3-none-manylinux_2_27_x86_64.whl d20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf"
  "nvidia-cufft==12.0.0.61 nvidia_cufft-12.0.0.61-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl 6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3"
  "nvidia-nccl-cu13==2.28.9 nvidia_nccl_cu13-2.28.9-py3-none-manylinux_2_18_x86_64.whl e4553a30f34195f3fa1da02a6da3d6337d28f2003943aa0a3d247bbc25fefc42"
  "nvidia-cusparselt-cu13==0.8.0 nvidia_cusparselt_cu13-0.8.0-py3-none-manylinux2014_x86_64.whl 25e30a8a7323935d4ad0340b95a0b69926eee755767e8e0b1cf8dd85b197d3fd"
  "nvidia-cusparse==12.6.3.3 nvidia_cusparse-12.6.3.3-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl 2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b"
  "nvidia-cuda-nvrtc==13.0.88 nvidia_cuda_nvrtc-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575"
  "nvidia-nvshmem-cu13==3.4.5 nvidia_nvshmem_cu13-3.4.5-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl 290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80"
  "nvidia-curand==10.4.0.35 nvidia_curand-10.4.0.35-py3-none-manylinux_2_27_x86_64.whl 1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc"
  "nvidia-nvjitlink==13.0.88 nvidia_nvjitlink-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl 13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b"
  "nvidia-cudnn-frontend==1.32.0 nvidia_cudnn_frontend-1.32.0-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl c6006556017a4d1c914c52a556c71b1267f2d6a0500f742e7b4edef539878df0"
  "nvidia-cufile==1.15.1.6 nvidia_cufile-1.15.1.6-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl 08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44"
)
compiler_wheels=(
  "nvidia-cusolver==12.0.4.66 nvidia_cusolver-12.0.4.66-py3-none-manylinux_2_27_x86_64.whl 0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112"
  "nvidia-nvvm==13.0.88 nvidia_nvvm-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl c5f41ffeb6466944a026dfa5317d7d85355c119bbec279205d22f1869d1054e0"
  "nvidia-cuda-nvcc==13.0.88 nvidia_cuda_nvcc-13.0.88-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl 56fe502eb77625a12f25172caa3cdddb4e4c8ba2c8c17dba44b164761b380f03"
  "nvidia-cuda-cccl==13.0.85 nvidia_cuda_cccl-13.0.85-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl e0da7ad981f3a8aff08241b5bfc1af868742a63e2762f53a5171c492ef242649"
  "nvidia-cuda-crt==13.0.88 nvidia_cuda_crt-13.0.88-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl 2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4"
)
# Arrow and Parquet for C++, which Debian and Ubuntu do not package; the libraries are the same in the wheels of every
# Python version.
arrow_wheel="pyarrow==26.0.1 pyarrow-26.0.1-cp311-cp311-manylinux_2_28_x86_64.whl 39cb0f2418282c24bea6ceda77b03e5a8f0a5766b63a8bf194d4e2a2c423548c"
# Where the distribution's CMake is older than this, the wheel's is used.
cmake_minimum=3.24
cmake_wheel="cmake==3.31.6 cmake-3.31.6-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl 1c8b05df0602365da91ee6a3336fe57525b137706c4ab5675498f662ae1dbcec"
# The oldest driver that CUDA 13.0 runs with.
driver_minimum=580
# Another version would lay out the same code differently, and few distributions still have this one.
format_wheel="clang-format==14.0.6 clang_format-14.0.6-py2.py3-none-manylinux_2_12_x86_64.manylinux2010_x86_64.whl d7c1c5e404c58e55f0170f01b3c5611dce6c119e62b5d1020347e0ad97d5a047"

deps=$repository/.deps
wheels=${TXTSUM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/txtsum}/wheels
wheel_platforms=(--platform=manylinux2014_x86_64 --platform=manylinux_2_{12,17,18,25,27,28}_x86_64)
with_tests='' with_cuda='' with_compiler='' cuda_asked='' nvcc='' with_packages=1 check_only=''

print_pins() {
  local wheel
  printf '%s\n' "${build_packages[@]}" cmake | sed 's/^/build package  /'
  printf 'test package   %s\n' "${test_packages[@]}"
  for wheel in "${torch_wheels[@]}" "$arrow_wheel" "$cmake_wheel" "$format_wheel"; do
    printf 'wheel          %s\n' "$wheel"
  done
  printf 'CUDA wheel     %s\n' "${cuda_wheels[@]}"
  printf 'nvcc wheel     %s\n' "${compiler_wheels[@]}"
}

parse_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      --tests) with_tests=1 ;;
      --cuda) with_cuda=1 cuda_asked=1 ;;
      --no-packages) with_packages='' ;;
      --check) check_only=1 ;;
      --list) print_pins; exit 0 ;;
      -h | --help) show_help ;;
      *) fail "unknown argument $1" "scripts/setup.sh --help lists what there is." ;;
    esac
    shift
  done
  # A folder with the CUDA libraries serves a build without them too, and one with nvcc a build with another.
  if grep -qs '^layout .* cuda' "$deps/stamp"; then with_cuda=1; fi
  if grep -qs '^layout .* nvcc' "$deps/stamp"; then with_compiler=1; fi
}

# Print the lines of the wheels that .deps is made of.
wanted_wheels() {
  printf '%s\n' "${torch_wheels[@]}"
  [ -z "$with_cuda" ] || printf '%s\n' "${cuda_wheels[@]}"
  [ -z "$with_compiler" ] || printf '%s\n' "${compiler_wheels[@]}"
}

# Print what .deps must have been made of to be up to date.
deps_stamp() {
  printf '%s\n' "layout 2${with_cuda:+ cuda nccl.h}${with_compiler:+ nvcc}"
  wanted_wheels
}

up_to_date() { [ "$(deps_stamp)" = "$(cat "$deps/stamp" 2>/dev/null)" ]; }
# Arrow has a stamp of its own: a new version of it does not unpack LibTorch again.
arrow_up_to_date() { [ "$arrow_wheel" = "$(cat "$deps/arrow/stamp" 2>/dev/null)" ]; }

have_wheels() {
  local file
  while read -r _ file _; do
    [ -s "$wheels/$file" ] || return 1
  done < <(wanted_wheels)
}

version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

check_machine() {
  local id='' version_id='' pretty_name=unknown
  [ "$(uname -sm)" = "Linux x86_64" ] || fail "$(uname -sm) is not supported: the pinned LibTorch is for Linux x86_64"
  if [ -r /etc/os-release ]; then
    id=$(. /etc/os-release && printf '%s' "${ID:-}")
    version_id=$(. /etc/os-release && printf '%s' "${VERSION_ID:-}")
    pretty_name=$(. /etc/os-release && printf '%s' "${PRETTY_NAME:-unknown}")
  fi
  case "$id $version_id" in
    "debian 12" | "debian 13") ;;
    "ubuntu 24.04") warn "$pretty_name is handled by this script but has not been tried" ;;
    *)
      [ -z "$with_packages" ] ||
        fail "$pretty_name is not a distribution that this script installs packages on" \
          "It knows Debian 12 and 13 and Ubuntu 24.04. Elsewhere install a C++20 compiler (GCC 12 or newer)," \
          "CMake $cmake_minimum, Ninja, Python 3 with pip, unzip and these libraries with their headers: CLI11, libcurl," \
          "fmt, Open MPI, SentencePiece, spdlog, utf8proc, xxHash, yaml-cpp, nlohmann-json, zlib; for the tests GoogleTest and clang-format 14." \
          "Then run: scripts/setup.sh --no-packages"
      ;;
  esac
  require_memory 3000 "compiling with LibTorch's headers"
  say "$pretty_name, $(nproc) cores, $(memory_mib) MiB of memory"
}

# Print the nvcc of a CUDA 13 toolkit that is there and has the headers which LibTorch's include. CUDACXX is obeyed.
toolkit_nvcc() {
  local nvcc headers
  for nvcc in "${CUDACXX:-$(command -v nvcc || true)}" "${CUDACXX:-/usr/local/cuda/bin/nvcc}"; do
    headers=$(dirname "$(dirname "$(readlink -f "$nvcc")")")/include
    if [ -x "$nvcc" ] && "$nvcc" --version | grep 'release 13\.' >/dev/null &&
      ls "$headers"/{cuda_runtime,cublas_v2,cusolverDn,cusparse}.h >/dev/null 2>&1; then
      printf '%s' "$nvcc"
      return
    fi
  done
}

# Choose the compiler, and warn where the program could be built but not run on a GPU.
check_cuda() {
  local driver
  nvcc=$(toolkit_nvcc)
  if [ -n "$nvcc" ]; then
    say "CUDA toolkit: $nvcc, $("$nvcc" --version | sed -n 's/.*release \([0-9.]*\).*/\1/p')"
  elif [ -n "${CUDACXX:-}" ]; then
    fail "CUDACXX=$CUDACXX is not the nvcc of a complete CUDA 13 toolkit" "Unset it to have nvcc installed in .deps."
  else
    with_compiler=1
    nvcc=$deps/nvidia/cu13/bin/nvcc
    say "no complete CUDA 13 toolkit is here: the nvcc of the wheels is used, ${nvcc#"$repository/"}"
  fi
  driver=$(grep -oEm 1 '[0-9]{3,}\.[0-9.]+' /proc/driver/nvidia/version 2>/dev/null | head -n 1 || true)
  if [ -z "$driver" ]; then
    warn "no NVIDIA driver is visible here: the build will work, running on a GPU will not"
  elif ! version_at_least "$driver" $driver_minimum; then
    warn "the NVIDIA driver is $driver: CUDA 13.0 runs on a GPU with $driver_minimum or newer"
  fi
}

check_disk() {
  local unpacked=1200 downloads=700
  if [ -n "$with_cuda" ]; then unpacked=3600 downloads=2500; fi
  if [ -n "$with_compiler" ]; then unpacked=$((unpacked + 250)) downloads=$((downloads + 300)); fi
  if up_to_date; then unpacked=0; fi
  if have_wheels; then downloads=0; fi
  arrow_up_to_date || unpacked=$((unpacked + 70)) downloads=$((downloads + 60))
  require_disk "$wheels" $downloads "LibTorch's wheels"
  if [ "$(stat -c %d "$deps")" = "$(stat -c %d "$wheels")" ]; then unpacked=$((unpacked + downloads)); fi
  require_disk "$deps" $unpacked "LibTorch"
}

# The package server is asked for one small file, through apt, which knows the machine's proxy. pip's server is asked
# for its smallest wheel first (install_libraries): on a fresh system there is no pip yet.
check_network() {
  local address
  if up_to_date && arrow_up_to_date && [ -z "$(missing_packages "${build_packages[@]}")" ]; then return; fi
  if [ -z "$with_packages" ] || ! command -v apt-get >/dev/null; then return; fi
  while read -r address; do
    if /usr/lib/apt/apt-helper -qq download-file "$address" "$deps/network" >/dev/null 2>&1; then
      rm -f "$deps/network"
      say "the distribution's package server answers: ${address%%/dists/*}"
      return
    fi
  done < <(apt-get -o Debug::NoLocking=1 update --print-uris 2>/dev/null | sed -n "s/^'\\([^']*InRelease\\)'.*/\\1/p")
  fail "none of the distribution's package servers answers" \
    "Check the network, the proxy settings (http_proxy) and /etc/apt/sources.list*."
}

missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || printf '%s\n' "$package"
  done
}

# Print the cmake to use: PATH's where it is new enough, else the one in .deps. Nothing where there is none.
usable_cmake() {
  local found
  found=$(command -v cmake || true)
  if [ -n "$found" ] && version_at_least "$("$found" --version | awk 'NR == 1 { print $3 }')" $cmake_minimum; then
    printf '%s' "$found"
  elif [ -x "$deps/cmake/bin/cmake" ]; then
    printf '%s' "$deps/cmake/bin/cmake"
  fi
}

# Print "cmake" if the distribution has one that is new enough and none is there yet.
cmake_package() {
  [ -z "$(usable_cmake)" ] || return 0
  local candidate
  candidate=$(apt-cache policy cmake 2>/dev/null | awk '/Candidate:/ { print $2 }')
  if [ -n "$candidate" ] && [ "$candidate" != "(none)" ] && version_at_least "$candidate" $cmake_minimum; then
    printf 'cmake\n'
  fi
}

install_packages() {
  local wanted=("${build_packages[@]}") missing as_root=() began
  [ -z "$with_tests" ] || wanted+=("${test_packages[@]}")
  mapfile -t missing < <(missing_packages "${wanted[@]}")
  if [ ${#missing[@]} -eq 0 ] && [ -n "$(usable_cmake)" ]; then
    say "all there"
    return
  fi
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "packages are missing, and only root or sudo can install them" \
      "As root: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  require_disk /usr 1200 "the distribution's packages"
  "${as_root[@]}" apt-get -q update -o APT::Update::Error-Mode=any ||
    warn "the package lists could not be refreshed (network, proxy or a broken entry in /etc/apt/sources.list*?)"
  mapfile -t -O ${#missing[@]} missing < <(cmake_package)
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  began=$SECONDS
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}" \
    >"$deps/apt.log" 2>&1 ||
    { tail -n 20 "$deps/apt.log" >&2
      fail "apt-get could not install the packages" "Its whole output is in $deps/apt.log." \
        "If a download failed, check the network and proxy settings (http_proxy, https_proxy), then run this again."; }
  say "installed in $(duration $((SECONDS - began))), download included"
}

verified() { [ -s "$2" ] && printf '%s  %s\n' "$1" "$2" | sha256sum --check --status; }

# Leave the wheel of the line $1 in the download folder.
fetch_wheel() {
  local requirement name hash file partial began=$SECONDS
  read -r requirement name hash <<<"$1"
  file=$wheels/$name
  if verified "$hash" "$file"; then return; fi
  python3 -m pip --version >/dev/null 2>&1 || fail "python3 has no pip" "Install the distribution's python3-pip."
  say "downloading $requirement"
  partial=$(mktemp -d "$wheels/partial.XXXXXX")
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --no-cache-dir \
    --python-version 3.11 "${wheel_platforms[@]}" --dest "$partial" "$requirement" ||
    { rm -rf "$partial"
      fail "could not download $requirement from the Python package index" \
        "Check the network, and pip's settings where you use a proxy or a mirror (PIP_INDEX_URL, https_proxy)." \
        "Or put $name into $wheels yourself."; }
  if ! verified "$hash" "$partial/$name"; then
    fail "$requirement does not have the pinned hash" "wanted $name sha256:$hash" \
      "found $(cd "$partial" && sha256sum ./*)" "It is kept in $partial and not used."
  fi
  mv "$partial/$name" "$file"
  rmdir "$partial"
  say "downloaded $(($(stat -c %s "$file") / 1000000)) MB in $(duration $((SECONDS - began)))"
}

# Print those of the file names on standard input that are needed of a CUDA wheel. Libraries that the program never
# loads are left out: cuSOLVER serves only libtorch_cuda_linalg, which goes too, and nothing loads the rest.
needed_of_cuda() {
  local needed='/lib/lib[^/]*\.so(\.|$)|^nvidia/(cudnn/include/[^/]*|nccl/include/nccl)\.h$'
  [ -z "$with_compiler" ] || needed+='|^nvidia/cu13/(bin|include|nvvm)/.*[^/]$|/lib/libcuda[^/]*\.a$'
  grep -E "$needed" | grep -vE '/lib(cufftw|cufile_rdma|cusolver|cusolverMg|nvblas|nvvm)\.so|\.alt\.so' || true
}

# Make folder $1, which nvcc's wheels lay out like a toolkit, one that nvcc and CMake find all of.
complete_toolkit() {
  chmod +x "$1"/bin/* "$1"/nvvm/bin/*
  ln -s lib "$1/lib64"
  ln -s libcudart.so.13 "$1/lib/libcudart.so"
}

# Leave the licence texts of wheel $1 in folder $2: scripts/package.sh carries them with the libraries.
unpack_licences() {
  local names
  mapfile -t names < <(unzip -Z1 "$1" | grep -iE '(^|/)(licen[cs]e|notice)[^/]*$' || true)
  [ ${#names[@]} -gt 0 ] || return 0
  mkdir -p "$2"
  unzip -qoj "$1" "${names[@]}" -d "$2"
}

unpack_libraries() {
  local staging=$deps/staging requirement file names
  local excluded=('*/libtorch_python*' '*/libshm*' '*/libtorch_cuda_linalg*')
  rm -rf "$staging"
  [ -n "$with_cuda" ] ||
    excluded+=('*/libtorch_cuda*' '*/libc10_cuda*' '*/libtorch_nvshmem*' '*/libcaffe2_nvrtc*')
  while read -r requirement file _; do
    say "unpacking $requirement"
    case $requirement in
      torch==*)
        unzip -q "$wheels/$file" 'torch/lib/*' 'torch/include/*' torch/version.py \
          -d "$staging" -x "${excluded[@]}" ;;
      nvidia-cudnn-frontend==*)
        unzip -q "$wheels/$file" 'include/*' -d "$staging/cudnn_frontend" ;;
      *)
        mapfile -t names < <(unzip -Z1 "$wheels/$file" | needed_of_cuda)
        unzip -q "$wheels/$file" "${names[@]}" -d "$staging" ;;
    esac
    unpack_licences "$wheels/$file" "$staging/licenses/${requirement%%==*}"
  done < <(wanted_wheels)
  [ -z "$with_compiler" ] || complete_toolkit "$staging/nvidia/cu13"
  rm -rf "$deps/stamp" "$deps/torch" "$deps/nvidia" "$deps/cudnn_frontend" "$deps/licenses"
  mv "$staging/torch" "$staging/nvidia" "$staging/licenses" "$deps/"
  [ -z "$with_cuda" ] || mv "$staging/cudnn_frontend" "$deps/"
  rm -rf "$staging"
}

install_libraries() {
  local wanted i
  if up_to_date; then
    say "all there: .deps/torch${with_cuda:+, .deps/nvidia}"
  else
    mapfile -t wanted < <(wanted_wheels)
    # The smallest first: a network that does not answer shows before the large download.
    for ((i = ${#wanted[@]} - 1; i >= 0; i--)); do
      fetch_wheel "${wanted[i]}"
    done
    unpack_libraries
    deps_stamp >"$deps/stamp"
  fi
  # CMakeLists.txt reads it: what was found here is what builds.
  [ -z "$cuda_asked" ] || printf '%s\n' "$nvcc" >"$deps/nvcc"
}

install_arrow() {
  local requirement file staging=$deps/staging
  if arrow_up_to_date; then
    say "all there: .deps/arrow"
    return
  fi
  read -r requirement file _ <<<"$arrow_wheel"
  fetch_wheel "$arrow_wheel"
  say "unpacking $requirement"
  rm -rf "$staging"
  unzip -q "$wheels/$file" 'pyarrow/libarrow.so.*' 'pyarrow/libparquet.so.*' 'pyarrow/include/arrow/*' \
    'pyarrow/include/parquet/*' 'pyarrow-*/licenses/*' -d "$staging" -x 'pyarrow/include/arrow/python/*'
  mkdir "$staging/arrow" "$staging/arrow/lib"
  mv "$staging"/pyarrow/lib*.so.* "$staging/arrow/lib/"
  mv "$staging/pyarrow/include" "$staging"/pyarrow-*/licenses "$staging/arrow/"
  printf '%s\n' "$arrow_wheel" >"$staging/arrow/stamp"
  rm -rf "$deps/arrow"
  mv "$staging/arrow" "$deps/arrow"
  rm -rf "$staging"
}

# Unpack folder $2 of the program in wheel $1 as .deps/$3.
install_program() {
  local requirement file hash staging=$deps/staging
  read -r requirement file hash <<<"$1"
  fetch_wheel "$1"
  rm -rf "$staging"
  unzip -q "$wheels/$file" "$2/*" -d "$staging"
  chmod +x "$staging/$2"/bin/*
  rm -rf "${deps:?}/$3"
  mv "$staging/$2" "$deps/$3"
  rm -rf "$staging"
}

install_tools() {
  [ -n "$(usable_cmake)" ] || install_program "$cmake_wheel" cmake/data cmake
  say "$("$(usable_cmake)" --version | head -n 1): $(usable_cmake)"
  if [ -n "$with_tests" ]; then
    [ -x "$deps/clang-format/bin/clang-format" ] || install_program "$format_wheel" clang_format/data clang-format
    say "$("$deps/clang-format/bin/clang-format" --version)"
  fi
}

parse_arguments "$@"
mkdir -p "$deps" "$wheels"
exec 9>"$deps/lock"
flock 9 # two set-ups at once would unpack over each other
started=$SECONDS

stage 1/4 "Check the machine"
check_machine
[ -z "$cuda_asked" ] || check_cuda
check_disk
check_network
[ -z "$check_only" ] || exit 0

stage 2/4 "Distribution packages" "1 to 3 minutes the first time"
if [ -n "$with_packages" ]; then install_packages; else say "left alone, as asked"; fi

if [ -z "$with_cuda" ]; then
  stage 3/4 "LibTorch 2.11.0 and Arrow 26" "downloads 600 MB the first time; 1 minute at 10 MB/s, and half a minute to unpack"
else
  stage 3/4 "LibTorch 2.11.0, CUDA 13.0 and Arrow 26" \
    "downloads 2.4 GB the first time, 2.7 GB with nvcc; 4 minutes at 10 MB/s, and one to unpack"
fi
install_libraries
install_arrow

stage 4/4 "Tools"
install_tools

say "ready after $(duration $((SECONDS - started)))"
