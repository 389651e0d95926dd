"""script/bench ingest: how fast security events get into the table, from the first byte sent to the last row visible.

All contestants get the same events (bench/ingest/events.py), with the machine shared by PostgreSQL, whoever is measured and
whoever sends. Events per second end to end; processor time for each event, PostgreSQL's and the contestant's own (the sender's
is not in it); the contestant's largest resident memory. Figures are medians of the rounds, in which the contestants take turns.

(a) psql \\copy of finished rows into the same partitioned table with the same indexes: what PostgreSQL itself can do.
(b) rsyslog with ompgsql, RFC 5424 over TCP, into a plain table with one index. It promises less: a line is acknowledged by
    nobody. It gets fewer events, since it is slow.
(c) attune-ingest, NDJSON over HTTP, 1,000 events a request on two connections, each request acknowledged after its fsync.
(d) attune-ingest, NDJSON over TCP in acknowledged mode.
(e) attune-ingest, RFC 5424 over TCP, read by the rules for OpenSSH.
(f) As (c), while PostgreSQL is away: until the last event is acknowledged.

Events in (c) and (d) have ids, and are stored once however often they are sent: that costs a second table with an index, which
(a) does not write.
"""

import argparse
import collections
import concurrent.futures
import http.client
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import time

import events as realistic
from throwaway import RELEASE, ROOT, Cluster, Process, answer, folder, free_port, peak_memory, processor, processor_seconds

HERE = ROOT / "bench/ingest"
SEED = 20261123
CHUNK = 1000
CONTESTANTS = {
    "a": "psql \\copy", "b": "rsyslog, ompgsql", "c": "HTTP, NDJSON", "d": "TCP, NDJSON", "e": "TCP, syslog",
    "f": "HTTP, PostgreSQL away"}

Turn = collections.namedtuple("Turn", "events seconds postgres contestant memory")


