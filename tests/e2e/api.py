# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes API over one kept-alive HTTPS connection, for what must not wait for kubectl."""
import base64
import http.client
import json
import os
import re
import ssl
import tempfile
import urllib.parse


class ApiError(Exception):
    def __init__(self, status, body):
        super().__init__(f"HTTP {status}: {body[:500]}")
        self.status = status


class Api:
    """Speaks for the user of a kubeconfig that holds certificates as data."""

    def __init__(self, kubeconfig):
        with open(kubeconfig, encoding="utf-8") as file:
            text = file.read()

        def field(name):
            return re.search(rf"{name}:\s*\"?([^\s\"]+)", text).group(1)

        server = urllib.parse.urlparse(field("server"))
        self.address = (server.hostname, server.port)
        ca = base64.b64decode(field("certificate-authority-data")).decode()
        self.context = ssl.create_default_context(cadata=ca)
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for name in ("client-certificate-data", "client-key-data"):
                paths.append(os.path.join(folder, name))
                with open(paths[-1], "wb") as file:
                    file.write(base64.b64decode(field(name)))
            self.context.load_cert_chain(*paths)
        self.connection = self.connect()

    def connect(self, timeout=60):
        return http.client.HTTPSConnection(*self.address, context=self.context, timeout=timeout)

    def close(self):
        self.connection.close()

    def request(self, method, path, body=None, content_type="application/json"):
        self.send(method, path, body, content_type)
        return self.receive()

    def send(self, method, path, body=None, content_type="application/json"):
        """A request whose answer is to be received."""
        data = None if body is None else json.dumps(body)
        self.connection.request(method, path, data, {"Content-Type": content_type})

    def receive(self):
        answer = self.connection.getresponse()
        text = answer.read().decode()
        if answer.status >= 300:
            raise ApiError(answer.status, text)
        return json.loads(text)

    def get(self, path):
        return self.request("GET", path)

    def create(self, path, body):
        return self.request("POST", path, body)

    def patch(self, path, body):
        return self.request("PATCH", path, body, "application/merge-patch+json")

    def delete(self, path):
        return self.request("DELETE", path)

    def watch(self, path, timeout=60):
        """Yields (type, object) from a watch on a connection of its own."""
        connection = self.connect(timeout)
        connection.request("GET", path)
        answer = connection.getresponse()
        if answer.status != 200:
            raise ApiError(answer.status, answer.read().decode())
        try:
            for line in answer:
                event = json.loads(line)
                yield event["type"], event["object"]
        finally:
            connection.close()
