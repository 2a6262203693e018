#!/usr/bin/env bash
# Install the Debian packages that the tests use: a browser, its fonts, Ceph's S3 gateway, and the programs that the
# documents tell a clinic to use.
# Without them, or the right to install them, the tests that need them are skipped, and say so.
set -euo pipefail

packages=(chromium fonts-dejavu-core radosgw ceph-mon ceph-osd ceph-common curl jq uuid-runtime)
missing=()
for package in "${packages[@]}"; do
  if [[ "$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null)" != installed ]]; then
    missing+=("$package")
  fi
done
if [[ ${#missing[@]} -eq 0 ]]; then
  exit 0
fi
if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
  echo "Not installed here: ${missing[*]}. The tests that need them will be skipped."
  echo "On Debian: sudo apt-get install --no-install-recommends ${missing[*]}"
  exit 0
fi
echo "Installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update && apt-get install --yes --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 20 "$log"
  echo "The Debian packages could not be installed. The tests that need them will be skipped."
fi