class Bench:
    def __init__(self, path):
        self.path = path
        (path / "cluster").mkdir()
        self.cluster = Cluster(path / "cluster")
        subprocess.run([RELEASE / "attune-migrate", "up"], env={"DATABASE_URL": self.cluster.url}, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # The hour's events may belong to two months.
        for months in (-1, 0):
            self.cluster.psql("--command", f"""
                DO $$ DECLARE month date := date_trunc('month', now() AT TIME ZONE 'UTC') + interval '{months} month'; BEGIN
                EXECUTE format('CREATE TABLE IF NOT EXISTS security_events_%s PARTITION OF security_events
                    FOR VALUES FROM (%L) TO (%L)', to_char(month, 'YYYY_MM'), month::timestamp AT TIME ZONE 'UTC',
                    (month + interval '1 month')::timestamp AT TIME ZONE 'UTC'); END $$""")
        self.cluster.psql("--command", """
            CREATE TABLE syslog_lines (
                id bigserial PRIMARY KEY, received_at timestamptz, host text, tag text, severity int, message text)""")

    def prepare(self, count):
        """Files of `count` events, and the chunks that are sent."""
        now = time.time()
        randomness = random.Random(SEED)
        made = list(realistic.events(count, SEED, now))
        self.rows = self.path / f"rows-{count}"
        with open(self.rows, "w") as file:
            for event in made:
                file.write(realistic.row(event, randomness))
        self.rows.chmod(0o644)
        lines = [realistic.ndjson(event).encode() for event in made]
        self.chunks = [b"".join(lines[start:start + CHUNK]) for start in range(0, count, CHUNK)]
        lines = [realistic.syslog(event).encode() for event in made]
        self.syslog = [b"".join(lines[start:start + CHUNK]) for start in range(0, count, CHUNK)]

    def empty(self):
        self.cluster.psql(
            "--command", "TRUNCATE security_events, security_event_keys, security_event_totals, security_event_hours, syslog_lines")
        self.cluster.psql("--command", "CHECKPOINT")

    def turn(self, contestant, count):
        self.empty()
        postgres = self.cluster.processor_seconds()
        if contestant == "a":
            started = time.monotonic()
            psql = subprocess.Popen(
                [self.cluster.programs / "psql", self.cluster.url, "--no-psqlrc", "--quiet", "--command",
                 f"\\copy security_events (id, occurred_at, type, severity, user_id, ip, metadata) from '{self.rows}'"])
            _, status, usage = os.wait4(psql.pid, 0)
            psql.returncode = status
            if status:
                raise SystemExit("\\copy failed")
            seconds = time.monotonic() - started
            # The largest memory would be that of this program, whose copy it was at first.
            own, memory = usage.ru_utime + usage.ru_stime, None
        elif contestant == "b":
            seconds, own, memory, count = self.rsyslog(count)
        else:
            seconds, own, memory = self.ingest(contestant, count)
        rows = int(self.cluster.query(f"SELECT count(*) FROM {'syslog_lines' if contestant == 'b' else 'security_events'}"))
        if contestant not in "bf" and rows < count:
            raise SystemExit(f"({contestant}): {rows} rows of {count}")
        return Turn(count, seconds, self.cluster.processor_seconds() - postgres, own, memory)

    # (c) to (e)

    def ingest(self, contestant, count):
        path = self.path / f"daemon-{contestant}"
        ports = [free_port() for _ in range(3)]
        environment = {
            "DATABASE_URL": self.cluster.url if contestant != "f" else f"host={path}",
            "ATTUNE_DATA_DIR": str(path), "ATTUNE_INGEST_TOKEN": "bench",
            "ATTUNE_INGEST_HTTP_PORT": str(ports[0]), "ATTUNE_INGEST_TCP_PORT": str(ports[1]),
            "ATTUNE_INGEST_SYSLOG_PORT": str(ports[2]), "ATTUNE_LOG_LEVEL": "warning"}
        daemon = Process([RELEASE / "attune-ingest"], self.path / "daemon.log", env=environment)
        try:
            daemon.wait_until(lambda: answer(f"http://127.0.0.1:{ports[0]}/health/ready"))
            pid = daemon.child.pid
            before = processor_seconds(pid)
            stored = self.stored()
            started = time.monotonic()
            if contestant in "cf":
                self.send_http(ports[0])
            else:
                self.send_tcp(ports[1] if contestant == "d" else ports[2], contestant == "d", count)
            while contestant != "f" and self.stored() - stored < count:
                if time.monotonic() - started > 600:
                    raise SystemExit(f"({contestant}): not all events were stored\n{daemon.log.read_text()}")
                time.sleep(0.02)
            return time.monotonic() - started, processor_seconds(pid) - before, peak_memory(pid)
        finally:
            daemon.stop()
            if contestant == "f":
                shutil.rmtree(path)

    def stored(self):
        """Of the ledger, which is written with the rows."""
        return int(self.cluster.query("SELECT coalesce(sum(stored), 0) FROM ingest_ledger"))

    def send_http(self, port):
        def send(chunks):
            connection = http.client.HTTPConnection("127.0.0.1", port)
            headers = {"Authorization": "Bearer bench", "Content-Type": "application/x-ndjson"}
            for chunk in chunks:
                while True:
                    connection.request("POST", "/v1/events", chunk, headers)
                    response = connection.getresponse()
                    body = response.read()
                    if response.status == 202:
                        break
                    if response.status != 429:
                        raise SystemExit(f"answer {response.status}: {body}")
                    time.sleep(float(response.headers["Retry-After"]))
                if json.loads(body)["accepted"] != CHUNK:
                    raise SystemExit(f"not all accepted: {body}")

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(send, [self.chunks[0::2], self.chunks[1::2]]))

    def send_tcp(self, port, acknowledged, count):
        connection = socket.create_connection(("127.0.0.1", port))
        if acknowledged:
            connection.sendall(b'{"attune":"ack"}\n')
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            heard = pool.submit(self.hear, connection, count) if acknowledged else None
            for chunk in self.chunks if acknowledged else self.syslog:
                connection.sendall(chunk)
            if heard:
                heard.result()
        connection.close()

    @staticmethod
    def hear(connection, count):
        """Reads until the daemon has acknowledged all."""
        for line in connection.makefile("rb"):
            if json.loads(line).get("accepted", 0) >= count:
                return
        raise SystemExit("the daemon closed the connection before it had acknowledged all")

    # (b)

    def rsyslog(self, count):
        count = min(count, 100_000)
        port = free_port()
        configuration = self.path / "rsyslog.conf"
        configuration.write_text(f"""
            global(workDirectory="{self.path}")
            module(load="imtcp")
            module(load="ompgsql")
            template(name="row" type="list" option.stdsql="on") {{
                constant(value="INSERT INTO syslog_lines (received_at, host, tag, severity, message) VALUES ('")
                property(name="timereported" dateFormat="rfc3339")
                constant(value="', '") property(name="hostname")
                constant(value="', '") property(name="programname")
                constant(value="', ") property(name="syslogseverity")
                constant(value=", '") property(name="msg")
                constant(value="')")
            }}
            ruleset(name="database") {{
                action(type="ompgsql" server="{self.cluster.folder}" user="postgres" db="postgres" template="row"
                    queue.type="linkedList" queue.size="200000" queue.dequeueBatchSize="1000")
            }}
            input(type="imtcp" port="{port}" address="127.0.0.1" ruleset="database")
            """)
        daemon = Process(
            ["/usr/sbin/rsyslogd", "-n", "-f", configuration, "-i", self.path / "rsyslog.pid"], self.path / "rsyslog.log")
        try:
            daemon.wait_until(lambda: self.listens(port))
            before = processor_seconds(daemon.child.pid)
            started = time.monotonic()
            with socket.create_connection(("127.0.0.1", port)) as connection:
                for chunk in self.syslog[:count // CHUNK]:
                    connection.sendall(chunk)
            while int(self.cluster.query("SELECT count(*) FROM syslog_lines")) < count:
                if time.monotonic() - started > 300:
                    raise SystemExit(f"(b): not all lines were stored\n{daemon.log.read_text()}")
                time.sleep(0.1)
            seconds = time.monotonic() - started
            return seconds, processor_seconds(daemon.child.pid) - before, peak_memory(daemon.child.pid), count
        finally:
            daemon.stop()

    @staticmethod
    def listens(port):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        except OSError:
            return False


def median(turns):
    """Of each figure by itself."""
    return Turn(*(None if None in values else statistics.median(values) for values in zip(*turns)))


def main():
    parser = argparse.ArgumentParser(prog="script/bench ingest")
    parser.add_argument("--quick", action="store_true", help="100,000 events and one round")
    parser.add_argument("--parts", default="abcdef", help="which contestants, by their letters")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, help="one size only")
    options = parser.parse_args()
    sizes = [options.events] if options.events else [100_000] if options.quick else [500_000, 100_000, 2_000_000]
    rounds = 1 if options.quick else options.rounds
    print(f"{processor()}, {os.cpu_count()} processors, {time.strftime('%Y-%m-%d')}")
    with folder() as path:
        bench = Bench(path)
        try:
            for count in sizes:
                # Growth is shown by what matters most.
                parts = [part for part in options.parts if count == sizes[0] or part in "ac"]
                bench.prepare(count)
                turns = collections.defaultdict(list)
                for number in range(rounds if count == sizes[0] else 1):
                    for part in parts if number % 2 == 0 else reversed(parts):
                        turns[part].append(bench.turn(part, count))
                print(f"\n{count:,} events, rounds: {rounds if count == sizes[0] else 1}")
                print("| | events/s | of (a) | PostgreSQL, µs/event | own, µs/event | memory, MB |")
                print("| --- | ---: | ---: | ---: | ---: | ---: |")
                for part in parts:
                    turn = median(turns[part])
                    rate = turn.events / turn.seconds
                    memory = f"{turn.memory / 1e6:.0f}" if turn.memory else "–"
                    ratio = statistics.median(
                        (one.events / one.seconds) / (base.events / base.seconds) for one, base in zip(turns[part], turns["a"])
                    ) if turns["a"] else float("nan")
                    print(
                        f"| ({part}) {CONTESTANTS[part]} | {rate:,.0f} | {ratio:.2f} | {turn.postgres / turn.events * 1e6:.1f} | "
                        f"{turn.contestant / turn.events * 1e6:.1f} | {memory} |", flush=True)
        finally:
            bench.cluster.stop()


if __name__ == "__main__":
    main()
