"""script/bench http: how far is one attune-api worker from what its parts can do, and from what most teams would run?

Four contestants take turns, with as many connections each: attune-api with its change feed attached; pgbench with the
same SQL; a bare Hummingbird that answers with the same bytes; FastAPI with asyncpg and two uvicorn processes. A turn is:
start, warm up, list, send, stop; nobody else runs meanwhile but PostgreSQL and the load generator. Every answer is looked
at, and the rows that a turn left behind are compared with the sends that it acknowledged. Each figure is the median of
the rounds.
"""

import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import urllib.request
import uuid

from statements import statement
from throwaway import RELEASE, ROOT, Cluster, Process, answer, folder, free_port, processor

CONVERSATIONS = 5000
MESSAGES = 500_000
THERAPISTS = 20
CONNECTIONS = 32
ROUNDS = 3
SECONDS = 5
WARM_UP_SECONDS = 1
PAGE = 20
CONTENT = "Thank you, that helps. Could we move the appointment on Thursday to the afternoon, at about half past three?"
HERE = ROOT / "bench/http"
FUNCTIONS = ("list", "send")
ENDPOINTS = {"list": "/api/query", "send": "/api/mutation"}


class Failed(Exception):
    """The figures would mean nothing."""


class Result:
    def __init__(self, requests, seconds, p50=None, p99=None):
        self.requests = requests
        self.rate = requests / seconds
        # Milliseconds.
        self.p50 = p50
        self.p99 = p99


# Seeded ids: their number in decimal digits (seed.sql).


def seeded_id(number):
    return uuid.UUID(f"{number:032d}")


def therapist(conversation):
    return 1_000_000 + conversation % THERAPISTS


def type_id(prefix, value):
    """The id in Attune's API: the prefix and 26 digits of base 32."""
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    return prefix + "_" + "".join(alphabet[value.int >> shift & 31] for shift in range(125, -5, -5))


class Contestant:
    """One that speaks HTTP.

    - command: the command line
    - requests: the file of requests for each function
    - ready: whether the body of `/health…`, None while there is none, says that measuring can begin
    - stores: whether it stores what it acknowledges
    """

    def __init__(
        self, name, command, requests, health="/health", ready=lambda body: body is not None, environment=None, stores=True):
        self.name = name
        self.command = command
        self.requests = requests
        self.health = health
        self.ready = ready
        self.environment = environment or {}
        self.stores = stores

    @contextlib.contextmanager
    def running(self, port, work):
        process = Process(
            self.command, work / f"{self.name.split()[0]}.log", env={**os.environ, **self.environment}, cwd=work)
        try:
            process.wait_until(lambda: self.ready(answer(f"http://127.0.0.1:{port}{self.health}")))
            yield process
        finally:
            process.stop()

    def measure(self, function, seconds, port):
        output = subprocess.run(
            ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", str(seconds), "--latency",
             "--script", HERE / "requests.lua", f"http://127.0.0.1:{port}", "--", ENDPOINTS[function],
             self.requests[function]],
            check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        figures = json.loads(output.stdout.strip().splitlines()[-1])
        if figures["failures"] or figures["lost"] or not figures["requests"]:
            raise Failed(
                f"{self.name}, {function}: {figures['failures']} of {figures['requests']} answers were no success, "
                f"{figures['lost']} were lost; the first: {output.stderr}")
        return Result(figures["requests"], figures["microseconds"] / 1e6, figures["p50"] / 1000, figures["p99"] / 1000)


class Pgbench:
    """The same SQL without anything in front of it."""

    name = "pgbench"
    stores = True

    def __init__(self, cluster, work):
        self.cluster = cluster
        self.scripts = {}
        # A pgbench variable is a number; the ids are made of it where the statement has its parameter.
        # A client has the number of its conversation.
        conversation = client = "lpad(:conversation::text, 32, '0')::uuid"
        caller = "lpad(:caller::text, 32, '0')::uuid"
        choice = f"\\set conversation random(1, {CONVERSATIONS})\n\\set caller 1000000 + :conversation % {THERAPISTS}\n"
        for function, name, parameters in [
            ("list", "messages.list", [conversation, caller, f"'{uuid.UUID(int=2**128 - 1)}'", f"'{uuid.UUID(int=0)}'", PAGE + 1]),
            ("send", "messages.send", [caller, client, f"'{CONTENT}'", "NULL"]),
        ]:
            sql = re.sub(r"\$(\d)", lambda match: str(parameters[int(match[1]) - 1]), statement(name))
            self.scripts[function] = work / f"{function}.pgbench"
            self.scripts[function].write_text(choice + sql.strip() + ";\n")

    @contextlib.contextmanager
    def running(self, port, work):
        yield None

    def measure(self, function, seconds, port):
        output = subprocess.run(
            [self.cluster.programs / "pgbench", self.cluster.url, "--no-vacuum", "--protocol", "prepared",
             "--client", str(CONNECTIONS), "--jobs", str(os.cpu_count()), "--time", str(seconds), "--file",
             self.scripts[function]],
            check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.cluster.folder).stdout
        requests = int(re.search(r"actually processed: (\d+)", output)[1])
        rate = float(re.search(r"tps = ([\d.]+) \(without initial", output)[1])
        return Result(requests, requests / rate)


