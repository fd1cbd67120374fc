"""Send mails through jwt-mailer, and take their links back. Copy it into your project: needs PyJWT and requests."""
import logging
import time
import uuid

import jwt
import requests

log = logging.getLogger(__name__)
PASSING = {"unreachable", "store_unavailable", "store_unknown", "relay_unavailable", "internal"}


class Mailer:
    def __init__(self, url, secret, app="default"):
        if not secret:
            raise ValueError("the secret is empty")
        self.route = url.rstrip("/") + ("/emailservice" if app == "default" else "/emailservice-" + app)
        self.secret = secret

    def send(self, kind, address, link_url=None, link_token=None, key=None, idempotency_key=None, **data):
        """Ask for one mail; returns ("sent" or "queued", its id), or (why not, None). Raises nothing for what went wrong.

        The jti makes every repeat the same mail, so a try that got no answer is safely made again.
        """
        now = int(time.time())
        claims = {**data, "user_email": address, "user_aut_key": key}
        claims.update(email_link_url=link_url, email_link_token=link_token)
        claims.update(jti=idempotency_key or str(uuid.uuid4()), iat=now, exp=now + 86400)
        token = jwt.encode({name: value for name, value in claims.items() if value is not None}, self.secret, "HS256")
        for tries in range(3):
            code, mail_id = self._post(kind, token)
            if code not in PASSING:
                break
            time.sleep(0.25 * 2**tries)
        return code, mail_id

    def _post(self, kind, token):
        try:  # the mailer answers within 25 seconds; what requests raises may quote the token, so it ends here
            reply = requests.post(self.route + "/" + kind, json={"token": token}, timeout=30, allow_redirects=False)
            answer = reply.json()
            if answer["code"] == "claims_invalid":
                log.warning("the mailer refuses a claim: %s (%s)", answer.get("claim"), answer.get("reason"))
            return str(answer["code"]), answer.get("id")
        except (requests.RequestException, ValueError, KeyError, TypeError):
            return "unreachable", None


def sign_link(purpose, subject, secret, lives_s=86400):
    """A token for a link: for one purpose, for a time. Its secret is your own, never the one shared with the mailer."""
    now = int(time.time())
    claims = {"aud": purpose, "sub": str(subject), "jti": str(uuid.uuid4()), "iat": now, "exp": now + lives_s}
    return jwt.encode(claims, secret, "HS256")


def verify_link(token, purpose, secret):
    """Its claims ("sub", and "jti" to let it work once); raises jwt.InvalidTokenError, jwt.ExpiredSignatureError."""
    return jwt.decode(token, secret, ["HS256"], audience=purpose, options={"require": ["exp", "sub", "jti"]})
