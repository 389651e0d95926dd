"""script/bench metrics: what numbers about the installation cost, and what it matters how much they are of.

Two generated years of activity (bench/metrics/seed.sql): 1 % of 100,000 users, 5 million messages and 2 million visits, and all
of it. The release build; nothing else runs on the machine but PostgreSQL and what sends the load.

(a) Catching up: from nothing until every number is shown, by one attune-metrics, which takes all facts at once; the processor
    time of that, PostgreSQL's and its own; its largest resident memory. Then `attune metrics recompute --check` compares every
    number with one that naive SQL finds in the raw rows. Targets: under 2 minutes; no difference.
(b) The leader, once it has caught up: processor time in percent of one core, its own and that of its PostgreSQL backends. Idle, and
    while others store 200 messages a second and the facts of 3,000 people who are active (50 facts a second) and of 8 functions.
    Target: below 2 % idle.
(c) Reading: answers of admin:getSystemMetrics and admin:getUserAnalytics over HTTP, by one attune-api. Medians of the rounds, in
    which both years take turns. Target: the same time with both.

--quick: the larger year is a tenth, and turns are shorter.
"""

import argparse
import collections
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time

from throwaway import (
    RELEASE, ROOT, Cluster, Process, answer, folder, free_port, peak_memory, processor, processor_seconds)

HERE = ROOT / "bench/metrics"
PROGRAMS = ("attune", "attune-api", "attune-metrics", "attune-migrate")
# Of a scale of 1.
USERS, MESSAGES, VISITS = 100_000, 5_000_000, 2_000_000
MESSAGES_PER_SECOND = 200
ACTIVE_USERS = 3000
CONNECTIONS = 8
READINGS = {
    "getSystemMetrics": [{"path": "admin:getSystemMetrics", "args": {}}],
    "getUserAnalytics": [
        {"path": "admin:getUserAnalytics", "args": {"timeframe": timeframe}} for timeframe in ("day", "week", "month")],
}

Use = collections.namedtuple("Use", "aggregator backends")


def say(text):
    print(text, file=sys.stderr, flush=True)


