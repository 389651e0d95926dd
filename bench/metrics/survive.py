"""script/check-metrics: kills the leader of two aggregators again and again, and compares the numbers with the raw facts.

Writers store messages, users and facts of activity and calls, in transactions of which some stay open for a while and some are
rolled back; some facts come late, some too late; messages are deleted, users removed. Each round the aggregator that leads is
killed (SIGKILL) at a random moment, and what is stored from then on has to be counted by the other within seconds. Now and then
both are killed, PostgreSQL crashes, or its connections are terminated.

Every ten rounds, and in the end, the writers pause, and every number has to be what the raw facts say: by `attune metrics recompute
--check`, and by a few statements of this file.
"""

import argparse
import contextlib
import json
import random
import signal
import statistics
import subprocess
import sys
import threading
import time

from throwaway import ROOT, Cluster, Process, answer, folder, free_port

USERS = 40
SESSIONS = 60
FUNCTIONS = ("messages:list", "messages:send", "users:search")

PEOPLE = f"""
    INSERT INTO users (id, email, name, account_type, created_at)
    SELECT lpad(number::text, 32, '0')::uuid, format('user%s@check.example', number), format('User %s', number),
        CASE WHEN number % 10 = 0 THEN 'therapist' ELSE 'client' END, now() - number * interval '2 days'
    FROM generate_series(0, {USERS - 1}) AS number;
    INSERT INTO conversations (low_user_id, high_user_id)
    SELECT low.id, high.id FROM users AS low JOIN users AS high ON low.id < high.id WHERE low.account_type = 'therapist'
"""

# What the numbers have to be, of raw facts: pairs of statements with equal rows.
FACTS = """
    WITH facts AS (
        SELECT session_id, user_id, first_at, last_at, max(last_at) OVER (
            PARTITION BY session_id ORDER BY first_at, last_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
        FROM session_activity
        WHERE last_at >= (SELECT facts_since FROM metrics_progress)
    ), numbered AS (
        SELECT *, count(*) FILTER (WHERE before IS NULL OR first_at - before >= interval '30 minutes') OVER (
            PARTITION BY session_id ORDER BY first_at, last_at) AS visit
        FROM facts
    )"""
EQUALITIES = {
    "messages of days": (
        "SELECT starts_at, messages FROM rollups WHERE unit = 'day' AND messages > 0",
        "SELECT date_trunc('day', created_at, 'UTC'), count(*) FROM messages GROUP BY 1"),
    "messages in all": (
        "SELECT sum(messages) FROM rollups WHERE unit = 'day'",
        "SELECT count(*) FROM messages"),
    "accounts of days": (
        "SELECT starts_at, new_users FROM rollups WHERE unit = 'day' AND new_users > 0",
        "SELECT date_trunc('day', created_at, 'UTC'), count(*) FROM users GROUP BY 1"),
    "calls of hours": (
        """SELECT starts_at, function, calls, microseconds FROM call_rollups
            WHERE unit = 'hour' AND function <> '*' AND starts_at >= (SELECT facts_since FROM metrics_progress)""",
        """SELECT date_trunc('hour', recorded_at, 'UTC'), function, sum(calls), sum(microseconds) FROM function_calls
            WHERE recorded_at >= (SELECT facts_since FROM metrics_progress) GROUP BY 1, 2"""),
    "visits": (
        "SELECT session_id, started_at, last_active_at, user_id FROM visits",
        FACTS + "SELECT session_id, min(first_at), max(last_at), user_id FROM numbered GROUP BY session_id, visit, user_id"),
    "users' last activity": (
        "SELECT user_id, last_active_at FROM user_activity",
        """SELECT user_id, max(last_at) FROM session_activity WHERE last_at >= (SELECT facts_since FROM metrics_progress)
            GROUP BY 1"""),
}


