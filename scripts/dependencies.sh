# Sourced by test.sh and demo.sh: makes sure that what the build needs is there. On Debian and Ubuntu, with root or sudo,
# missing packages are installed; elsewhere they are named. Needs no network when everything is there.

kagami_run_as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Whether the C++ compiler finds a header.
kagami_has_header() {
  printf '#include <%s>\n' "$1" | "${CXX:-c++}" -std=c++20 -x c++ -fsyntax-only - >/dev/null 2>&1
}

# Prints the packages that are missing, one a line. $1: yes when tests and benchmarks are built too.
kagami_missing_packages() {
  command -v "${CXX:-c++}" >/dev/null || echo g++
  command -v cmake >/dev/null || echo cmake
  command -v ninja >/dev/null || echo ninja-build
  command -v git >/dev/null || echo git
  # All or none: the packages of two Boost versions exclude each other. Context is for tests of CUDA code without a GPU.
  { kagami_has_header boost/program_options.hpp && kagami_has_header boost/json.hpp &&
    kagami_has_header boost/context/detail/fcontext.hpp; } ||
    printf '%s\n' libboost-program-options-dev libboost-json-dev libboost-context-dev
  { printf '#include <cstdio>\n#include <jpeglib.h>\n' | "${CXX:-c++}" -x c++ -fsyntax-only - >/dev/null 2>&1; } || echo libjpeg-dev
  kagami_has_header spng.h || echo libspng-dev
  kagami_has_header zlib.h || echo zlib1g-dev
  if [ "${1:-no}" = yes ]; then
    kagami_has_header gtest/gtest.h || echo libgtest-dev
    kagami_has_header benchmark/benchmark.h || echo libbenchmark-dev
  fi
}

# Debian 12 has Boost.JSON in version 1.81 only, beside its default 1.74; later releases have it in the default version.
kagami_apt_names() {
  local name
  for name in "$@"; do
    case $name in
      libboost-*-dev)
        local versioned="${name%-dev}1.81-dev"
        if [ -n "$(apt-cache madison "$versioned" 2>/dev/null)" ]; then echo "$versioned"; else echo "$name"; fi ;;
      *) echo "$name" ;;
    esac
  done
}

# kagami_need yes|no: see kagami_missing_packages.
kagami_need() {
  local missing
  missing=$(kagami_missing_packages "$1" | tr '\n' ' ')
  [ -n "${missing// /}" ] || return 0
  if ! command -v apt-get >/dev/null; then
    echo "Missing: $missing" >&2
    echo "These are Debian's names; install the same libraries with your system's package manager, then run this again." >&2
    return 1
  fi
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    echo "Missing: $missing" >&2
    echo "Run as root: apt-get install $missing" >&2
    return 1
  fi
  echo "Installing: $missing"
  kagami_run_as_root apt-get update -qq || return 1
  # shellcheck disable=SC2046,SC2086
  kagami_run_as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(kagami_apt_names $missing) || return 1
  missing=$(kagami_missing_packages "$1" | tr '\n' ' ')
  if [ -n "${missing// /}" ]; then
    echo "Still missing after the installation: $missing" >&2
    return 1
  fi
}