def write_requests(path, tokens, body):
    """One line for each conversation; `body` makes it of the conversation's number."""
    lines = (
        f"{tokens[therapist(number)]}\t{json.dumps(body(number), separators=(',', ':'))}\n"
        for number in range(1, CONVERSATIONS + 1))
    path.write_text("".join(lines))


def requests_with(work, name, tokens, conversation_id, user_id):
    """The requests' files by function; the two make an id of a number."""
    files = {function: work / f"{name}-{function}.requests" for function in FUNCTIONS}
    write_requests(files["list"], tokens, lambda number: {
        "path": "messages:list",
        "args": {"conversationId": conversation_id(number), "paginationOpts": {"numItems": PAGE, "cursor": None}},
    })
    write_requests(files["send"], tokens, lambda number: {
        "path": "messages:send", "args": {"content": CONTENT, "recipientId": user_id(number)},
    })
    return files


def first_answer(port, function, requests):
    token, body = requests[function].read_text().split("\n", 1)[0].split("\t")
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{ENDPOINTS[function]}", body.encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.read()


def say(text):
    print(text, file=sys.stderr, flush=True)


def take_turn(contestant, port, work, cluster, results):
    before = int(cluster.query("SELECT count(*) FROM messages"))
    acknowledged = 0
    with contestant.running(port, work) as process:
        for function in FUNCTIONS:
            warm_up = contestant.measure(function, WARM_UP_SECONDS, port)
            result = contestant.measure(function, SECONDS, port)
            results[contestant.name, function].append(result)
            say(f"{contestant.name}: {function} {result.rate:,.0f}/s")
            if function == "send" and contestant.stores:
                acknowledged += warm_up.requests + result.requests
        loaded = process.resident_bytes() if process else None
    stored = int(cluster.query("SELECT count(*) FROM messages")) - before
    # What was on its way when wrk hung up, in both runs, may be stored as well.
    if not acknowledged <= stored <= acknowledged + 2 * CONNECTIONS:
        raise Failed(f"{contestant.name}: {acknowledged} sends were acknowledged, and {stored} are stored.")
    return loaded


def table(results, names):
    def median(name, function, value):
        values = [value(result) for result in results[name, function]]
        return None if None in values else statistics.median(values)

    rates = {key: median(*key, lambda result: result.rate) for key in results}

    def latency(name, function):
        p50 = median(name, function, lambda result: result.p50)
        return "" if p50 is None else f"{p50:.1f} / {median(name, function, lambda result: result.p99):.1f}"

    yield "| contestant | list/s | list p50 / p99, ms | send/s | send p50 / p99, ms |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for name in names:
        cells = [cell for function in FUNCTIONS for cell in (f"{rates[name, function]:,.0f}", latency(name, function))]
        yield f"| {name} | {' | '.join(cells)} |"
    attune, pgbench, echo, fastapi = names
    limits = {function: 1 / (1 / rates[echo, function] + 1 / rates[pgbench, function]) for function in FUNCTIONS}
    yield f"| limit: 1 / (1 / echo + 1 / pgbench) | {limits['list']:,.0f} | | {limits['send']:,.0f} | |"
    yield ""
    yield "| ratio | list | send |"
    yield "| --- | ---: | ---: |"
    for title, divisors in [
        ("attune-api / FastAPI", {function: rates[fastapi, function] for function in FUNCTIONS}),
        ("attune-api / limit", limits),
    ]:
        ratios = (f"{rates[attune, function] / divisors[function]:.2f}" for function in FUNCTIONS)
        yield f"| {title} | {' | '.join(ratios)} |"


