#!/bin/sh
# Installs Debian packages: `funai-packages PACKAGE…`, from FUNAI_DEBIAN_MIRROR where that is set. Exits with 98 where they can't
# be had.
set -u
options='-qq -o APT::Sandbox::User=root -o Acquire::Retries=2 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20'
list=/tmp/funai-debian.list
authorities=/tmp/funai-debian.pem
mirror=${FUNAI_DEBIAN_MIRROR:-}
mirror=${mirror%/}
if [ -n "$mirror" ]; then
  . /etc/os-release
  {
    echo "deb $mirror $VERSION_CODENAME main"
    case $mirror in */debian) echo "deb $mirror-security $VERSION_CODENAME-security main" ;; esac
  } >"$list"
  # The slim image has no certificate authorities; Node brings its own.
  node -p 'require("tls").rootCertificates.join("\n")' >"$authorities"
  [ -r "${NODE_EXTRA_CA_CERTS:-}" ] && cat "$NODE_EXTRA_CA_CERTS" >>"$authorities"
  options="$options -o Dir::Etc::sourcelist=$list -o Dir::Etc::sourceparts=- -o Acquire::https::CaInfo=$authorities"
fi
apt-get $options update
DEBIAN_FRONTEND=noninteractive apt-get $options install -y --no-install-recommends "$@"
code=$?
rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb "$list" "$authorities"
[ "$code" = 0 ] && exit 0
echo "no packages ($*) from ${mirror:-deb.debian.org}" >&2
exit 98
