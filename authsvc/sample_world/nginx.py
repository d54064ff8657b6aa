"""A real nginx on loopback in front of a small application, asking authsvc by `auth_request`.

The configuration written here is the one `docs/operations/nginx.md` explains, with the ports of the sample
world. It is started as a child in the foreground and stopped by its process id.
"""

import os
import shutil
import subprocess
from pathlib import Path
from string import Template

from authsvc.sample_world.errors import MissingProgram
from authsvc.sample_world.processes import start_process, stop_process, wait_for_port

__all__ = ["IDENTITY_HEADERS", "NginxServer", "render_nginx_configuration"]

IDENTITY_HEADERS = (
    "Remote-User",
    "Remote-Dn",
    "Remote-Name",
    "Remote-Email",
    "Remote-Groups",
    "Remote-Groups-Omitted",
    "Remote-Domain",
    "Remote-Database",
    "Remote-Access",
    "Remote-Privileges",
    "Remote-Roles",
    "Remote-Auth-Method",
    "Remote-Certificate-Sha256",
)
"""What the application may trust. Each is always set by nginx, so that a client's own never comes through."""

_CONFIGURATION = Template("""\
# Written by authsvc for the sample world.
${user}pid run/nginx.pid;
error_log logs/nginx.log warn;
worker_processes 1;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path run/nginx-body; proxy_temp_path run/nginx-proxy;
    fastcgi_temp_path run/nginx-fastcgi; uwsgi_temp_path run/nginx-uwsgi; scgi_temp_path run/nginx-scgi;

    upstream authsvc     { server unix:$folder/run/nginx.sock; keepalive 16; }
    upstream application { server unix:$folder/run/application.sock; keepalive 16; }

    ssl_certificate        $folder/tls/server.pem;
    ssl_certificate_key    $folder/tls/server.key;
    ssl_client_certificate $folder/trust/client-ca.pem;   # anchors and intermediates: clients may send the leaf alone
    ssl_verify_depth 3;
    ssl_protocols TLSv1.2 TLSv1.3;

    server {
        listen 127.0.0.1:$port ssl;
        server_name localhost;
        ssl_verify_client optional;

        location = /_authsvc {
            internal;
            proxy_pass http://authsvc/auth;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_pass_request_body off;                 # without the next line a POST would wait for its body
            proxy_set_header Content-Length "";
            proxy_set_header X-SSL-Client-Cert   $$ssl_client_escaped_cert;   # replaces what the client sent
            proxy_set_header X-SSL-Client-Verify $$ssl_client_verify;
            proxy_set_header X-Original-URI      $$request_uri;
            proxy_set_header X-Original-Method   $$request_method;
            proxy_connect_timeout 1s;
            proxy_read_timeout 12s;                      # above the time-outs of the directories
        }

        location / {
            auth_request /_authsvc;
            error_page 500 = @undecided;                 # nginx makes 500 of every answer that is not 2xx, 401, 403
            auth_request_set $$auth_reason  $$upstream_http_auth_reason;
            add_header Auth-Reason $$auth_reason always;
$identity
            proxy_set_header X-SSL-Client-Cert "";
            proxy_set_header X-SSL-Client-Verify "";
            proxy_set_header Remote-Assertion "";
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_pass http://application;
        }

        location @undecided {
            internal;
            add_header Auth-Reason $$auth_reason always;
            add_header Retry-After 1 always;
            return 503;
        }
    }
}
""")


_USER_OF_ROOT = "user root root;\n"
"""Started by root, nginx would let go of its rights and could not read the world; others have none to let go."""

_PROGRAM_FOLDERS = "/usr/sbin:/usr/local/sbin"
"""Where server programs stand that are not on everybody's PATH."""


def render_nginx_configuration(folder: Path, *, port: int) -> str:
    """Return the text of `nginx.conf` for a world laid in `folder`."""
    lines = []
    for header in IDENTITY_HEADERS:
        variable = "$" + header.lower().replace("-", "_").replace("remote", "auth")
        lines.append(
            f"            auth_request_set {variable} $upstream_http_{header.lower().replace('-', '_')};\n"
            f"            proxy_set_header {header} {variable};"
        )
    return _CONFIGURATION.substitute(
        folder=folder.resolve(),
        port=port,
        identity="\n".join(lines),
        user=_USER_OF_ROOT if os.geteuid() == 0 else "",
    )


class NginxServer:
    """nginx for a world laid in a folder; `start` and `stop` belong together."""

    def __init__(self, folder: Path, *, port: int) -> None:
        self._folder = folder.resolve()
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def find_program() -> str:
        """Return the path of nginx.

        Raises:
            MissingProgram: it is not installed.

        """
        program = shutil.which("nginx") or shutil.which("nginx", path=_PROGRAM_FOLDERS)
        if program is None:
            raise MissingProgram("nginx", package="nginx")
        return program

    def start(self) -> None:
        """Write the configuration, start nginx and wait until it listens.

        Raises:
            MissingProgram: nginx is not installed.
            WorldError: it did not listen in time; the text has the end of its log.

        """
        program = self.find_program()
        log = self._folder / "logs" / "nginx.log"
        configuration = self._folder / "nginx.conf"
        configuration.write_text(render_nginx_configuration(self._folder, port=self._port), encoding="utf-8")
        options = ["-p", str(self._folder), "-c", str(configuration), "-g", "daemon off; master_process off;"]
        self._process = start_process([program, *options], log=log)
        wait_for_port(self._port, self._process, name="nginx", log=log)

    @property
    def has_ended(self) -> bool:
        """Whether nginx was started and has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def stop(self) -> None:
        """Stop nginx, by its process id; harmless when it does not run."""
        if self._process is not None:
            stop_process(self._process)
            self._process = None
