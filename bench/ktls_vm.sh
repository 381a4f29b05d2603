#!/bin/bash
# kTLS for real: boots a Debian kernel that has the module "tls" in a virtual machine (no KVM and no
# network needed) and runs there
#   - the unit tests of net/tls, whose second half is about connections that the kernel encrypts
#   - tenbin in front of bench/origin: bodies of 0 to 10 MiB over TLS 1.2 and 1.3, HTTP/1.1 and
#     HTTP/2, also to readers that are slow, compared with what the origin says itself
# and looks whether the kernel's own count of kTLS connections and tenbin's agree.
#
#   make all tools && make build/release/unit/net/test_tls
#   bench/ktls_vm.sh [seconds]       exit code 0 and a last line "ktls: ok"
#
# Needs qemu-system-x86, busybox-static, cpio, curl, openssl; fetches linux-image-amd64 with apt-get,
# unpacks it and installs nothing. DIR=... keeps what it makes there, for a second run.
set -eu
cd "$(dirname "$0")/.."
limit=${1:-900}
dir=${DIR:-$(mktemp -d)}
[ -n "${DIR:-}" ] || trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir"

kernel() {
    [ -d "$dir/kernel" ] && return
    local package
    package=$(apt-cache depends linux-image-amd64 | awk '$1 == "Depends:" { print $2; exit }')
    (cd "$dir" && apt-get download "$package" && dpkg -x linux-image-*.deb kernel)
}

# A program, and the libraries that it is linked with.
program() {
    install -D "$1" "$root/bin/$(basename "$1")"
    ldd "$1" | grep -o '/[^ ]*' | while read -r each; do
        install -D "$each" "$root$each"
    done
}

modules() {
    local from version to each
    from=$(echo "$dir"/kernel/lib/modules/*)
    version=$(basename "$from")
    to=$root/lib/modules/$version
    mkdir -p "$to"
    for each in net/tls crypto arch/x86/crypto lib/crypto; do
        mkdir -p "$to/kernel/$each"
        cp -r "$from/kernel/$each/." "$to/kernel/$each"
    done
    cp "$from"/modules.builtin* "$from"/modules.order "$to" 2>/dev/null || true
    busybox depmod -b "$root" "$version"
}

certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=a.test \
        -addext subjectAltName=IP:127.0.0.1 -keyout "$root/key.pem" -out "$root/cert.pem" 2>/dev/null
}

configuration() {
    cat > "$root/tenbin.yaml" <<'END'
workers: 1
tls: {ktls: true}
admin: {listen: "127.0.0.1:9900"}
listeners:
  - name: web
    listen: "127.0.0.1:8443"
    protocol: https
    certificates: [{certificate: /cert.pem, key: /key.pem}]
    default_action: {forward: app}
target_groups:
  - {name: app, health_check: off, targets: ["127.0.0.1:8080"]}
END
}

guest() {
    cat > "$root/init" <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /tmp /sbin /etc
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp
ln -s /bin/modprobe /sbin/modprobe
ifconfig lo 127.0.0.1 up
echo root:x:0:0::/:/bin/sh > /etc/passwd
fail() { echo "ktls: FAILED: $*" | tee -a /tmp/failed; }
stat() { awk -v name="$1" '$1 == name { print $2 }' /proc/net/tls_stat; }
# name of a metric ─▶ its value
metric() { curl -s http://127.0.0.1:9900/metrics | awk -v name="$1" 'index($0, name) == 1 { print $2 }'; }

modprobe tls || fail "no module tls"
test_tls > /tmp/unit 2>&1 || { cat /tmp/unit; fail "unit tests"; }
grep PASSED /tmp/unit
echo "after the unit tests: TlsTxSw $(stat TlsTxSw), TlsRxSw $(stat TlsRxSw)"

origin --listen 127.0.0.1:8080 > /dev/null 2>&1 &
tenbin run -c /tenbin.yaml > /tmp/log 2>&1 &
for i in $(seq 100); do curl -s http://127.0.0.1:9900/status > /dev/null && break; sleep 0.3; done
before=$(stat TlsTxSw)

fetch() { # the path, then options of curl
    path=$1; shift
    want=$(curl -s "http://127.0.0.1:8080$path" | md5sum)
    got=$(curl -sS -k "$@" "https://127.0.0.1:8443$path" 2>/tmp/why | md5sum)
    [ "$want" = "$got" ] && [ ! -s /tmp/why ] || fail "$path $* $(cat /tmp/why)"
    fetched=$((fetched + 1))
}

fetched=0
for version in 1.2 1.3; do
    for http in 1.1 2; do
        echo "TLS $version, HTTP/$http"
        for size in 0 1 128 16384 16385 100k 1m 10m; do
            fetch /$size --tls-max $version --http$http
        done
        fetch /1m --tls-max $version --http$http -H 'Connection: close' --limit-rate 500k
    done
done
for cipher in AES128-GCM-SHA256 AES256-GCM-SHA384; do
    fetch /100k --tls-max 1.2 --ciphers ECDHE-ECDSA-$cipher --http1.1
done
for cipher in AES_128_GCM_SHA256 AES_256_GCM_SHA384 CHACHA20_POLY1305_SHA256; do
    fetch /100k --tls13-ciphers TLS_$cipher --http1.1
done
slow=
for i in 1 2; do # the socket is full when the end comes
    fetch /10m --http1.1 -H 'Connection: close' --limit-rate 2m &
    slow="$slow $!"
done
wait $slow
fetched=$((fetched + 2))

grown=$(($(stat TlsTxSw) - before))
yes=$(metric 'tenbin_tls_connections_total{listener="web",offloaded="yes"}')
no=$(metric 'tenbin_tls_connections_total{listener="web",offloaded="no"}')
echo "$fetched fetched; the kernel encrypted for $grown connections; tenbin counts $yes with it, $no without"
[ "$grown" = "$fetched" ] && [ "$yes" = "$fetched" ] && [ "$no" = 0 ] || fail "the counts differ"
[ "$(stat TlsDecryptError)" = 0 ] || fail "records that could not be read"
[ -e /tmp/failed ] && cat /tmp/log || echo "ktls: ok"
poweroff -f
END
    chmod +x "$root/init"
}

kernel
root=$dir/root
rm -rf "$root"
mkdir -p "$root/bin"
cp "$(command -v busybox)" "$root/bin"
for each in build/release/tenbin build/release/bench/origin build/release/unit/net/test_tls "$(command -v curl)"; do
    program "$each"
done
modules
certificate
configuration
guest
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) > "$dir/initramfs"
timeout "$limit" qemu-system-x86_64 -accel tcg -cpu max -m 1024 -nographic -no-reboot -net none \
    -kernel "$dir"/kernel/boot/vmlinuz-* -initrd "$dir/initramfs" \
    -append "console=ttyS0 quiet panic=-1" < /dev/null | tee "$dir/console" | stdbuf -oL tr -d "\r" || true
grep -aq '^ktls: ok' "$dir/console"
