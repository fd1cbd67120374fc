#!/bin/sh
# Sends a mail through jwt-mailer with nothing but openssl and curl.
#
#   export JWT_MAILER_URL=http://localhost:8080   # where the mailer listens
#   export JWT_MAILER_SECRET=...                  # shared with the mailer
#   ./send.sh ADDRESS ACCESS_KEY LINK_URL LINK_TOKEN
#   KIND=resetkey ./send.sh ADDRESS CODE          # a mail without a link
#
# Prints the mailer's answer; exits 0 when the mail was accepted. A try that got no answer is made again: the token's jti
# makes all of them one mail. MAIL_ID=signup-42 makes it the same mail for another run as well.
# openssl takes the secret as an argument, so others on the same machine can see it in the process list for a moment.
set -eu

case $# in 2 | 4) ;; *) echo "usage: [KIND=kind] send.sh ADDRESS ACCESS_KEY [LINK_URL LINK_TOKEN]" >&2; exit 2 ;; esac

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# A value as it may stand between the quotes of a JSON string.
json() {
  case $1 in *[[:cntrl:]]*) echo "send.sh: a value holds a control character" >&2; exit 2 ;; esac
  printf '%s' "$1" | sed 's/[\\"]/\\&/g'
}

address=$(json "$1")
key=$(json "$2")
link_url=$(json "${3:-}")
link_token=$(json "${4:-}")
id=$(json "${MAIL_ID:-$(openssl rand -hex 16)}")
now=$(date +%s)
mailer=$(printf '%s' "$JWT_MAILER_URL" | sed 's:/*$::')

header=$(printf '{"alg":"HS256","typ":"JWT"}' | base64url)
claims=$(printf '{"user_email":"%s","user_aut_key":"%s","email_link_url":"%s","email_link_token":"%s","jti":"%s","iat":%s,"exp":%s}' \
  "$address" "$key" "$link_url" "$link_token" "$id" "$now" "$((now + 86400))" | base64url)
signature=$(printf '%s.%s' "$header" "$claims" | openssl dgst -sha256 -hmac "$JWT_MAILER_SECRET" -binary | base64url)

# By POST the token stays out of URLs and what logs them; from standard input it stays out of the process list.
printf '{"token":"%s.%s.%s"}' "$header" "$claims" "$signature" |
  curl --silent --show-error --fail-with-body --max-time 30 --retry 3 --retry-connrefused --write-out '\n' \
    --header 'Content-Type: application/json' --data-binary @- "$mailer/emailservice/${KIND:-confirmation}"
