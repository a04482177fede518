# SPDX-License-Identifier: Apache-2.0
"""Sends back what comes to port 8080, TCP and UDP, over both IP families, until it is killed."""
import socketserver
import threading


class Stream(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            while data := self.request.recv(4096):
                self.request.sendall(data)
        except OSError:
            pass  # the client has gone


class Datagram(socketserver.BaseRequestHandler):
    def handle(self):
        data, socket = self.request
        socket.sendto(data, self.client_address)


class Listener(socketserver.ThreadingTCPServer):
    address_family = socketserver.socket.AF_INET6  # IPv4, too, as mapped addresses
    request_queue_size = 1024
    daemon_threads = True


class Receiver(socketserver.UDPServer):
    address_family = socketserver.socket.AF_INET6


if __name__ == "__main__":
    threading.Thread(target=Receiver(("::", 8080), Datagram).serve_forever, daemon=True).start()
    Listener(("::", 8080), Stream).serve_forever()
