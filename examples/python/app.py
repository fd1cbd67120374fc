"""A small Flask application with sign-up, confirmation and key reset through jwt-mailer.

    pip install -r requirements.txt
    export JWT_MAILER_URL=http://localhost:8080 JWT_MAILER_SECRET=...   # shared with the mailer
    export LINK_SECRET=... SECRET_KEY=...                               # your own
    flask run
"""
import hashlib
import hmac
import os
import secrets
import sqlite3
import threading
import time

import jwt
from flask import Flask, abort, flash, redirect, render_template_string, request, session
from werkzeug.security import check_password_hash, generate_password_hash

from jwt_mailer import Mailer, sign_link, verify_link

SITE_URL = os.environ.get("SITE_URL", "http://localhost:5000")
LINK_SECRET = os.environ["LINK_SECRET"]
if not LINK_SECRET:
    raise SystemExit("LINK_SECRET is empty: anybody could make links")
DATABASE = os.environ.get("DATABASE", "users.sqlite")
LIMITS = {"mail": 5, "login": 10, "code": 5}  # for one address, in an hour
mailer = Mailer(os.environ["JWT_MAILER_URL"], os.environ["JWT_MAILER_SECRET"])

app = Flask(__name__)
app.config.update(
    SECRET_KEY=os.environ["SECRET_KEY"],
    MAX_CONTENT_LENGTH=16 * 1024,
    SESSION_COOKIE_SAMESITE="Lax",
    SESSION_COOKIE_SECURE=SITE_URL.startswith("https:"),
)


def database():
    db = sqlite3.connect(DATABASE, isolation_level=None, timeout=5)
    db.row_factory = sqlite3.Row
    return db


with database() as setup:
    setup.executescript(
        """
        create table if not exists users (id integer primary key, address text unique not null, key text not null,
            verified integer not null default 0);
        create table if not exists used_links (jti text primary key);
        create table if not exists codes (user integer primary key, hash text not null, ends real not null);
        create table if not exists asked (what text not null, at real not null);
        """
    )


def user_at(address):
    return database().execute("select * from users where address = ?", (address,)).fetchone()


def may_ask(what, address):
    """Counts for what was typed, whether or not there is such an account."""
    name, hour_ago = f"{what} {address}", time.time() - 3600
    with database() as db:
        db.execute("delete from asked where at < ?", (hour_ago,))
        db.execute("insert into asked values (?, ?)", (name, time.time()))
        return db.execute("select count(*) from asked where what = ?", (name,)).fetchone()[0] <= LIMITS[what]


def send(kind, address, **rest):
    """Nobody waits for it: how long an answer takes must not tell whether there is an account."""

    def work():
        code, _ = mailer.send(kind, address, **rest)
        if code not in ("sent", "queued"):
            app.logger.warning("no mail: %s", code)

    threading.Thread(target=work).start()


def typed(name, most=254):
    return request.form.get(name, "").strip()[:most]


def new_key():
    key = request.form.get("key", "")
    return key if 8 <= len(key) <= 200 else None


