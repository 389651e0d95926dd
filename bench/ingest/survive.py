"""script/check-ingest: kills attune-ingest again and again, and counts what became of the events that it acknowledged.

Senders post NDJSON over HTTP and write NDJSON over TCP in acknowledged mode, and repeat what was not acknowledged, as the
documents tell them to. Each round the daemon is killed (SIGKILL) at a random moment and started again. Now and then PostgreSQL
is stopped at once and stays away for a while, or its connections are terminated. As root the daemon's folder is a small tmpfs,
and PostgreSQL stays away until that is full.

In the end every acknowledged event has to be in the table exactly once, no event may be there twice, and the ledger has to add
up: in the table, and with the rows that are there.
"""

import argparse
import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

from throwaway import ROOT, Cluster, Process, answer, folder, free_port

TOKEN = "check"


class Sender(threading.Thread):
    """Sends numbered events until it is told to stop, and then until all of them are acknowledged."""

    def __init__(self, name, port, seed, details):
        super().__init__(name=name, daemon=True)
        self.port = port
        self.randomness = random.Random(f"{seed}/{name}")
        self.details = details
        self.made = 0
        self.acknowledged = 0
        self.refused = 0
        self.stopping = threading.Event()
        self.failure = None

    def event(self):
        """The next one. They have ids, so repeating them is harmless."""
        number = self.made
        self.made += 1
        event = {
            "source": f"urn:check:{self.name}", "id": str(number), "type": "authn_login_success", "number": number,
            "details": self.details * self.randomness.randrange(1, 4)}
        if self.randomness.random() < 0.5:
            event["timestamp"] = int(time.time() * 1000)
        return (json.dumps(event) + "\n").encode()

    def run(self):
        try:
            while not self.is_done():
                with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                    self.converse()
                time.sleep(0.02)
        except BaseException as failure:
            self.failure = failure
            raise


