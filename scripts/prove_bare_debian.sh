#!/usr/bin/env bash
# Prove that the README's first block works on a bare Debian: a fresh root (debootstrap) with only python3,
# python3-venv, python3-pip and ca-certificates, a plain copy of the checkout, and no other package.
#
#   sudo scripts/prove_bare_debian.sh [FOLDER]     needs root, debootstrap and Debian's package registry
#
# Takes about five minutes and 3 GB; the folder is removed at the end.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
root=${1:-$(mktemp -d /var/tmp/d2midi-bare-XXXXXX)}
cleanup() { umount "$root/proc" "$root/dev" 2>/dev/null || true; rm -rf --one-file-system "$root"; }
trap cleanup EXIT

command -v debootstrap >/dev/null || { echo "install debootstrap first: apt-get install debootstrap" >&2; exit 2; }
debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates bookworm "$root"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
cp -L /etc/hosts "$root/etc/hosts"
# What this machine trusts and is told about its way out, the bare one is told too.
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
mkdir -p "$root/home/user/d2midi"
git -C "$here" archive HEAD | tar -x -C "$root/home/user/d2midi"

# The first block of the README, as it stands there.
block=$(awk '/^```bash$/ {inside=1; next} /^```$/ && inside {exit} inside' "$here/README.md" | grep -v '^git clone\|^cd d2midi')
printf 'The README says:\n%s\n\n' "$block"
chroot "$root" /usr/bin/env -i HOME=/home/user PATH=/usr/bin:/bin LANG=C.UTF-8 \
    ${SSL_CERT_FILE:+SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt} \
    bash -euxc "cd /home/user/d2midi && $block && .venv/bin/d2midi doctor && .venv/bin/d2midi validate -w d2midi-demo/workspace"
echo "proved: the README's first block works on a bare Debian"
