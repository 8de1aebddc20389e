#!/usr/bin/env bash
# Installs the Debian programs that test/interop talks to, without letting any of their services start. Needs root; quick
# when all are there. Ends with a table of versions and fails when one is missing.
set -euo pipefail
packages=(unbound bind9 bind9-utils bind9-dnsutils knot knot-dnsutils knot-dnssecutils knot-resolver nsd dnsdist pdns-recursor ldnsutils
  getdns-utils stubby dnsperf nginx libnginx-mod-stream haproxy stunnel4 tshark openssl procps iproute2 redis-server curl systemd chromium)

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# policy-rc.d with exit code 101 keeps packages from starting what they install; an existing one is put back. A saved one
# that is already there comes from a run that was killed: it is the true one.
policy=/usr/sbin/policy-rc.d
forbid_services() {
  if [ -e "$policy" ] && [ ! -e "$policy.sotto-saved" ]; then mv "$policy" "$policy.sotto-saved"; fi
  trap 'allow_services; rm -f "$log"' EXIT
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod 755 "$policy"
}
allow_services() {
  rm -f "$policy"
  if [ -e "$policy.sotto-saved" ]; then mv "$policy.sotto-saved" "$policy"; fi
}

install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" < /dev/null >> "$log" 2>&1
}

missing=()
for package in "${packages[@]}"; do is_installed "$package" || missing+=("$package"); done
if [ "${#missing[@]}" -gt 0 ]; then
  log=$(mktemp)
  forbid_services
  # The lists of a fresh machine are empty or old: then the first try fails and the second has new ones.
  install "${missing[@]}" || { apt-get update -qq >> "$log" 2>&1 && install "${missing[@]}"; } || tail -n 40 "$log" >&2
fi

# Installing systemd-resolved would take over resolv.conf: it is unpacked beside the system instead.
resolved=/var/lib/sotto-peers/systemd-resolved
if [ ! -x "$resolved/lib/systemd/systemd-resolved" ]; then
  folder=$(mktemp -d)
  chmod 755 "$folder"
  fetch() { (cd "$folder" && apt-get download -qq systemd-resolved < /dev/null > fetch.log 2>&1); }
  fetch || { apt-get update -qq > "$folder/update.log" 2>&1 && fetch; } || cat "$folder/fetch.log" >&2
  mkdir -p "$resolved"
  dpkg -x "$folder"/systemd-resolved_*.deb "$resolved" || true
  rm -rf "$folder"
fi

failed=0
for package in "${packages[@]}"; do
  if is_installed "$package"; then printf '%-22s %s\n' "$package" "$(dpkg-query -W -f '${Version}' "$package")"
  else printf '%-22s MISSING\n' "$package"; failed=1; fi
done
if [ -x "$resolved/lib/systemd/systemd-resolved" ]; then printf '%-22s unpacked\n' systemd-resolved
else printf '%-22s MISSING\n' systemd-resolved; failed=1; fi
exit "$failed"
