#!/bin/sh
# Installs the Debian packages named on the command line that are missing, and says which.
set -eu
missing=
for p in "$@"; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
command -v apt-get >/dev/null || { echo "tenbin needs these Debian packages:$missing" >&2; exit 1; }
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "installing Debian packages:$missing"
# Servers among them (redis, postgresql, nginx) are started by the tests themselves, never by the package.
$sudo sh -c "
    [ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; made=1; }
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null; rc=\$?
    [ -z \"\${made:-}\" ] || rm -f /usr/sbin/policy-rc.d
    exit \$rc"
