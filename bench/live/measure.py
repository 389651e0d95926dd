"""script/bench live: what live queries cost, and how fast they are.

The load (bench/live/load) opens sync sockets with one query each, sends at a fixed rate, and looks for each message in
the frames that come. Latency counts from the moment at which a send was due, so that waiting for a worker that has fallen
behind is part of it. Worker, PostgreSQL and load share the machine; what each takes of it is in the table, where 100 % is
one processor. So is what other programs took meanwhile: a turn waits for them to be quiet, if that is soon; one in which
they took much is repeated, and the least disturbed repetition counts, however it came out. Figures are medians of the
rounds.

(a) Sockets: each signed in as somebody else, with a query of its own (`users:getProfile`), idle since it was opened but for
    one ping. The memory is the worker's private pages (smaps_rollup, Private_Clean + Private_Dirty) less those of the same
    worker before. The first sockets use memory that was free, so the column for further sockets is the one to plan with.
(b) Sends: two sockets watch each conversation (`messages:list`, first page). A send is a call of `messages:send` over HTTP, the
    same as a mutation on the sender's socket, or a plain INSERT. `answer`: the sender is told that it is done. `frame`: the
    other member has the Transition that shows the message. `answer → frame` is negative where the frame was first.
(c) Fan-out: an UPDATE changes the one query that all sockets watch. Executions are counted by the worker.
(d) Writers: pgbench inserts messages as fast as 32 clients can, beside workers that only follow the feed. The settings take
    turns, in another order each round, and a ratio is the median of the rounds' ratios. The processor time for each insert
    says more than the ratio when others are busy.
(e) LISTEN/NOTIFY instead of decoding: in the writing transaction a trigger tells a channel of each message, and clients
    listen, without any worker. Rows of (b) and (d).
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import re
import resource
import select
import signal
import statistics
import subprocess
import sys
import time

from people import Tokens, member, seeded_id, watcher
from throwaway import RELEASE, ROOT, Cluster, Process, answer, folder, free_port, processor

HERE = ROOT / "bench/live"
CONVERSATIONS = 5000
SEEDED_MESSAGES = 20
CONTENT = "Thank you, that helps. Could we move the appointment on Thursday to the afternoon, at about half past three?"
PROGRAMS = ("attune-api", "attune-migrate", "bench-live")
WRITERS = 32
SEND_SOCKETS = 2000
# The worker pings each socket every 12 s; buffers for it belong to the cost of a socket.
SETTLE_SECONDS = 14
NOTIFY = """
CREATE FUNCTION bench_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(
        'bench', concat_ws(' ', left(NEW.content, 10), NEW.conversation_id, NEW.sender_id, NEW.recipient_id));
    RETURN NULL;
END $$;
CREATE TRIGGER bench_notify AFTER INSERT ON messages FOR EACH ROW EXECUTE FUNCTION bench_notify();
"""
NO_NOTIFY = "DROP TRIGGER bench_notify ON messages; DROP FUNCTION bench_notify"

# Of one processor: more than that taken by others makes a turn worth repeating.
DISTURBANCE = 0.15

Plan = collections.namedtuple(
    "Plan",
    "sockets rates ways send_seconds send_rounds subscribers changes workers write_seconds write_rounds attempts patience_seconds")
FULL = Plan(
    sockets=(1000, 5000, 10_000), rates=(100, 500, 1000), ways=("http", "socket", "sql"), send_seconds=10, send_rounds=3,
    subscribers=(1000, 10_000), changes=11, workers=(0, 1, 2, 4), write_seconds=5, write_rounds=7, attempts=3,
    patience_seconds=60)
QUICK = Plan(
    sockets=(1000, 5000), rates=(500,), ways=("http", "socket"), send_seconds=4, send_rounds=1,
    subscribers=(10_000,), changes=5, workers=(0, 1, 4), write_seconds=3, write_rounds=3, attempts=1,
    patience_seconds=10)


# What works beside the writers in (d): workers, with one slot for all or one each, or clients that LISTEN.
Neighbours = collections.namedtuple("Neighbours", "workers shared listeners", defaults=(0, True, 0))


class Failed(Exception):
    """The figures would mean nothing."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def family(pid):
    """The process and all that it started."""
    try:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [pid, *(member for child in children for member in family(int(child)))]


