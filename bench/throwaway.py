"""What every benchmark starts and throws away: programs of the release build, and a PostgreSQL cluster."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
RELEASE = ROOT / ".build/release"
TICKS = os.sysconf("SC_CLK_TCK")


def processor():
    """The name of the machine's processor."""
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return "unknown"


def free_port():
    """A TCP port of the loopback address that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def processor_seconds(pid):
    """What a process and its children that have ended have used."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return 0
    return sum(int(field) for field in fields[11:15]) / TICKS


def children(pid):
    path = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


def peak_memory(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


class Process:
    """A child process with its own session, which `stop` ends with all that it started.

    Its output goes to `log`, which is shown when the process fails.
    """

    def __init__(self, command, log, stop_signal=signal.SIGTERM, **options):
        self.log = log
        self.stop_signal = stop_signal
        with open(log, "ab") as output:
            self.child = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, **options)

    def wait_until(self, condition, seconds=60):
        """Waits until `condition` gives something true, and gives that."""
        deadline = time.monotonic() + seconds
        while True:
            if result := condition():
                return result
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{self.child.args[0]} did not become ready:\n{self.log.read_text()}")
            time.sleep(0.02)

    def resident_bytes(self):
        status = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(self.stop_signal)
            try:
                self.child.wait(timeout=30)
            except subprocess.TimeoutExpired:
                print(f"{self.child.args[0]} did not stop within 30 s and is killed", file=sys.stderr)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()


def answer(url):
    """The body of a successful answer, or None while there is none."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.read()
    except OSError:
        return None


class Cluster:
    """A PostgreSQL cluster on a Unix socket in a folder of its own. Its commits wait for the disk, as in earnest."""

    def __init__(self, folder):
        versions = pathlib.Path("/usr/lib/postgresql").iterdir()
        self.programs = max(versions, key=lambda path: int(path.name)) / "bin"
        self.folder = folder
        self.url = f"host={folder} user=postgres dbname=postgres"
        owner = {}
        if os.geteuid() == 0:
            # PostgreSQL refuses root.
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
            owner = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        subprocess.run(
            [self.programs / "initdb", "--pgdata", folder / "data", "--username", "postgres", "--auth", "trust",
             "--encoding", "UTF8", "--locale", "C.UTF-8"],
            cwd="/", check=True, stdout=subprocess.DEVNULL, **owner)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": folder,
            "wal_level": "logical",
            "max_connections": 200,
            # Neither checkpoints nor vacuums: they would hit whoever is measured at that moment.
            "max_wal_size": "16GB",
            "checkpoint_timeout": "1h",
            "autovacuum": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.command = [self.programs / "postgres", "-D", folder / "data", *options]
        self.owner = owner
        self.start()

    def start(self):
        """Also after a stop, on the same data."""
        self.process = Process(
            self.command, self.folder / "postgres.log", stop_signal=signal.SIGQUIT, cwd="/", **self.owner)
        try:
            self.process.wait_until(
                lambda: subprocess.run([self.programs / "pg_isready", "--quiet", "--host", self.folder]).returncode == 0)
        except BaseException:
            self.stop()
            raise

    def query(self, sql):
        """The first value of the first row, as text."""
        return self.psql("--command", sql).split("\n")[0]

    def psql(self, *arguments):
        return subprocess.run(
            [self.programs / "psql", self.url, "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set",
             "ON_ERROR_STOP=1", *map(str, arguments)],
            check=True, stdout=subprocess.PIPE, text=True).stdout

    def processor_seconds(self):
        """What all of its processes have used, also those that have ended."""
        pid = self.process.child.pid
        return processor_seconds(pid) + sum(processor_seconds(child) for child in children(pid))

    def stop(self):
        self.process.stop()


@contextlib.contextmanager
def folder():
    """A folder in /tmp, removed at the end."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="attune-bench."))
    # PostgreSQL runs as another user, whose folder is below this one.
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path)