class Installation:
    """A generated year on a cluster of its own."""

    def __init__(self, path, scale):
        self.path = path
        self.scale = scale
        path.mkdir(mode=0o711)
        (path / "cluster").mkdir()
        self.cluster = Cluster(path / "cluster")
        self.environment = {
            "DATABASE_URL": self.cluster.url, "ATTUNE_DATA_DIR": str(path / "data"), "ATTUNE_LOG_LEVEL": "warning",
            # The whole year is to be counted.
            "ATTUNE_METRICS_RAW_DAYS": "400"}
        # Copies: a build in the meantime changes nothing.
        for name in PROGRAMS:
            (path / name).write_bytes((RELEASE / name).read_bytes())
            (path / name).chmod(0o755)

    def run(self, program, *arguments, **options):
        return subprocess.run(
            [self.path / program, *arguments], env=self.environment, stdout=subprocess.PIPE, text=True, **options)

    def start(self, program, port_name, is_ready):
        """Its process and port, once `is_ready` says so of its health page."""
        port = free_port()
        # Also for `attune token`: the issuer of tokens is the worker's address.
        self.environment[port_name] = str(port)
        process = Process([self.path / program], self.path / f"{program}.log", env=self.environment)
        process.wait_until(lambda: is_ready(answer(f"http://127.0.0.1:{port}/health/ready")))
        return process, port

    def seed(self):
        self.run("attune-migrate", "up", check=True, stderr=subprocess.DEVNULL)
        counts = {"users": USERS, "messages": MESSAGES, "visits": VISITS}
        assignments = [part for name, count in counts.items() for part in ("--set", f"{name}={int(count * self.scale)}")]
        self.cluster.psql(*assignments, "--file", HERE / "seed.sql")

    def rows(self):
        """How many messages and facts there are."""
        return self.cluster.query("""
            SELECT concat_ws(' ', (SELECT count(*) FROM messages), (SELECT count(*) FROM session_activity),
                (SELECT count(*) FROM function_calls))""").split()

    # (a)

    def catch_up(self):
        """Seconds, both processor times in seconds, and memory in bytes."""
        before = self.cluster.processor_seconds()
        started = time.monotonic()
        self.aggregator = Process(
            [self.path / "attune-metrics"], self.path / "attune-metrics.log",
            env={**self.environment, "ATTUNE_METRICS_PORT": str(free_port())})
        self.aggregator.wait_until(self.has_caught_up, seconds=1200)
        seconds = time.monotonic() - started
        pid = self.aggregator.child.pid
        return seconds, self.cluster.processor_seconds() - before, processor_seconds(pid), peak_memory(pid)

    def has_caught_up(self):
        return self.cluster.query("""
            SELECT (SELECT messages_sent FROM system_metrics) = (SELECT count FROM bench_messages)
                AND NOT EXISTS (SELECT FROM user_analytics WHERE since IS NULL)""") == "t"

    # (b)

    def use(self):
        """Processor seconds so far of the aggregator and of those who serve it."""
        backends = self.cluster.psql(
            "--command", "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'attune-metrics%' ORDER BY pid").split()
        return Use(
            processor_seconds(self.aggregator.child.pid), {pid: processor_seconds(pid) for pid in backends})

    def steady_use(self, seconds):
        """Percent of a core."""
        before, started = self.use(), time.monotonic()
        time.sleep(seconds)
        after, passed = self.use(), time.monotonic() - started
        if before.backends.keys() != after.backends.keys():
            raise SystemExit("attune-metrics has other connections now than before")
        backends = sum(after.backends[pid] - before.backends[pid] for pid in after.backends)
        return Use((after.aggregator - before.aggregator) / passed * 100, backends / passed * 100)

    @contextlib.contextmanager
    def load(self):
        """Others' writing, as long as this lasts."""
        processes = []
        try:
            for name, rate in [("messages", MESSAGES_PER_SECOND), ("reports", 0.4)]:
                processes.append(Process(
                    [self.cluster.programs / "pgbench", self.cluster.url, "--no-vacuum", "--client", 4, "--rate", rate,
                     "--time", 3600, "--define", f"users={int(USERS * self.scale)}", "--define", f"active={ACTIVE_USERS}",
                     "--file", HERE / f"{name}.pgbench"],
                    self.path / "pgbench.log", cwd="/"))
            yield
            for process in processes:
                if process.child.poll() is not None:
                    raise SystemExit(f"pgbench ended:\n{process.log.read_text()}")
        finally:
            for process in processes:
                process.stop()

    # (c)

    def begin_reading(self):
        # Until its change feed is attached, everything is asked of the database again and again.
        self.worker, self.port = self.start(
            "attune-api", "ATTUNE_PORT", lambda body: body and json.loads(body)["feed"] == "connected")
        token = self.run("attune", "token", "user1@bench.example", check=True).stdout.strip()
        for name, bodies in READINGS.items():
            lines = (f"{token}\t{json.dumps(body, separators=(',', ':'))}\n" for body in bodies)
            (self.path / f"{name}.requests").write_text("".join(lines))

    def read(self, name, seconds):
        """Answers per second, and the median response time in milliseconds."""
        output = subprocess.run(
            ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", str(seconds), "--latency",
             "--script", ROOT / "bench/http/requests.lua", f"http://127.0.0.1:{self.port}", "--", "/api/query",
             self.path / f"{name}.requests"],
            check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        figures = json.loads(output.stdout.strip().splitlines()[-1])
        if figures["failures"] or figures["lost"] or not figures["requests"]:
            raise SystemExit(f"{name}: {figures}; the first failure: {output.stderr}")
        return figures["requests"] / figures["microseconds"] * 1e6, figures["p50"] / 1000

    def stop(self):
        for process in (getattr(self, "worker", None), getattr(self, "aggregator", None), self.cluster):
            if process:
                process.stop()


