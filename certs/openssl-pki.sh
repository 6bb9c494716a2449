#!/bin/sh
# Makes with the openssl command what `keyspring pki` makes: three CAs with their revocation lists, and
# certificates for two KMEs, two SAEs and an operator, named as config/site-a.yaml and site-b.yaml want them.
#
#   certs/openssl-pki.sh config/certs        ECDSA P-256
#   certs/openssl-pki.sh config/certs rsa    RSA 3072
set -eu

usage() {
    echo "usage: openssl-pki.sh FOLDER [ec|rsa]" >&2
    exit 2
}

[ $# -ge 1 ] && [ $# -le 2 ] || usage
folder=$1

case ${2:-ec} in
ec) algorithm=EC option=ec_paramgen_curve:P-256 ;;
rsa) algorithm=RSA option=rsa_keygen_bits:3072 ;;
*) usage ;;
esac

# make_key FILE: a new private key, mode 0600; never overwrites one.
make_key() {
    if [ -e "$1" ]; then
        echo "$folder/$1 exists already" >&2
        exit 1
    fi
    openssl genpkey -algorithm "$algorithm" -pkeyopt "$option" -out "$1" 2>/dev/null
}

# make_ca CA COMMON_NAME: CA.pem and CA.key, and the state of the CA in CA/.
make_ca() {
    make_key "$1.key"
    openssl req -x509 -new -utf8 -key "$1.key" -sha256 -days 3650 -subj "/CN=$2" \
        -config /dev/null -addext "basicConstraints=critical,CA:TRUE,pathlen:0" \
        -addext "keyUsage=critical,keyCertSign,cRLSign" -addext "subjectKeyIdentifier=hash" \
        -out "$1.pem"
    mkdir -p "$1"
    : >"$1/index.txt"
    echo 01 >"$1/crlnumber"
    cat >"$1/ca.cnf" <<CONFIG
[ca]
default_ca = own
[own]
database = $1/index.txt
crlnumber = $1/crlnumber
certificate = $1.pem
private_key = $1.key
default_md = sha256
default_crl_days = 30
CONFIG
}

# make_crl CA: CA.crl.pem. To revoke, in FOLDER: openssl ca -config CA/ca.cnf -revoke NAME.pem, and this line again.
make_crl() {
    openssl ca -config "$1/ca.cnf" -gencrl -out "$1.crl.pem" 2>/dev/null
}

# issue CA NAME ALTERNATIVE_NAMES EXTENDED_KEY_USAGE: NAME.pem and NAME.key.
issue() {
    make_key "$2.key"
    openssl req -new -utf8 -key "$2.key" -subj "/CN=$2" -config /dev/null -out "$2.csr"
    cat >"$2.ext" <<EXTENSIONS
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = $4
subjectAltName = $3
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
EXTENSIONS
    openssl x509 -req -in "$2.csr" -CA "$1.pem" -CAkey "$1.key" -sha256 -days 365 \
        -set_serial "0x4$(openssl rand -hex 19)" -extfile "$2.ext" -out "$2.pem" 2>/dev/null
    rm "$2.csr" "$2.ext"
}

umask 077
mkdir -p "$folder"
cd "$folder"

make_ca sae-ca "SAE CA"
make_ca kme-ca "KME CA"
make_ca operator-ca "Operator CA"

for kme in kme-a kme-b; do
    issue kme-ca "$kme" "DNS:localhost,IP:127.0.0.1,IP:::1,URI:urn:keyspring:kme:$kme" \
        "serverAuth,clientAuth"
done
for sae in sae-a sae-b; do
    issue sae-ca "$sae" "URI:urn:keyspring:sae:$sae" "clientAuth"
done
issue operator-ca operator "URI:urn:keyspring:operator:operator" "clientAuth"

for ca in sae-ca kme-ca operator-ca; do make_crl "$ca"; done
echo "Made CAs and certificates in $folder"
