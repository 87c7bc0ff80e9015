"""A Flask application: WSGI, which Lamella recognises and runs in a pool of threads."""

from __future__ import annotations

import hashlib
import os
import time

from flask import Flask, Response, jsonify, redirect, request, session, url_for

app = Flask(__name__)  # serves ./static below /static
app.secret_key = os.environ.get("SECRET_KEY", "for development only")
app.json.ensure_ascii = False

done = 0


@app.get("/json")
def hello():
    return {"hello": "wörld"}


@app.get("/echo/<value>")
def echo(value):
    return {"value": value, "q": request.args["q"]}


@app.post("/form")
def form():
    return {"name": request.form["name"]}


@app.post("/upload")
def upload():
    file = request.files["file"]
    data = file.read()
    digest = hashlib.sha256(data).hexdigest()
    return {"filename": file.filename, "size": len(data), "sha256": digest}


@app.get("/cookies")
def cookies():
    response = jsonify({})
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return response


@app.get("/visits")
def visits():
    """The session is a signed cookie, so every environment can read it."""
    session["visits"] = session.get("visits", 0) + 1
    return {"visits": session["visits"]}


@app.get("/redirect")
def leave():
    return redirect(url_for("hello", _external=True))


@app.get("/linked")
def linked():
    return {"file": url_for("static", filename="hello.txt")}


@app.get("/validate")
def validate():
    count = request.args.get("count", type=int)
    if count is None:
        return {"error": "count is no number"}, 400
    return {"count": count}


@app.get("/error")
def error():
    raise RuntimeError("this is the example's unhandled error")


def ticks(template):
    for number in range(3):
        yield template.format(number)
        time.sleep(0.1)


@app.get("/stream")
def stream():
    return Response(ticks("part {}\n"), mimetype="text/plain")


@app.get("/sse")
def sse():
    return Response(ticks("data: {}\n\n"), mimetype="text/event-stream")


@app.get("/background")
def jobs():
    return {"done": done}


@app.post("/background")
def start():
    response = Response("{}", status=202, mimetype="application/json")
    response.call_on_close(job)  # WSGI's close() comes after the last byte
    return response


def job():
    """Work that the client does not wait for."""
    time.sleep(0.1)
    global done
    done += 1