def main():
    parser = argparse.ArgumentParser(prog="script/bench metrics")
    parser.add_argument("--quick", action="store_true", help="a tenth of the larger year, shorter turns")
    options = parser.parse_args()
    # Being told to stop takes the same way out as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    scales = [0.01, 0.1] if options.quick else [0.01, 1]
    seconds, rounds = (20, 1) if options.quick else (60, 5)
    print(
        f"{processor()}, {os.cpu_count()} processors, {time.strftime('%Y-%m-%d')}, load {os.getloadavg()[0]:.1f} before the start")
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(folder())
        installations = []
        for scale in scales:
            installation = Installation(path / f"{scale:g}", scale)
            stack.callback(installation.stop)
            installations.append(installation)
            say(f"Seeding {scale:.0%} of a year")
            installation.seed()
        measure_catching_up(installations)
        measure_leader(installations[-1], seconds)
        measure_reading(installations, rounds, 2 if options.quick else 5)


def measure_catching_up(installations):
    print("\n(a) catching up from nothing\n")
    print("| messages | facts of activity | of calls | seconds | PostgreSQL, s | own, s | memory, MB | recompute --check |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
    for installation in installations:
        say(f"Catching up with {installation.scale:.0%}")
        rows = installation.rows()
        installation.cluster.psql("--command", f"CREATE TABLE bench_messages AS SELECT {rows[0]} AS count")
        seconds, postgres, own, memory = installation.catch_up()
        started = time.monotonic()
        check = installation.run("attune", "metrics", "recompute", "--check", stderr=subprocess.STDOUT)
        passed = time.monotonic() - started
        if check.returncode:
            say(check.stdout)
        print(
            f"| {' | '.join(f'{int(count):,}' for count in rows)} | {seconds:.1f} | {postgres:.1f} | {own:.1f} | "
            f"{memory / 1e6:.0f} | "
            f"{'differences' if check.returncode else 'no difference'}, {passed:.0f} s |", flush=True)


def measure_leader(installation, seconds):
    # What autovacuum, which is off here, would have done by now.
    installation.cluster.psql("--command", "VACUUM ANALYZE")
    print(f"\n(b) the leader at {installation.scale:.0%}, percent of a core over {seconds} s\n")
    print("| | own | its backends | together |")
    print("| --- | ---: | ---: | ---: |")
    # It has just caught up, and may be about to throw things away.
    time.sleep(15)
    uses = {"idle": installation.steady_use(seconds)}
    with installation.load():
        time.sleep(5)
        uses[f"{MESSAGES_PER_SECOND} messages/s, {ACTIVE_USERS:,} active users"] = installation.steady_use(seconds)
    for name, use in uses.items():
        print(f"| {name} | {use.aggregator:.2f} | {use.backends:.2f} | {sum(use):.2f} |", flush=True)


def measure_reading(installations, rounds, seconds):
    for installation in installations:
        installation.begin_reading()
    results = collections.defaultdict(list)
    # The first round warms up.
    for number in range(rounds + 1):
        for installation in installations if number % 2 == 0 else reversed(installations):
            for name in READINGS:
                result = installation.read(name, seconds)
                if number:
                    results[name, installation.scale].append(result)
    small, large = (installation.scale for installation in installations)
    print(f"\n(c) reading, {CONNECTIONS} connections, medians of {rounds} rounds of {seconds} s\n")
    print(f"| admin: | answers/s at {small:.0%} | at {large:.0%} | p50 at {small:.0%}, ms | at {large:.0%} | ratio |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name in READINGS:
        medians = {
            scale: [statistics.median(values) for values in zip(*results[name, scale])] for scale in (small, large)}
        print(
            f"| {name} | {medians[small][0]:,.0f} | {medians[large][0]:,.0f} | {medians[small][1]:.2f} | {medians[large][1]:.2f} | "
            f"{medians[large][1] / medians[small][1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
