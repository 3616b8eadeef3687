"""Writes placements.txt: where a running nginx puts keys and clients. `make_placements.py NGINX > placements.txt`

One line for each group: method | servers | a letter for each key, of the server that answered it. Keys are key-0, key-1, …;
clients of ip_hash are those of client(). Servers are addresses of the loopback network and sockets in /tmp that nginx itself
listens on; nothing else is needed. None is a backup: nginx allows none with these methods.
"""
import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

KEYS = 600
SOCKETS = "/tmp/limpet-placements"
FRONT = 8079


def tcp(n, more=""):
    return [f"127.77.0.{i}:{8080 + i}{more}" for i in range(1, n + 1)]


SERVERS = [
    tcp(1),
    tcp(2),
    tcp(3),
    tcp(5),
    tcp(12),
    [f"{server} weight={weight}" for server, weight in zip(tcp(3), (1, 3, 2))],
    [f"{server} weight={weight}" for server, weight in zip(tcp(5), (10, 1, 1, 5, 2))],
    tcp(4)[:2] + [tcp(4)[2] + " down"] + tcp(4)[3:],
    [tcp(3)[0] + " weight=2", tcp(3)[1] + " down", tcp(3)[2]],
    [f"unix:{SOCKETS}/{name}" for name in ("one", "two", "three")],
    tcp(2) + [f"unix:{SOCKETS}/one weight=3"],
]


def client(i):
    return f"127.{i % 250 + 1}.{i * 7 % 256}.{i % 250 + 1}"


def groups():
    for method in ("hash $http_x_key", "hash $http_x_key consistent", "ip_hash"):
        for servers in SERVERS:
            yield method, servers


def config(directory):
    upstreams = servers = ""
    for number, (method, group) in enumerate(groups()):
        lines = "".join(f"        server {server};\n" for server in group)
        upstreams += f"    upstream u{number} {{\n        {method};\n{lines}    }}\n"
        servers += f"        location /u{number} {{ proxy_pass http://u{number}; }}\n"
    listens = "".join(f"        listen {address};\n" for address in
                      tcp(12) + [f"unix:{SOCKETS}/{name}" for name in ("one", "two", "three")])
    return f"""
daemon off; worker_processes 1; error_log {directory}/error.log; pid {directory}/pid;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {directory}/a; proxy_temp_path {directory}/b; fastcgi_temp_path {directory}/c;
    uwsgi_temp_path {directory}/d; scgi_temp_path {directory}/e;
{upstreams}
    server {{
        listen 127.77.0.200:{FRONT};
        add_header X-Peer $upstream_addr;
{servers}
    }}
    server {{
{listens}        return 204;
    }}
}}
"""


def ask(number, i):
    front = http.client.HTTPConnection("127.77.0.200", FRONT, source_address=(client(i), 0))
    front.request("GET", f"/u{number}", headers={"X-Key": f"key-{i}"})
    peer = front.getresponse().getheader("X-Peer")
    front.close()
    return peer


def placements(number, servers):
    letters = {server.split()[0]: chr(ord("a") + i) for i, server in enumerate(servers)}
    return "".join(letters[ask(number, i)] for i in range(KEYS))


def listens():
    with socket.socket() as probe:
        return probe.connect_ex(("127.77.0.200", FRONT)) == 0


def main(nginx):
    directory = tempfile.mkdtemp()
    os.mkdir(SOCKETS)
    with open(f"{directory}/conf", "w") as out:
        out.write(config(directory))
    process = subprocess.Popen([nginx, "-p", directory, "-c", f"{directory}/conf", "-e", f"{directory}/error.log"])
    try:
        while not listens():
            assert process.poll() is None, "nginx has ended"
            time.sleep(0.05)
        for number, (method, servers) in enumerate(groups()):
            print(method.replace(" $http_x_key", ""), "|", "; ".join(servers), "|", placements(number, servers))
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(directory)
        shutil.rmtree(SOCKETS)


if __name__ == "__main__":
    main(sys.argv[1])
