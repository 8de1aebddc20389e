#!/usr/bin/env bash
# Installs the Debian programs that test/interop talks to, without letting any of their services start.
set -euo pipefail
packages=(unbound bind9 bind9-utils bind9-dnsutils knot knot-dnsutils knot-resolver nsd dnsdist pdns-recursor ldnsutils
  getdns-utils stubby dnsperf nginx libnginx-mod-stream haproxy stunnel4 tshark openssl procps iproute2 redis-server)

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
missing=()
for package in "${packages[@]}"; do is_installed "$package" || missing+=("$package"); done

if [ "${#missing[@]}" -gt 0 ]; then
  # policy-rc.d with exit code 101 keeps packages from starting what they install; an existing one is put back.
  policy=/usr/sbin/policy-rc.d
  [ -e "$policy" ] && mv "$policy" "$policy.sotto-saved"
  restore() { rm -f "$policy"; [ -e "$policy.sotto-saved" ] && mv "$policy.sotto-saved" "$policy"; return 0; }
  trap restore EXIT
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod 755 "$policy"
  export DEBIAN_FRONTEND=noninteractive
  # The lists of a fresh machine are empty or old: then the first try fails and the second has new ones.
  apt-get install -y -q --no-install-recommends "${missing[@]}" || {
    apt-get update -q
    apt-get install -y -q --no-install-recommends "${missing[@]}"
  }
fi

failed=0
for package in "${packages[@]}"; do
  if is_installed "$package"; then printf '%-22s %s\n' "$package" "$(dpkg-query -W -f '${Version}' "$package")"
  else printf '%-22s MISSING\n' "$package"; failed=1; fi
done
exit "$failed"