# ---- every form carries a secret of the session, so that no other site can send it for you

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ title }}</title><h1>{{ title }}</h1>
{% for told in get_flashed_messages() %}<p role="status">{{ told }}</p>{% endfor %}
{% if button %}<form method="post"><input type="hidden" name="csrf" value="{{ csrf }}">
{% for name, label, kind in fields %}<p><label>{{ label }}<br><input name="{{ name }}" type="{{ kind }}" required></label></p>
{% endfor %}<button>{{ button }}</button></form>{% endif %}
<p><a href="/">Home</a> <a href="/signup">Sign up</a> <a href="/login">Sign in</a> <a href="/resetkey">Forgot your key?</a></p>"""
ADDRESS = ("address", "Email address", "email")
KEY = ("key", "Access key, 8 characters or more", "password")


def page(title, button=None, *fields, status=200):
    csrf = session.setdefault("csrf", secrets.token_urlsafe())
    return render_template_string(PAGE, title=title, button=button, fields=fields, csrf=csrf), status


@app.before_request
def refuse_forged_forms():
    if request.method == "POST" and not hmac.compare_digest(
        session.get("csrf", secrets.token_urlsafe()).encode(), typed("csrf").encode()
    ):
        abort(403)


@app.after_request
def keep_links_private(response):
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def key_id(user):
    """Another one as soon as the key is: a new key ends every session."""
    return hashlib.sha256(user["key"].encode()).hexdigest()


@app.get("/")
def home():
    user = user_at(session.get("address", ""))
    signed_in = user and session.get("key_id") == key_id(user)
    return page(f"You are signed in as {user['address']}" if signed_in else "Hello")


# ---- sign-up and confirmation


@app.route("/signup", methods=["GET", "POST"])
def signup():
    if request.method != "POST":
        return page("Sign up", "Sign up", ADDRESS, KEY)
    address, key = typed("address").lower(), new_key()
    if "@" not in address or key is None:
        flash("An address, and a key of 8 to 200 characters, please.")
        return page("Sign up", "Sign up", ADDRESS, KEY, status=422)
    if not may_ask("mail", address):
        return page("Please wait an hour", status=429)
    with database() as db:
        db.execute(
            "insert into users (address, key) values (?, ?)"
            " on conflict (address) do update set key = excluded.key where verified = 0",
            (address, generate_password_hash(key)),
        )
    user = user_at(address)
    if not user["verified"]:
        send(
            "signup",
            address,
            link_url=SITE_URL + "/confirm/",
            link_token=sign_link("confirm", user["id"], LINK_SECRET),
            key=secrets.token_hex(4),
        )
    flash("If this address is new here, a mail with a link is on its way.")  # the same for one that is not
    return page("Look into your mail")


@app.route("/confirm/<token>", methods=["GET", "POST"])
def confirm(token):
    try:
        link = verify_link(token, "confirm", LINK_SECRET)
    except jwt.ExpiredSignatureError:
        return page("This link is over: sign up once more for a new one", status=410)
    except jwt.InvalidTokenError:
        return page("This link is not whole: copy all of it from the mail", status=410)
    if request.method != "POST":  # mail scanners open every link, by GET and HEAD: only the button confirms
        return page("Confirm your address", "Yes, confirm", KEY)
    with database() as db:
        user = db.execute("select * from users where id = ?", (link["sub"],)).fetchone()
        # whoever signed up with this address must be whoever reads its mail
        if not check_password_hash(user["key"] if user else NOBODY, request.form.get("key", "")[:200]):
            flash("That is not the key of this sign-up. Sign up once more.")
            return page("Confirm your address", "Yes, confirm", KEY, status=401)
        if db.execute("insert or ignore into used_links values (?)", (link["jti"],)).rowcount == 0:
            return page("This link has done its work: you can sign in", status=410)
        db.execute("update users set verified = 1 where id = ? and key = ?", (user["id"], user["key"]))
    return page("Your address is confirmed")


@app.route("/login", methods=["GET", "POST"])
def login():
    if request.method != "POST":
        return page("Sign in", "Sign in", ADDRESS, KEY)
    address = typed("address").lower()
    if not may_ask("login", address):
        return page("Please wait an hour", status=429)
    user = user_at(address)
    right = check_password_hash(user["key"] if user else NOBODY, request.form.get("key", "")[:200])
    if not user or not right or not user["verified"]:
        flash("Confirm your address first." if user and right else "Address or key is wrong.")
        return page("Sign in", "Sign in", ADDRESS, KEY, status=401)
    session.clear()  # nothing that was planted before stays
    session["address"], session["key_id"] = address, key_id(user)
    return redirect("/", 303)


NOBODY = generate_password_hash(secrets.token_urlsafe())  # as much work for an address that is not there


# ---- key reset by a one-time code


@app.route("/resetkey", methods=["GET", "POST"])
def reset_key():
    if request.method != "POST":
        return page("Forgot your key?", "Send me a code", ADDRESS)
    address = typed("address").lower()
    if not may_ask("mail", address):
        return page("Please wait an hour", status=429)
    user, code = user_at(address), f"{secrets.randbelow(1_000_000):06}"
    # the code is of no use in another browser
    session["resetting"], session["asked"] = address, secrets.token_urlsafe()
    kept = generate_password_hash(session["asked"] + code)  # as much work for an address that is not there
    if user:
        with database() as db:
            db.execute(
                "insert or replace into codes values (?, ?, ?)",
                (user["id"], kept, time.time() + 600),
            )
        send("resetkey", address, key=code)
    return redirect("/newkey", 303)


@app.route("/newkey", methods=["GET", "POST"])
def set_new_key():
    fields = ("code", "Code from the mail", "text"), KEY
    address, key = session.get("resetting", ""), new_key()
    if request.method != "POST" or key is None:
        return page("Type the code", "Save", *fields, status=422 if request.method == "POST" else 200)
    user = user_at(address)
    if not may_ask("code", address):
        return page("Please wait an hour", status=429)
    with database() as db:
        row = user and db.execute("select * from codes where user = ? and ends > ?", (user["id"], time.time())).fetchone()
        if not check_password_hash(row["hash"] if row else NOBODY, session.get("asked", "") + typed("code", 6)):
            flash("That is not the code, or it is over.")
            return page("Type the code", "Save", *fields, status=401)
        db.execute("delete from codes where user = ?", (user["id"],))
        db.execute("update users set key = ?, verified = 1 where id = ?", (generate_password_hash(key), user["id"]))
    session.pop("resetting")
    return page("Your key is saved: sign in with it")
