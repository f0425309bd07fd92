#!/usr/bin/env python3
"""Somebody between two failover servers, for tests/netns/test_security.

    fo_between.py pass|strip LISTEN:PORT TO:PORT RECORD   forward; strip: without message digests
    fo_between.py sealed RECORD                           does each message begin with a digest?
    fo_between.py replay TO:PORT RECORD                   say again what the primary once said

RECORD gets what the primary said on the first connection. replay prints the types of the messages
that come back until the connection is closed, and the reject reason of each that has one.
"""
import select
import socket
import struct
import sys

DIGEST, REJECT = 17, 21


def place(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def messages(data):
    """Whole messages from the start of data, and the rest."""
    found = []
    while len(data) >= 2:
        size = struct.unpack(">H", data[:2])[0]
        if size < 12 or size > len(data):
            break
        found.append(data[:size])
        data = data[size:]
    return found, data


def options(message):
    at = message[3]
    while at + 4 <= len(message):
        code, size = struct.unpack(">HH", message[at:at + 4])
        yield code, message[at:at + 4 + size]
        at += 4 + size


def strip(message):
    body = b"".join(o for code, o in options(message) if code != DIGEST)
    return struct.pack(">H", 12 + len(body)) + message[2:3] + b"\x0c" + message[4:12] + body


def between(mode, here, there, record):
    listener = socket.create_server(place(here))
    print("ready", flush=True)
    first = True
    while True:
        left = listener.accept()[0]
        try:
            right = socket.create_connection(place(there), 3, (place(here)[0], 0))
        except OSError:
            left.close()
            continue
        forward(left, right, mode, open(record, "wb") if first else None)
        first = False


def forward(left, right, mode, record):
    rest = {left: b"", right: b""}
    other = {left: right, right: left}
    while True:
        for s in select.select([left, right], [], [])[0]:
            try:
                data = s.recv(65536)
                if data and mode == "strip":
                    whole, rest[s] = messages(rest[s] + data)
                    data = b"".join(strip(m) for m in whole)
                    other[s].sendall(data)
                    continue
                if data and record and s is left:
                    record.write(data)
                    record.flush()
                if data:
                    other[s].sendall(data)
                    continue
            except OSError:
                pass
            left.close()
            right.close()
            return


def replay(to, record):
    s = socket.create_connection(place(to), 3)
    s.settimeout(10)
    first, *others = messages(open(record, "rb").read())[0]
    s.sendall(first)
    data = s.recv(65536)
    try:
        s.sendall(others[0])
        while more := s.recv(65536):
            data += more
    except OSError:
        pass
    for m in messages(data)[0]:
        reason = [o[4] for code, o in options(m) if code == REJECT]
        print(m[2], *reason)


def sealed(record):
    whole, rest = messages(open(record, "rb").read())
    return len(whole) > 5 and not rest and all(next(options(m))[0] == DIGEST for m in whole)


if sys.argv[1] == "sealed":
    sys.exit(not sealed(sys.argv[2]))
elif sys.argv[1] == "replay":
    replay(*sys.argv[2:4])
else:
    between(*sys.argv[1:5])