def processor_seconds(pid):
    """The processor time of the process, of all that it started, and of those of them that have ended, so far."""
    ticks = 0
    for member in family(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = pathlib.Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def others_seconds():
    """The processor time that anybody but this benchmark has taken so far, other machines on the same processors too."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, _, _, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + steal) / os.sysconf("SC_CLK_TCK") - processor_seconds(os.getpid())


def private_bytes(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kilobytes) * 1024 for kilobytes in re.findall(r"^Private_(?:Clean|Dirty): +(\d+) kB", text, re.MULTILINE))


class Worker:
    """An attune-api process."""

    def __init__(self, bench, shared):
        self.port = free_port()
        self.process = Process(
            [bench.programs / "attune-api"], bench.work / f"worker-{self.port}.log", cwd=bench.work,
            env={**os.environ, "ATTUNE_PORT": str(self.port), "ATTUNE_FEED_SHARED": str(shared).lower()})

    @property
    def pid(self):
        return self.process.child.pid

    def wait(self):
        def is_connected():
            body = answer(f"http://127.0.0.1:{self.port}/health/ready")
            return body and json.loads(body)["feed"] == "connected"

        self.process.wait_until(is_connected)

    def metric(self, name):
        page = answer(f"http://127.0.0.1:{self.port}/metrics").decode()
        found = re.search(rf"^{name} (\S+)$", page, re.MULTILINE)
        return float(found[1]) if found else 0.0


class Load:
    """A bench-live process: `run` gives it a command and returns its answer."""

    def __init__(self, bench, port, accounts):
        self.log = open(bench.work / "load.log", "ab")
        self.child = subprocess.Popen(
            [bench.programs / "bench-live", str(port), bench.cluster.url, bench.accounts / accounts],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, start_new_session=True)

    def run(self, command, **parameters):
        self.child.stdin.write(json.dumps({"command": command, **parameters}) + "\n")
        self.child.stdin.flush()
        ready, _, _ = select.select([self.child.stdout], [], [], 120)
        line = self.child.stdout.readline() if ready else ""
        result = json.loads(line) if line else {"failure": "the load does not answer"}
        if result.get("failure"):
            raise Failed(f"{command}, {parameters}: {result['failure']}")
        return result

    def stop(self):
        self.child.kill()
        self.child.wait()
        self.log.close()


class Bench:
    def __init__(self, work, cluster, plan):
        self.work = work
        self.cluster = cluster
        self.plan = plan
        self.programs = work / "programs"
        self.accounts = work / "accounts"
        # The largest share of a processor that others took in a turn that counts.
        self.disturbance = 0.0

    def prepare(self):
        self.programs.mkdir()
        self.accounts.mkdir()
        for name in PROGRAMS:
            # Copies: a build in the meantime changes nothing.
            (self.programs / name).write_bytes((RELEASE / name).read_bytes())
            (self.programs / name).chmod(0o755)
        issuer = "http://bench.example"
        data = self.work / "data"
        os.environ.update({
            "DATABASE_URL": self.cluster.url, "ATTUNE_DATA_DIR": str(data), "ATTUNE_SITE_URL": issuer,
            "ATTUNE_LOG_LEVEL": "warning",
        })
        users = 2 * CONVERSATIONS
        say(f"Seeding {CONVERSATIONS:,} conversations of {users:,} users")
        subprocess.run([self.programs / "attune-migrate", "up"], check=True, stdout=subprocess.DEVNULL)
        self.cluster.psql(
            "--set", f"conversations={CONVERSATIONS}", "--set", f"messages={SEEDED_MESSAGES}", "--set", f"content={CONTENT}",
            "--file", HERE / "seed.sql")
        # The first worker makes the keys.
        with self.workers(1):
            tokens = Tokens(data, issuer)
        tokens = {user: tokens.of(user) for user in range(1, users + 1)}
        files = {
            "members": [member(tokens[user], user) for user in range(1, SEND_SOCKETS + 1)],
            "profiles": [watcher(tokens[user], user) for user in range(1, users + 1)],
            "one-profile": [watcher(tokens[1], 1)] * max(self.plan.subscribers),
        }
        for name, lines in files.items():
            (self.accounts / name).write_text("\n".join(lines) + "\n")

    @contextlib.contextmanager
    def workers(self, count, shared=True):
        workers = [Worker(self, shared) for _ in range(count)]
        try:
            for worker in workers:
                worker.wait()
            yield workers
        finally:
            for worker in workers:
                worker.process.stop()

    @contextlib.contextmanager
    def load(self, port, accounts):
        load = Load(self, port, accounts)
        try:
            yield load
        finally:
            load.stop()

    def undisturbed(self, turn):
        """What `turn()` returns, begun when others leave the machine alone, if they do.

        Of a few attempts the one counts in which others took least.
        """
        attempts = []
        while True:
            deadline = time.monotonic() + self.plan.patience_seconds
            while self.disturbance_of(lambda: time.sleep(1))[0] > DISTURBANCE and time.monotonic() < deadline:
                pass
            attempts.append(self.disturbance_of(turn))
            if attempts[-1][0] < DISTURBANCE or len(attempts) == self.plan.attempts:
                share, result = min(attempts, key=lambda attempt: attempt[0])
                self.disturbance = max(self.disturbance, share)
                return result
            say(f"others took {percent(attempts[-1][0])} of a processor; again")

    @staticmethod
    def disturbance_of(turn):
        """The share of a processor that others took while `turn()` ran, and what it returned."""
        before, started = others_seconds(), time.monotonic()
        result = turn()
        return (others_seconds() - before) / (time.monotonic() - started), result

    # (a)

    def measure_sockets(self):
        """For each number of sockets: the worker's private bytes, and its share of a processor; first without sockets."""
        with self.workers(1) as [worker], self.load(worker.port, "profiles") as load:
            rows = [(0, private_bytes(worker.pid), 0.0)]
            opened = 0
            for count in self.plan.sockets:
                started = time.monotonic()
                load.run("open", count=count - opened)
                seconds = time.monotonic() - started
                say(f"{count:,} sockets: {count - opened:,} opened in {seconds:.1f} s")
                opened = count
                time.sleep(1)
                before = processor_seconds(worker.pid)
                time.sleep(SETTLE_SECONDS)
                share = (processor_seconds(worker.pid) - before) / SETTLE_SECONDS
                rows.append((count, private_bytes(worker.pid), share))
        return rows

    # (b), (e)

    def measure_sends(self, way, rate, seconds):
        """The load's answer, and the shares of a processor that worker, PostgreSQL and load took."""
        if way == "notify":
            self.cluster.psql("--command", NOTIFY)
            with self.load(0, "members") as load:
                result = self.run_sends(load, None, way, rate, seconds)
            self.cluster.psql("--command", NO_NOTIFY)
            return result
        with self.workers(1) as [worker], self.load(worker.port, "members") as load:
            load.run("open", count=SEND_SOCKETS)
            return self.run_sends(load, worker, way, rate, seconds)

    def run_sends(self, load, worker, way, rate, seconds):
        load.run("send", way=way, rate=rate, seconds=1, content=CONTENT)
        runs = worker.metric("attune_live_query_runs_total") if worker else 0
        processes = {"postgres": self.cluster.process.child.pid, "load": load.child.pid}
        if worker:
            processes["worker"] = worker.pid
        before = {name: processor_seconds(pid) for name, pid in processes.items()}
        result = load.run("send", way=way, rate=rate, seconds=seconds, content=CONTENT)
        for name, pid in processes.items():
            result[name] = (processor_seconds(pid) - before[name]) / seconds
        if worker:
            result["runs"] = (worker.metric("attune_live_query_runs_total") - runs) / (rate * seconds)
        return result

    # (c)

    def measure_fan_out(self, subscribers):
        with self.workers(1) as [worker], self.load(worker.port, "one-profile") as load:
            load.run("open", count=subscribers)
            statement = f"UPDATE users SET name = $1 WHERE id = '{seeded_id(1)}'"
            results = []
            for _ in range(self.plan.changes):
                runs = worker.metric("attune_live_query_runs_total")
                result = load.run("fanOut", statement=statement)
                result["runs"] = worker.metric("attune_live_query_runs_total") - runs
                results.append(result)
        # The first one makes buffers grow.
        return results[1:]

    # (d)

    def measure_writers(self, neighbours):
        """Inserts a second, and the processor time that PostgreSQL and the workers took for each."""
        script = self.work / "insert.pgbench"
        user = "lpad((2 * :conversation - 1)::text, 32, '0')::uuid"
        script.write_text(
            f"\\set conversation random(1, {CONVERSATIONS})\n"
            "INSERT INTO messages (conversation_id, sender_id, recipient_id, content)\n"
            f"VALUES (lpad(:conversation::text, 32, '0')::uuid, {user}, lpad((2 * :conversation)::text, 32, '0')::uuid, "
            f"'{CONTENT}');\n")
        with self.workers(neighbours.workers, neighbours.shared) as workers, self.listeners(neighbours.listeners):
            groups = {"postgres": [self.cluster.process.child.pid], "workers": [worker.pid for worker in workers]}
            before = {name: sum(map(processor_seconds, pids)) for name, pids in groups.items()}
            output = subprocess.run(
                [self.cluster.programs / "pgbench", self.cluster.url, "--no-vacuum", "--protocol", "prepared", "--client",
                 str(WRITERS), "--jobs", "2", "--time", str(self.plan.write_seconds), "--file", script],
                check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.cluster.folder).stdout
            inserts = int(re.search(r"actually processed: (\d+)", output)[1])
            result = {name: (sum(map(processor_seconds, pids)) - before[name]) / inserts for name, pids in groups.items()}
        result["rate"] = float(re.search(r"tps = ([\d.]+) \(without initial", output)[1])
        return result

    @contextlib.contextmanager
    def listeners(self, count):
        """The trigger, and so many clients that listen; with 0 none of it."""
        if count == 0:
            yield
            return
        self.cluster.psql("--command", NOTIFY)
        with contextlib.ExitStack() as stack:
            for _ in range(count):
                load = stack.enter_context(self.load(0, "members"))
                load.run("listen")
            yield
        self.cluster.psql("--command", NO_NOTIFY)


# The table


def milliseconds(values):
    return " / ".join(f"{value:.1f}" for value in values)


def percent(share):
    return f"{100 * share:.0f} %"


def sockets_table(rows):
    yield "| (a) idle sockets | worker's memory | per socket | per further socket | worker |"
    yield "| ---: | ---: | ---: | ---: | ---: |"
    base = rows[0][1]
    for (less, before, _), (count, used, share) in zip(rows, rows[1:]):
        each, further = (used - base) / count, (used - before) / (count - less)
        yield f"| {count:,} | {used / 1e6:.0f} MB | {each / 1e3:.1f} KB | {further / 1e3:.1f} KB | {percent(share)} |"


def sends_table(results):
    yield ("| (b) sends by | sends/s | answer p50 / p95 / p99, ms | frame p50 / p95 / p99, ms | answer → frame, ms "
           "| runs per send | worker | PostgreSQL | load |")
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    names = {"http": "HTTP", "socket": "socket", "sql": "INSERT", "notify": "(e) INSERT with NOTIFY"}
    for (way, rate), rounds in results.items():
        def median(value):
            return statistics.median(map(value, rounds))

        cells = [
            milliseconds(median(lambda result: result[part][rank]) for rank in ("p50", "p95", "p99"))
            for part in ("sendToAnswer", "sendToFrame", "answerToFrame")]
        cells.append("" if way == "notify" else f"{median(lambda result: result['runs']):.2f}")
        cells += ["" if way == "notify" and name == "worker" else percent(median(lambda result: result[name]))
                  for name in ("worker", "postgres", "load")]
        yield f"| {names[way]} | {rate:,} | {' | '.join(cells)} |"


def fan_out_table(results):
    yield "| (c) subscribers | executions | first frame, ms | p50, ms | last frame, ms |"
    yield "| ---: | ---: | ---: | ---: | ---: |"
    for subscribers, changes in results.items():
        runs = sorted({change["runs"] for change in changes})
        cells = [statistics.median(change["sendToFrame"][rank] for change in changes) for rank in ("minimum", "p50", "maximum")]
        yield f"| {subscribers:,} | {' to '.join(f'{value:.0f}' for value in (runs[0], runs[-1])[:len(runs)])} | " + (
            " | ".join(f"{cell:.0f}" for cell in cells)) + " |"


def writers_table(results):
    yield "| (d) beside the writers | inserts/s | ratio | PostgreSQL per insert | workers per insert |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    base = results[Neighbours()]
    for neighbours, rounds in results.items():
        if neighbours.listeners:
            name = f"(e) NOTIFY in a trigger, {neighbours.listeners} listening"
        elif neighbours.workers < 2:
            name = f"{neighbours.workers} worker{'' if neighbours.workers == 1 else 's'}"
        else:
            name = f"{neighbours.workers} workers, {'one slot' if neighbours.shared else 'a slot each'}"
        ratio = statistics.median(result["rate"] / other["rate"] for result, other in zip(rounds, base))
        rate, server, worker = (
            statistics.median(result[key] for result in rounds) for key in ("rate", "postgres", "workers"))
        yield f"| {name} | {rate:,.0f} | {ratio:.2f} | {server * 1e6:.0f} µs | {worker * 1e6:.0f} µs |"


def run(bench, parts):
    plan = bench.plan
    load = os.getloadavg()[0]
    bench.prepare()
    print(
        f"{os.cpu_count()} processors ({processor()}), load {load:.1f} before the start; PostgreSQL "
        f"{bench.cluster.query('SHOW server_version')}, fsync {bench.cluster.query('SHOW fsync')}, synchronous_commit "
        f"{bench.cluster.query('SHOW synchronous_commit')}.")

    def show(lines):
        print()
        print("\n".join(lines))
        print(f"\nOthers took up to {percent(bench.disturbance)} of a processor.", flush=True)
        bench.disturbance = 0.0

    if "a" in parts:
        show(sockets_table(bench.measure_sockets()))
    if "b" in parts:
        results = collections.defaultdict(list)
        for number in range(plan.send_rounds):
            for rate in plan.rates:
                for way in [*plan.ways, *(["notify"] if "e" in parts else [])]:
                    result = bench.undisturbed(lambda: bench.measure_sends(way, rate, plan.send_seconds))
                    results[way, rate].append(result)
                    say(f"{way}, {rate}/s: frame {result['sendToFrame']['p50']:.1f} / {result['sendToFrame']['p99']:.1f} ms")
        show(sends_table(dict(sorted(results.items(), key=lambda item: plan_order(plan, item[0])))))
    if "c" in parts:
        show(fan_out_table({
            subscribers: bench.undisturbed(lambda: bench.measure_fan_out(subscribers)) for subscribers in plan.subscribers}))
    if "d" in parts:
        settings = [Neighbours(workers) for workers in plan.workers]
        settings += [Neighbours(workers, shared=False) for workers in plan.workers if workers > 1]
        if "e" in parts:
            settings += [Neighbours(listeners=1), Neighbours(listeners=4)]
        results = {setting: [] for setting in settings}
        # Pages are written whole the first time that they change after a checkpoint: that is nobody's cost.
        bench.measure_writers(Neighbours())
        for number in range(plan.write_rounds):
            # Each round in another order: what a turn leaves behind does not always meet the same one.
            for setting in settings[number % len(settings):] + settings[:number % len(settings)]:
                results[setting].append(bench.undisturbed(lambda: bench.measure_writers(setting)))
                say(f"{setting}: {results[setting][-1]['rate']:,.0f}/s")
        show(writers_table(results))


def plan_order(plan, key):
    way, rate = key
    return [*plan.ways, "notify"].index(way), rate


def main():
    parser = argparse.ArgumentParser(prog="script/bench live")
    parser.add_argument("--quick", action="store_true", help="fewer sizes and shorter turns, for developing")
    parser.add_argument("--parts", default="abcde", help="which of the parts (a) to (e), as letters")
    options = parser.parse_args()
    # Being told to stop takes the same way out as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A worker and the load have a file for each socket.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < max(FULL.sockets) + 1000:
        raise SystemExit(f"failed: a process may open {hard} files only (ulimit -Hn).")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with folder() as work:
        (work / "cluster").mkdir()
        cluster = Cluster(work / "cluster")
        try:
            run(Bench(work, cluster, QUICK if options.quick else FULL), options.parts)
        except Failed as failure:
            raise SystemExit(f"failed: {failure}") from failure
        finally:
            cluster.stop()


if __name__ == "__main__":
    main()
