"""Programs of long test runs start from a process that has imported the libraries.

Snakemake and each of its jobs import PyTorch, SciPy, pandas and others for one to three seconds, a
thousand times in the tests. Here one server imports them once; a program is then a fork of it, with
the arguments, folder, environment and streams that it would have had. The project's own modules are
imported by every program itself. Tests of how programs start, and of what happens when they are
killed, start them as users do.

Run as `python`, this file asks the server of its folder for a program, and ends as that ends.
"""

import marshal
import os
import signal
import socket
import sys

SOCKET = "server"
LIBRARIES = (
    "h5py",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_pdf",
    "numpy",
    "pandas",
    "PIL.Image",
    "pydantic",
    "safetensors.torch",
    "scipy.cluster.hierarchy",
    "scipy.ndimage",
    "scipy.optimize",
    "scipy.stats",
    "sklearn.covariance",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "sklearn.neighbors",
    "snakemake.api",
    "snakemake.cli",
    "torch",
    "tqdm",
    "yaml",
)


def ask(folder: str, words: list[str], cwd: str, environment: dict, streams: list[int]) -> int:
    """Have a program run by the server of a folder, and return its exit status."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(f"{folder}/{SOCKET}")
        message = marshal.dumps((words, cwd, environment))
        socket.send_fds(connection, [len(message).to_bytes(8, "big")], streams)
        connection.sendall(message)
        answer = connection.recv(1)
    # A server that was killed answers nothing.
    return answer[0] if answer else 1


def serve(folder: str) -> None:
    """Import the libraries, and fork for every program that is asked for, until killed."""
    import gc
    import importlib
    from pathlib import Path

    for library in LIBRARIES:
        importlib.import_module(library)
    # What is here stays, so forks need not look through it.
    gc.freeze()
    # Whoever waits for a program waits for it alone.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(f"{folder}/starting")
        listening.listen(64)
        # Only now may programs ask.
        Path(folder, "starting").rename(f"{folder}/{SOCKET}")
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                attend(connection, folder)
            connection.close()


def attend(connection: socket.socket, folder: str) -> None:
    """Fork for one program, tell how it ended, and kill it if the one who asked is gone."""
    import select

    size, streams, *_ = socket.recv_fds(connection, 8, 3)
    left, message = int.from_bytes(size, "big"), b""
    while len(message) < left:
        message += connection.recv(left - len(message))
    ended, alive = os.pipe()
    program = os.fork()
    if program == 0:
        connection.close()
        os.close(ended)
        become(folder, *marshal.loads(message), streams)
    for descriptor in (alive, *streams):
        os.close(descriptor)
    # The pipe has an end when the program has, the connection when the one who asked has.
    ready, *_ = select.select([ended, connection], [], [])
    if ended not in ready:
        os.kill(program, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    if connection not in ready:
        # As a shell tells of a program that a signal ended.
        connection.sendall(bytes([status if status >= 0 else 128 - status]))
    os._exit(0)


def become(folder: str, words: list[str], cwd: str, environment: dict, streams: list[int]) -> None:
    """Run a program (`script words` or `-m module words`) in this process."""
    import runpy
    from pathlib import Path

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    is_module = words[0] == "-m"
    sys.argv = words[is_module:]
    first = Path(cwd) if is_module else Path(words[0]).absolute().parent
    paths = environment.get("PYTHONPATH")
    paths = paths.split(os.pathsep) if paths else []
    sys.path[:0] = [str(first), *(str(Path(path).absolute()) for path in paths)]
    if is_module:
        # The jobs of Snakemake take the Python that runs it; so they are forks, too.
        sys.executable = f"{folder}/python"
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(words[0], run_name="__main__")
    sys.exit()


if __name__ == "__main__":
    # Without pathlib, which would take longer to import than the rest.
    here = sys.argv[0].rpartition("/")[0]
    if sys.argv[1:] == ["--serve"]:
        serve(here)
    sys.exit(ask(here, sys.argv[1:], os.getcwd(), dict(os.environ), [0, 1, 2]))  # noqa: PTH109
