#!/usr/bin/env bash
# Fetches a public data set: scripts/get_data.sh cifar10 [FOLDER]
# FOLDER (default: build/data) then holds cifar-10-batches-bin/, which `--data FOLDER` opens.
set -euo pipefail

readonly cifar10_url=https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz
readonly cifar10_md5=c32a1d4ab5d03f1284b67883e8d87530

fail() {
  echo "get_data.sh: $*" >&2
  exit 1
}

usage() {
  echo "usage: scripts/get_data.sh cifar10 [FOLDER]   (FOLDER: build/data if not given)" >&2
  exit 2
}

download() {  # url file
  if command -v curl > /dev/null; then
    curl --fail --location --retry 3 --continue-at - --output "$2" "$1" ||
      fail "could not download $1 (curl: exit $?); check the network, then run this again: it continues where it stopped"
  elif command -v wget > /dev/null; then
    wget --tries=3 --continue --output-document="$2" "$1" ||
      fail "could not download $1 (wget: exit $?); check the network, then run this again: it continues where it stopped"
  else
    fail "neither curl nor wget is installed; install one (apt-get install curl), or fetch $1 by hand into $2"
  fi
}

md5_of() {
  if command -v md5sum > /dev/null; then md5sum "$1" | cut -d' ' -f1; else md5 -q "$1"; fi
}

is_whole() { [ -f "$1" ] && [ "$(md5_of "$1")" = "$cifar10_md5" ]; }

get_cifar10() {  # folder
  local folder=$1 archive=$1/cifar-10-binary.tar.gz
  mkdir -p "$folder" || fail "cannot create the folder $folder"
  if [ -f "$folder/cifar-10-batches-bin/test_batch.bin" ]; then
    echo "CIFAR-10 is already in $folder/cifar-10-batches-bin"
    return
  fi
  if ! is_whole "$archive"; then
    download "$cifar10_url" "$archive"
    is_whole "$archive" || {
      rm -f "$archive"
      fail "what came from $cifar10_url is not the known archive (its MD5 sum differs) and was removed; run this again"
    }
  fi
  # Unpacked beside its place first: a run that is stopped leaves no half folder.
  local unpacked
  unpacked=$(mktemp -d "$folder/unpack.XXXXXX") || fail "cannot write into $folder"
  trap 'rm -rf "$unpacked"' EXIT
  tar -xzf "$archive" -C "$unpacked" || fail "cannot unpack $archive (full disk?)"
  rm -rf "$folder/cifar-10-batches-bin"
  mv "$unpacked/cifar-10-batches-bin" "$folder/"
  rm -rf "$unpacked" "$archive"
  trap - EXIT
  echo "CIFAR-10 is in $folder/cifar-10-batches-bin; use it with --data $folder"
}

if [ $# -lt 1 ] || [ $# -gt 2 ]; then usage; fi
case $1 in
  cifar10) get_cifar10 "${2:-$(cd "$(dirname "$0")/.." && pwd)/build/data}" ;;
  -h | --help) usage ;;
  *) echo "get_data.sh: no data set '$1'; known: cifar10" >&2; usage ;;
esac
