#!/usr/bin/env python3
"""Send a confirmation mail through jwt-mailer, from a Python web app.

    pip install pyjwt requests

    export JWT_MAILER_URL=http://localhost:8080   # where the mailer listens
    export JWT_MAILER_SECRET=...                  # shared with the mailer
    export APP_SECRET=...                         # your own: the mailer never sees it
    export APP_LINK_URL='https://app.example.com/verify?token='
    python3 send.py ada@example.com 481516
"""
import os
import sys
import time

import jwt
import requests


def make_link_token(address):
    """What comes back when the link is clicked. Only this app can make it, and only this app can check it."""
    claims = {"user_email": address, "exp": int(time.time()) + 24 * 3600}
    return jwt.encode(claims, os.environ["APP_SECRET"], algorithm="HS256")


def send_confirmation(address, access_key, link_token):
    """Ask the mailer for one mail and return its answer: {"error": 0, "msg": "Ok", "code": "sent", ...}."""
    token = jwt.encode(
        {
            "user_email": address,
            "user_aut_key": access_key,
            "email_link_url": os.environ["APP_LINK_URL"],
            "email_link_token": link_token,
        },
        os.environ["JWT_MAILER_SECRET"],
        algorithm="HS256",
    )
    # The mailer answers within 25 seconds, also when its relay does not.
    return requests.get(os.environ["JWT_MAILER_URL"].rstrip("/") + "/emailservice/" + token, timeout=30).json()


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: send.py ADDRESS ACCESS_KEY")
    address, access_key = sys.argv[1:]
    try:
        answer = send_confirmation(address, access_key, make_link_token(address))
    except requests.RequestException as error:
        # Its text holds the URL, and with it the token: say what happened, not where.
        sys.exit("the mailer did not answer: " + type(error).__name__)
    print(answer["code"], answer["msg"])
    # 0 accepted; 1 something is wrong with the token; 2 it could not be sent, try again later
    sys.exit(0 if answer["error"] == 0 else 1)


if __name__ == "__main__":
    main()