class HTTPSender(Sender):
    """One request at a time, repeated until it is answered with 202."""

    batch = None

    def is_done(self):
        return self.stopping.is_set() and self.batch is None

    def converse(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/x-ndjson"}
        with contextlib.closing(connection):
            while not self.is_done():
                if self.batch is None:
                    self.batch = b"".join(self.event() for _ in range(self.randomness.randrange(1, 200)))
                connection.request("POST", "/v1/events", self.batch, headers)
                response = connection.getresponse()
                body = response.read()
                if response.status == 202:
                    receipt = json.loads(body)
                    count = receipt["accepted"] + receipt["duplicates"]
                    if count != self.batch.count(b"\n"):
                        raise SystemExit(f"an answer that does not add up: {body}")
                    self.acknowledged += count
                    self.batch = None
                elif response.status in (429, 503):
                    self.refused += 1
                    time.sleep(0.1)
                else:
                    raise SystemExit(f"answer {response.status}: {body}")


class TCPSender(Sender):
    """Keeps some hundred lines under way, and after a lost connection sends those again that were not acknowledged."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.unacknowledged = []

    def is_done(self):
        return self.stopping.is_set() and not self.unacknowledged

    def converse(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(b'{"attune":"ack","token":"%s"}\n' % TOKEN.encode())
            answers = connection.makefile("rb")
            heard = 0
            sent = len(self.unacknowledged)
            connection.sendall(b"".join(self.unacknowledged))
            while not self.is_done():
                if not self.stopping.is_set() and len(self.unacknowledged) < 500:
                    lines = [self.event() for _ in range(self.randomness.randrange(1, 100))]
                    self.unacknowledged += lines
                    connection.sendall(b"".join(lines))
                    sent += len(lines)
                line = answers.readline()
                if not line:
                    return
                count = json.loads(line)["accepted"]
                del self.unacknowledged[:count - heard]
                self.acknowledged += count - heard
                heard = count


class Daemon:
    def __init__(self, program, path, data, cluster):
        self.program = program
        self.path = path
        self.http, self.tcp, self.syslog = free_port(), free_port(), free_port()
        self.environment = {
            "DATABASE_URL": cluster.url, "ATTUNE_DATA_DIR": str(data), "ATTUNE_INGEST_TOKEN": TOKEN,
            "ATTUNE_INGEST_HTTP_PORT": str(self.http), "ATTUNE_INGEST_TCP_PORT": str(self.tcp),
            "ATTUNE_INGEST_SYSLOG_PORT": str(self.syslog)}
        self.largest = 0
        self.start()

    def start(self):
        self.process = Process([self.program], self.path / "daemon.log", env=self.environment)

    def kill(self):
        if self.process.child.poll() is not None:
            raise SystemExit(f"the daemon ended by itself:\n{self.log()}")
        with contextlib.suppress(FileNotFoundError, IndexError):
            self.largest = max(self.largest, self.process.resident_bytes())
        self.process.child.send_signal(signal.SIGKILL)
        self.process.child.wait()
        self.start()

    def health(self):
        """What the page says, with the ledger by input; None while there is no answer."""
        text = answer(f"http://127.0.0.1:{self.http}/health/ready")
        if not text:
            return None
        page = json.loads(text)
        del page["ledger"]["total"]
        return page

    def log(self):
        return "\n".join((self.path / "daemon.log").read_text().splitlines()[-30:])


def spooled(health):
    return sum(entry["spooled"] for entry in health["ledger"].values())


def check(cluster, senders, health):
    """All that is wrong in the end."""
    findings = []
    for sender in senders:
        if sender.acknowledged != sender.made:
            findings.append(f"{sender.name}: {sender.made} made, {sender.acknowledged} acknowledged")
        rows, distinct = cluster.query(f"""
            SELECT count(*) || ' ' || count(DISTINCT (metadata ->> 'context')::jsonb ->> 'number')
            FROM security_events WHERE metadata ->> 'source' = 'urn:check:{sender.name}'""").split()
        if int(distinct) != sender.made:
            findings.append(f"{sender.name}: {sender.made - int(distinct)} of {sender.made} acknowledged events are missing")
        if rows != distinct:
            findings.append(f"{sender.name}: {int(rows) - int(distinct)} events are stored twice")
    total = int(cluster.query("SELECT count(*) FROM security_events WHERE metadata ->> 'source' LIKE 'urn:check:%'"))
    stored = int(cluster.query("SELECT coalesce(sum(stored), 0) FROM ingest_ledger"))
    if stored != total:
        findings.append(f"the ledger has {stored} stored, the table {total}")
    for name, entry in health["ledger"].items():
        if entry["received"] != entry["stored"] + entry["duplicates"] + entry["deadLettered"] + entry["spooled"]:
            findings.append(f"the health page's ledger does not add up: {name} {entry}")
        row = cluster.query(
            f"SELECT concat_ws(' ', received, stored, duplicates, dead_lettered, spooled) FROM ingest_ledger "
            f"WHERE input = '{name}'")
        shown = " ".join(str(entry[figure]) for figure in ("received", "stored", "duplicates", "deadLettered", "spooled"))
        if entry["received"] and row != shown:
            findings.append(f"{name}: the table has {row}, the health page {shown}")
    return findings


def main():
    parser = argparse.ArgumentParser(prog="script/check-ingest")
    parser.add_argument("rounds", type=int, nargs="?", default=200)
    parser.add_argument("seed", nargs="?", default="1")
    parser.add_argument("--programs", default=ROOT / ".build/release", help="folder of attune-ingest and attune-migrate")
    options = parser.parse_args()
    randomness = random.Random(options.seed)
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(folder())
        (path / "cluster").mkdir()
        cluster = Cluster(path / "cluster")
        stack.callback(lambda: cluster.stop())
        subprocess.run(
            [f"{options.programs}/attune-migrate", "up"], env={"DATABASE_URL": cluster.url}, check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        data = path / "data"
        data.mkdir()
        is_small = os.geteuid() == 0 and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", data], stderr=subprocess.DEVNULL).returncode == 0
        if is_small:
            stack.callback(lambda: subprocess.run(["umount", "--lazy", data]))
        else:
            print("no tmpfs can be mounted here: the disk does not get full", file=sys.stderr)
        daemon = Daemon(f"{options.programs}/attune-ingest", path, data, cluster)
        stack.callback(lambda: daemon.process.stop())
        senders = [
            HTTPSender("http-0", daemon.http, options.seed, "a" * 20), HTTPSender("http-1", daemon.http, options.seed, "b" * 300),
            TCPSender("tcp-0", daemon.tcp, options.seed, "c" * 50), TCPSender("tcp-1", daemon.tcp, options.seed, "d" * 10)]
        for sender in senders:
            sender.start()
        restarts = terminations = 0
        fullest_round = randomness.randrange(options.rounds)
        for number in range(options.rounds):
            if is_small and number == fullest_round:
                # PostgreSQL stays away until nothing more fits.
                refused = sum(sender.refused for sender in senders)
                cluster.process.stop()
                deadline = time.monotonic() + 120
                while sum(sender.refused for sender in senders) < refused + 20:
                    if time.monotonic() > deadline:
                        raise SystemExit(f"the disk did not get full\n{daemon.log()}")
                    time.sleep(0.1)
                daemon.kill()
                time.sleep(1)
                cluster.start()
            elif number % 10 == 5:
                cluster.process.stop()
                time.sleep(randomness.uniform(0, 2))
                daemon.kill()
                cluster.start()
                restarts += 1
            elif number % 10 == 8:
                cluster.psql("--command", "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'")
                terminations += 1
            # From before the daemon listens to long after.
            time.sleep(randomness.choice([randomness.uniform(0, 0.3), randomness.uniform(0, 2)]))
            daemon.kill()
            for sender in senders:
                if sender.failure:
                    raise SystemExit(f"{sender.name}: {sender.failure}\n{daemon.log()}")
        for sender in senders:
            sender.stopping.set()
        for sender in senders:
            sender.join(timeout=60)
            if sender.is_alive():
                raise SystemExit(f"{sender.name} got no answer: {daemon.health()}\n{daemon.log()}")
        deadline = time.monotonic() + 120
        while not (health := daemon.health()) or spooled(health) > 0 or not health["database"]:
            if time.monotonic() > deadline:
                raise SystemExit(f"not all was delivered: {health}\n{daemon.log()}")
            time.sleep(0.1)
        findings = check(cluster, senders, health)
        made = sum(sender.made for sender in senders)
        print(
            f"{options.rounds} rounds, seed {options.seed}: {made} events acknowledged, "
            f"{sum(entry['duplicates'] for entry in health['ledger'].values())} of the reports were repeats, "
            f"{sum(sender.refused for sender in senders)} requests refused, PostgreSQL restarted {restarts + is_small} times, "
            f"its connections terminated {terminations} times, disk {'full once' if is_small else 'never full'}, "
            f"at most {daemon.largest / 1e6:.0f} MB of memory")
        for finding in findings:
            print(f"FINDING: {finding}")
        sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