class Writer(threading.Thread):
    """Stores one transaction after the other, until it is told to stop. What becomes of each, the tables say."""

    def __init__(self, name, cluster, seed):
        super().__init__(name=name, daemon=True)
        self.cluster = cluster
        self.randomness = random.Random(f"{seed}/{name}")
        self.committed = 0
        self.stopping = threading.Event()
        # Held during a transaction; whoever holds it keeps the writer away.
        self.turn = threading.Lock()

    def run(self):
        while not self.stopping.is_set():
            with self.turn:
                self.committed += self.cluster_takes(self.transaction())
            time.sleep(self.randomness.uniform(0, 0.2))

    def cluster_takes(self, sql):
        return subprocess.run(
            [self.cluster.programs / "psql", self.cluster.url, "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"], input=sql,
            text=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    def transaction(self):
        randomness = self.randomness
        statements = ["BEGIN"]
        for statement in randomness.choices((self.messages, self.activity, self.calls, self.account), (3, 4, 3, 1), k=3):
            statements.append(statement())
            if randomness.random() < 0.1:
                statements.append(f"SELECT pg_sleep({randomness.uniform(0, 2)})")
        # Whoever deletes what has been counted keeps counting waiting until the end of the transaction.
        if randomness.random() < 0.2:
            statements.append("DELETE FROM messages WHERE id IN (SELECT id FROM messages ORDER BY random() LIMIT 5)")
        statements.append("ROLLBACK" if randomness.random() < 0.05 else "COMMIT")
        return ";\n".join(statements) + ";\n"

    def age(self):
        """How long ago something was, as SQL: mostly just now, sometimes before the retention."""
        longest = self.randomness.choices((10, 7200, 3 * 86400, 30 * 86400), (70, 20, 8, 2))[0]
        return f"interval '{self.randomness.uniform(0, longest):.3f} seconds'"

    def messages(self):
        return f"""
            INSERT INTO messages (conversation_id, sender_id, recipient_id, content, created_at)
            SELECT id, low_user_id, high_user_id, 'Hello', now() - {self.age()}
            FROM conversations ORDER BY random() LIMIT {self.randomness.randrange(1, 10)}"""

    def activity(self):
        rows = []
        for session in self.randomness.sample(range(SESSIONS), self.randomness.randrange(1, 10)):
            rows.append(
                f"(lpad('{session}', 32, '0')::uuid, lpad('{session % USERS}', 32, '0')::uuid, {self.age()}, "
                f"interval '{self.randomness.uniform(0, 60):.3f} seconds')")
        return f"""
            INSERT INTO session_activity (worker_id, report, session_id, user_id, first_at, last_at)
            SELECT worker, 1, session_id, user_id, now() - age - length, now() - age
            FROM gen_random_uuid() AS worker, (VALUES {", ".join(rows)}) AS facts (session_id, user_id, age, length)"""

    def calls(self):
        functions = self.randomness.sample(FUNCTIONS, self.randomness.randrange(1, len(FUNCTIONS) + 1))
        durations = sorted(self.randomness.sample([100, 200, 384, 768, 1024, 4096, 65536], 3))
        counts = [self.randomness.randrange(1, 20) for _ in durations]
        return f"""
            INSERT INTO function_calls
                (worker_id, report, function, recorded_at, calls, failed_calls, microseconds, durations, counts)
            SELECT worker, 1, function, now() - {self.age()}, {sum(counts)}, {self.randomness.randrange(2)},
                {sum(duration * count for duration, count in zip(durations, counts))}, ARRAY{durations}, ARRAY{counts}
            FROM gen_random_uuid() AS worker, unnest(ARRAY{functions}) AS function"""

    def account(self):
        if self.randomness.random() < 0.3:
            return """
                UPDATE users SET removed_at = now(), email = NULL, name = 'Removed user'
                WHERE id = (SELECT id FROM users WHERE removed_at IS NULL ORDER BY random() LIMIT 1)"""
        return f"""
            INSERT INTO users (email, name, account_type, created_at)
            VALUES (gen_random_uuid() || '@check.example', 'New', '{self.randomness.choice(("client", "therapist"))}',
                now() - {self.age()})"""


class Aggregator:
    def __init__(self, number, programs, path, cluster):
        self.program = f"{programs}/attune-metrics"
        self.log = path / f"aggregator-{number}.log"
        self.port = free_port()
        self.environment = {"DATABASE_URL": cluster.url, "ATTUNE_METRICS_PORT": str(self.port)}
        self.start()

    def start(self):
        self.process = Process([self.program], self.log, env=self.environment)

    def leads(self):
        page = answer(f"http://127.0.0.1:{self.port}/health/ready")
        return bool(page) and json.loads(page)["role"] == "leading"

    def has_started(self):
        return answer(f"http://127.0.0.1:{self.port}/health/live") is not None

    def kill(self):
        if self.process.child.poll() is not None:
            raise SystemExit(f"an aggregator ended by itself:\n{self.last_lines()}")
        self.process.child.send_signal(signal.SIGKILL)
        self.process.child.wait()

    def last_lines(self):
        return "\n".join(self.log.read_text().splitlines()[-30:])


class Check:
    def __init__(self, options, stack):
        self.programs = options.programs
        self.limit = options.limit
        self.randomness = random.Random(options.seed)
        path = stack.enter_context(folder())
        (path / "cluster").mkdir()
        self.cluster = Cluster(path / "cluster")
        stack.callback(lambda: self.cluster.stop())
        subprocess.run(
            [f"{self.programs}/attune-migrate", "up"], env={"DATABASE_URL": self.cluster.url}, check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.cluster.psql("--command", PEOPLE)
        self.aggregators = [Aggregator(number, self.programs, path, self.cluster) for number in range(2)]
        for aggregator in self.aggregators:
            stack.callback(lambda aggregator=aggregator: aggregator.process.stop())
        self.writers = [Writer(f"writer-{number}", self.cluster, options.seed) for number in range(4)]
        self.probes = 0
        self.takeovers = []
        self.findings = []

    def wait_until(self, what, condition, seconds=120):
        deadline = time.monotonic() + seconds
        while True:
            # PostgreSQL may be away.
            with contextlib.suppress(subprocess.CalledProcessError):
                if result := condition():
                    return result
            if time.monotonic() > deadline:
                logs = "\n\n".join(aggregator.last_lines() for aggregator in self.aggregators)
                raise SystemExit(f"{what}: not within {seconds} s\n{logs}")
            time.sleep(0.02)

    def leader(self):
        return self.wait_until(
            "an aggregator leads", lambda: next((aggregator for aggregator in self.aggregators if aggregator.leads()), None))

    def count_probe(self):
        """Stores a fact, and waits until it is counted. Then all that was stored before it is."""
        self.probes += 1
        name = f"probe:{self.probes}"
        self.wait_until("a fact can be stored", lambda: self.cluster.psql("--command", f"""
            INSERT INTO function_calls
                (worker_id, report, function, recorded_at, calls, failed_calls, microseconds, durations, counts)
            VALUES (gen_random_uuid(), 1, '{name}', now(), 1, 0, 100, '{{100}}', '{{1}}')
            RETURNING 'stored'"""))
        self.wait_until("a fact is counted", lambda: self.cluster.query(
            f"SELECT count(*) FROM call_rollups WHERE unit = 'hour' AND function = '{name}'") == "1")

    def round(self, number):
        kind = {3: "both", 5: "crash", 8: "termination"}.get(number % 10, "leader")
        # One that starts while PostgreSQL is away ends: starting it again is for whoever supervises it.
        self.wait_until("the aggregators start", lambda: all(aggregator.has_started() for aggregator in self.aggregators))
        leader = self.leader()
        time.sleep(self.randomness.uniform(0, 4))
        killed = self.aggregators if kind == "both" else [leader]
        if kind == "termination":
            self.cluster.psql("--command", """
                SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'""")
        died = time.monotonic()
        for aggregator in killed:
            aggregator.kill()
        if kind == "crash":
            self.cluster.process.stop()
            self.cluster.start()
        if kind == "both":
            for aggregator in killed:
                aggregator.start()
        self.count_probe()
        passed = time.monotonic() - died
        if kind == "leader":
            leader.start()
            self.takeovers.append(passed)
            if passed > self.limit:
                self.findings.append(f"round {number}: a fact was counted {passed:.1f} s after the leader's death")
        elif kind != "both":
            leader.start()

    def compare(self, number):
        """All numbers with the raw facts, while nobody writes."""
        with contextlib.ExitStack() as stack:
            for writer in self.writers:
                stack.enter_context(writer.turn)
            self.count_probe()
            for name, (numbers, facts) in EQUALITIES.items():
                for title, one, other in [("too much", numbers, facts), ("missing", facts, numbers)]:
                    rows = self.cluster.psql(
                        "--command", f"SELECT * FROM ({one}) AS one EXCEPT ALL SELECT * FROM ({other}) AS other")
                    if rows:
                        self.findings.append(f"round {number}: {name}, {title}: {rows.splitlines()[:5]}")
            check = subprocess.run(
                [f"{self.programs}/attune", "metrics", "recompute", "--check"], env={"DATABASE_URL": self.cluster.url},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if check.returncode:
                self.findings.append(f"round {number}: attune metrics recompute --check:\n{check.stdout}")

    def run(self, rounds):
        for writer in self.writers:
            writer.start()
        for number in range(rounds):
            self.round(number)
            if number % 10 == 9 or number == rounds - 1:
                self.compare(number)
            if self.findings:
                break
        for writer in self.writers:
            writer.stopping.set()
        for writer in self.writers:
            writer.join()


def main():
    parser = argparse.ArgumentParser(prog="script/check-metrics")
    parser.add_argument("rounds", type=int, nargs="?", default=50)
    parser.add_argument("seed", nargs="?", default="1")
    parser.add_argument(
        "--programs", default=ROOT / ".build/release", help="folder of attune, attune-metrics and attune-migrate")
    parser.add_argument(
        "--limit", type=float, default=6,
        help="within so many seconds of the leader's death a fact has to be counted: five for the takeover, and the turn")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        check = Check(options, stack)
        check.run(options.rounds)
        rows = check.cluster.query("""
            SELECT format('%s messages, %s facts of activity, %s of calls', (SELECT count(*) FROM messages),
                (SELECT count(*) FROM session_activity), (SELECT count(*) FROM function_calls))""")
        takeovers = check.takeovers or [float("nan")]
        print(
            f"{options.rounds} rounds, seed {options.seed}: {sum(writer.committed for writer in check.writers)} transactions, "
            f"{rows}; "
            f"from the leader's death until a later fact was counted: median {statistics.median(takeovers):.1f} s, "
            f"at most {max(takeovers):.1f} s")
        for finding in check.findings:
            print(f"FINDING: {finding}")
        sys.exit(1 if check.findings else 0)


if __name__ == "__main__":
    main()
