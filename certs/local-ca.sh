#!/bin/sh
# Makes a CA and a serving certificate for the operator's webhooks, for running the operator outside a cluster.
# See README.md beside it. Usage: local-ca.sh [-o DIR] [-n NAMESPACE] [-s SERVICE] [-d DAYS]
set -eu
umask 077

out=$(dirname "$0")/local-ca namespace=llm-operator-system service=llm-operator-webhook days=365
usage() {
  echo "usage: $0 [-o DIR] [-n NAMESPACE] [-s SERVICE] [-d DAYS]" >&2
  echo "defaults: -o $out -n $namespace -s $service -d $days" >&2
  exit 2
}
while getopts o:n:s:d: option; do
  case $option in
    o) out=$OPTARG ;;
    n) namespace=$OPTARG ;;
    s) service=$OPTARG ;;
    d) days=$OPTARG ;;
    *) usage ;;
  esac
done
shift $((OPTIND - 1))
[ $# -eq 0 ] || usage
command -v openssl >/dev/null || { echo "$0: openssl is not installed" >&2; exit 1; }
if [ -e "$out/tls.key" ]; then
  echo "$0: $out/tls.key exists: what it signed would no longer be trusted; remove $out first, or choose another -o" >&2
  exit 1
fi

# The name that the API server asks for, and the ones to try the server with by hand.
host=$service.$namespace.svc
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# PKCS#8, which is what the operator reads.
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

cat >"$work/ca.cnf" <<EOF
[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = $service-ca
[extensions]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
# A leaked key can only impersonate this webhook.
nameConstraints = critical, permitted;DNS:$host, permitted;DNS:localhost, permitted;IP:127.0.0.1/255.255.255.255
EOF
key "$out/tls.key"
openssl req -x509 -new -sha256 -key "$out/tls.key" -days "$days" -config "$work/ca.cnf" -out "$out/tls.crt"
cp "$out/tls.crt" "$out/ca.crt"

cat >"$work/server.cnf" <<EOF
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:$host, DNS:localhost, IP:127.0.0.1
EOF
key "$out/server.key"
openssl req -new -key "$out/server.key" -subj "/CN=$service" -out "$work/server.csr"
openssl x509 -req -sha256 -in "$work/server.csr" -CA "$out/tls.crt" -CAkey "$out/tls.key" -set_serial "0x$(openssl rand -hex 16)" \
  -days "$days" -extfile "$work/server.cnf" -extensions extensions -out "$out/server.crt" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
openssl verify -x509_strict -CAfile "$out/ca.crt" -verify_hostname "$host" "$out/server.crt" >/dev/null

echo "CA:       $out/tls.crt $out/tls.key (trust: $out/ca.crt), $days days"
echo "server:   $out/server.crt $out/server.key, for $host and localhost"