def run(work, cluster):
    load = os.getloadavg()[0]
    programs = work / "programs"
    programs.mkdir()
    for name in ("attune", "attune-api", "attune-migrate", "bench-echo"):
        # Copies: a build in the meantime changes nothing.
        (programs / name).write_bytes((RELEASE / name).read_bytes())
        (programs / name).chmod(0o755)
    port = free_port()
    os.environ.update({"DATABASE_URL": cluster.url, "ATTUNE_DATA_DIR": str(work / "data"), "ATTUNE_PORT": str(port)})

    say(f"Seeding {MESSAGES:,} messages in {CONVERSATIONS:,} conversations")
    subprocess.run([programs / "attune-migrate", "up"], check=True, stdout=subprocess.DEVNULL)
    cluster.psql(
        "--set", f"conversations={CONVERSATIONS}", "--set", f"therapists={THERAPISTS}", "--set",
        f"messages={MESSAGES // CONVERSATIONS}", "--set", f"content={CONTENT}", "--file", HERE / "seed.sql")
    tokens = {}
    for number in range(THERAPISTS):
        tokens[1_000_000 + number] = subprocess.run(
            [programs / "attune", "token", f"therapist{number}@bench.example"], check=True, stdout=subprocess.PIPE,
            text=True).stdout.strip()

    attune = Contestant(
        "attune-api", [programs / "attune-api"],
        requests_with(
            work, "attune", tokens, lambda number: type_id("conversation", seeded_id(number)),
            lambda number: type_id("user", seeded_id(number))),
        health="/health/ready", ready=lambda body: body and json.loads(body)["feed"] == "connected")
    with attune.running(port, work) as process:
        idle = process.resident_bytes()
        answers = {function: work / f"{function}.json" for function in FUNCTIONS}
        for function, file in answers.items():
            file.write_bytes(first_answer(port, function, attune.requests))
        (work / "keys.json").write_bytes(answer(f"http://127.0.0.1:{port}/.well-known/jwks.json"))
    if len(json.loads(answers["list"].read_bytes())["value"]["page"]) != PAGE:
        raise Failed(f"The first list has not {PAGE} rows.")

    uvicorn = [
        sys.executable, "-m", "uvicorn", "fastapi_app:app", "--app-dir", HERE, "--workers", "2", "--loop", "uvloop",
        "--http", "httptools", "--no-access-log", "--port", port]
    pgbench = Pgbench(cluster, work)
    contestants = [
        attune,
        pgbench,
        Contestant(
            "Hummingbird echo", [programs / "bench-echo", port, answers["list"], answers["send"]], attune.requests,
            stores=False),
        Contestant(
            "FastAPI (2 processes)", uvicorn,
            requests_with(
                work, "fastapi", tokens, lambda number: str(seeded_id(number)), lambda number: str(seeded_id(number))),
            environment={
                "BENCH_DATABASE_URL": f"postgresql://postgres@/postgres?host={cluster.folder}",
                "BENCH_LIST_SQL": statement("messages.list"),
                "BENCH_SEND_SQL": statement("messages.send"),
                "BENCH_KEY_SET": str(work / "keys.json"),
                "BENCH_CONNECTIONS": str(CONNECTIONS),
                "PYTHONDONTWRITEBYTECODE": "1",
            }),
    ]
    names = [contestant.name for contestant in contestants]
    results = {(name, function): [] for name in names for function in FUNCTIONS}
    loaded = None
    # Pages are written whole the first time that they change after a checkpoint: that is nobody's cost.
    pgbench.measure("send", SECONDS, port)
    for number in range(ROUNDS):
        say(f"Round {number + 1} of {ROUNDS}")
        for contestant in contestants:
            memory = take_turn(contestant, port, work, cluster, results)
            if contestant is attune:
                loaded = memory

    print(
        f"{os.cpu_count()} processors ({processor()}), load {load:.1f} before the start; PostgreSQL "
        f"{cluster.query('SHOW server_version')}, fsync {cluster.query('SHOW fsync')}, synchronous_commit "
        f"{cluster.query('SHOW synchronous_commit')}; wrk with {CONNECTIONS} connections; medians of {ROUNDS} rounds of "
        f"{SECONDS} s.\n")
    print("\n".join(table(results, names)))
    print(f"\nMemory of attune-api: {idle / 1e6:.0f} MB idle, {loaded / 1e6:.0f} MB after the load.")


def main():
    # Being told to stop takes the same way out as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with folder() as work:
        (work / "cluster").mkdir()
        cluster = Cluster(work / "cluster")
        try:
            run(work, cluster)
        except Failed as failure:
            raise SystemExit(f"failed: {failure}") from failure
        finally:
            cluster.stop()


if __name__ == "__main__":
    main()
