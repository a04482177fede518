# SPDX-License-Identifier: Apache-2.0
"""A registry on 127.0.0.1: the half of the OCI distribution API that a pull needs, over plain HTTP."""
import hashlib
import http.server
import itertools
import json
import tarfile
import threading
import time


class Registry:
    """Serves one image, made from an OCI layout in a tar, under tags that a test gives."""

    NAME = "fairlead/demo"
    SERIAL = itertools.count(1)

    def __init__(self, layout):
        self.tags = set()
        self.requests = []  # (time, path), as they come
        self.held = {}  # path's last part -> Event: an answer waits for it
        self.blobs = {}
        self.read(layout)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def read(self, layout):
        """The image, its layer ending in some more zeros: containerd has nothing of it from elsewhere."""
        with tarfile.open(layout) as tar:
            blob = lambda digest: tar.extractfile("blobs/sha256/" + digest.split(":")[1]).read()
            entry = json.load(tar.extractfile("index.json"))["manifests"][0]
            manifest = json.loads(blob(entry["digest"]))
            layer = blob(manifest["layers"][0]["digest"]) + bytes(512 * next(self.SERIAL))
            config = json.loads(blob(manifest["config"]["digest"]))
        self.layer = self.add(manifest["layers"][0], layer)
        config["rootfs"]["diff_ids"] = [self.layer]
        self.add(manifest["config"], json.dumps(config).encode())
        self.manifest_type = manifest["mediaType"]
        self.digest = self.add({}, json.dumps(manifest).encode())

    def add(self, descriptor, data):
        """Serves the blob, and says so in its descriptor; its digest."""
        descriptor["digest"] = "sha256:" + hashlib.sha256(data).hexdigest()
        descriptor["size"] = len(data)
        self.blobs[descriptor["digest"]] = data
        return descriptor["digest"]

    def close(self):
        for event in self.held.values():
            event.set()
        self.server.shutdown()
        self.server.server_close()

    def image(self, tag):
        return f"{self.address}/{self.NAME}:{tag}"

    def hold(self, what):
        """Requests for this tag or digest get no answer until the returned event is set."""
        self.held[what] = threading.Event()
        return self.held[what]

    def asked_for(self, what):
        return [when for when, path in list(self.requests) if path.endswith("/" + what)]

    def answer(self, path):
        """Content type and body; None: not found."""
        what = path.rsplit("/", 1)[1]
        if path == "/v2/":
            return "application/json", b"{}"
        if path == f"/v2/{self.NAME}/blobs/{what}" and what in self.blobs:
            return "application/octet-stream", self.blobs[what]
        if path == f"/v2/{self.NAME}/manifests/{what}" and (what == self.digest or what in self.tags):
            return self.manifest_type, self.blobs[self.digest]
        return None

    def handler(self):
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):  # noqa: N802 (the library's name)
                registry.requests.append((time.monotonic(), self.path))
                held = registry.held.get(self.path.rsplit("/", 1)[1])
                if held:
                    held.wait()
                found = registry.answer(self.path)
                kind, body = found or ("application/json", b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Docker-Content-Digest", "sha256:" + hashlib.sha256(body).hexdigest())
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, *_):
                pass

        return Handler
