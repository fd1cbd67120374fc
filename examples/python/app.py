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
        create table if not exists users (id integer primary key, address text unique not null, key text not null);
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
    """Asks for no key: whoever signs up may not be whoever reads the mail, and only the reader chooses it."""
    if request.method != "POST":
        return page("Sign up", "Sign up", ADDRESS)
    address = typed("address").lower()
    if "@" not in address:
        flash("An address, please.")
        return page("Sign up", "Sign up", ADDRESS, status=422)
    if not may_ask("mail", address):
        return page("Please wait an hour", status=429)
    if user_at(address):
        send("account-exists", address)
    else:
        send("signup", address, link_url=SITE_URL + "/confirm/", link_token=sign_link("confirm", address, LINK_SECRET))
    flash("A mail is on its way.")  # the same for an address that has an account
    return page("Look into your mail")


@app.route("/confirm/<token>", methods=["GET", "POST"])
def confirm(token):
    try:
        address = verify_link(token, "confirm", LINK_SECRET)["sub"]
    except jwt.ExpiredSignatureError:
        return page("This link has expired: sign up again for a new one", status=410)
    except jwt.InvalidTokenError:
        return page("This link is not complete: copy all of it from the mail", status=410)
    if user_at(address):
        return page("This link has done its work: you can sign in", status=410)
    key, title = new_key(), "Confirm your address"
    if request.method != "POST":  # mail scanners open every link, by GET and HEAD: only the button confirms
        return page(title, "Confirm", KEY)
    if key is None:
        flash("A key of 8 to 200 characters, please.")
        return page(title, "Confirm", KEY, status=422)
    with database() as db:  # of two at once, the first wins
        row = (address, generate_password_hash(key))
        if db.execute("insert or ignore into users (address, key) values (?, ?)", row).rowcount == 0:
            return page("This link has done its work: you can sign in", status=410)
    return page("Your address is confirmed: sign in with it and your key")


@app.route("/login", methods=["GET", "POST"])
def login():
    if request.method != "POST":
        return page("Sign in", "Sign in", ADDRESS, KEY)
    address = typed("address").lower()
    if not may_ask("login", address):
        return page("Please wait an hour", status=429)
    user = user_at(address)
    right = check_password_hash(user["key"] if user else NOBODY, request.form.get("key", "")[:200])
    if not user or not right:
        flash("Address or key is wrong, or the address is not confirmed yet.")
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
    ends = int(time.time()) + 600
    # the code is of no use in another browser
    session["resetting"], session["asked"] = address, secrets.token_urlsafe()
    kept = generate_password_hash(session["asked"] + code)  # as much work for an address that is not there
    if user:
        with database() as db:
            db.execute("insert or replace into codes values (?, ?, ?)", (user["id"], kept, ends))
        send("resetkey", address, key=code, email_link_exp=ends)  # the mail says until when the code works
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
        db.execute("update users set key = ? where id = ?", (generate_password_hash(key), user["id"]))
    session.pop("resetting")
    return page("Your key is saved: sign in with it")
