"""The recipes' servers: processes of the real frameworks, each with a name. `with php_servers(…) as pair:` and so on."""
import contextlib
import os

from server_process import ServerProcess

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = os.path.join(HERE, "servers")


@contextlib.contextmanager
def running(make, names):
    """`make(name)` for each of them, until the end."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(make(name)) for name in names]


def python_servers(script, *names):
    return running(lambda name: ServerProcess(name, "/usr/bin/python3", os.path.join(SCRIPTS, script), "{port}"), names)


def php_servers(script, folder, *names):
    """Each with sessions in a folder of its own beneath that one."""
    def server(name):
        sessions = folder / name
        sessions.mkdir()
        return ServerProcess(name, "php", "-d", f"session.save_path={sessions}", "-d", "session.use_strict_mode=1",
                             "-S", "127.0.0.1:{port}", os.path.join(SCRIPTS, script))
    return running(server, names)
