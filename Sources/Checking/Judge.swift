import Domain
import Synchronization
import Wire

/// Compares what clients were shown with what the log says they had to be shown.
///
/// It works behind the clients: a Transition is judged when every commit up to its timestamp has been read from the log.
actor Judge {
    private let log: CommitLog
    private let findings: Findings
    private let statistics: Statistics
    private let polling: PollingTimes
    private let inbox = Mutex<[Report]>([])
    private var queue: [Report] = []
    private var head = 0

    private let history = History()
    private var covered = LogPosition.zero
    /// How far the log had been read at some moments, oldest first.
    private var coverage: [(time: ContinuousClock.Instant, position: LogPosition)] = []
    private var pages = Pages()
    private var ledger: Ledger
    /// Sign-ins of which no end has been seen yet.
    private var refusals: [IdentityRefusal] = []
    /// Each client's last Transition, for those that hear nothing more.
    private var last: [String: TransitionReport] = [:]

    init(log: CommitLog, findings: Findings, statistics: Statistics, polling: PollingTimes) {
        self.log = log
        self.findings = findings
        self.statistics = statistics
        self.polling = polling
        ledger = Ledger(findings: findings)
    }

    /// Takes what a client tells, at once.
    nonisolated func hear(_ report: Report) {
        inbox.withLock { $0.append(report) }
    }

    /// Reads the log and judges until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            let hasMore = await readLog()
            judgeWaiting()
            if !hasMore { try? await Task.sleep(for: .milliseconds(30)) }
        }
    }

    /// - Returns: whether there is more to be read at once.
    private func readLog() async -> Bool {
        let asked = ContinuousClock.now
        let batch: CommitLog.Batch
        do {
            batch = try await log.read()
        } catch {
            // The database is away, which is one of the faults.
            try? await Task.sleep(for: .milliseconds(100))
            return false
        }
        do {
            for commit in batch.commits {
                try history.apply(commit.changes.compactMap { try ChangeText.parse($0) }, at: commit.position)
            }
        } catch {
            findings.add(Finding(client: "the oracle", problem: "cannot read the log: \(error)", message: "-", history: []))
        }
        statistics.count { $0.commits += batch.commits.count }
        // A quiet log does not reach the last timestamps by itself.
        if batch.commits.isEmpty, head < queue.count, covered < waitingFor { await log.nudge() }
        covered = max(covered, batch.covered)
        if coverage.last.map({ asked - $0.time > .milliseconds(500) }) ?? true { coverage.append((asked, covered)) }
        ledger.watchInsertions(history)
        judgeRefusals(asOf: asked)
        return batch.hasMore
    }

    private var waitingFor: LogPosition {
        switch queue[head] {
        case .transition(let report): report.end.timestamp
        case .refusal, .repetition: .zero
        case .answer(let answer): if case .success(_, let position?) = answer.outcome { position } else { .zero }
        }
    }

    private func judgeWaiting() {
        if head == queue.count {
            queue = []
            head = 0
        }
        queue.append(contentsOf: inbox.withLock { reports in
            defer { reports = [] }
            return reports
        })
        while head < queue.count, waitingFor <= covered, findings.isEmpty {
            switch queue[head] {
            case .transition(let report): judge(report)
            case .answer(let answer): ledger.judge(answer, history)
            case .repetition(let client, let effect, let sends): ledger.note(effect, of: client, sends: sends)
            case .refusal(let refusal): refusals.append(refusal)
            }
            head += 1
        }
    }

    /// Nothing waits to be judged.
    var isIdle: Bool { head == queue.count && inbox.withLock { $0.isEmpty } }

    // MARK: Transitions

    private func judge(_ report: TransitionReport) {
        let isWeak = polling.wasPolling(report.worker, at: report.sentAt)
        let problems = isWeak ? weakProblems(report) : problems(report, at: report.end.timestamp)
        statistics.count { figures in
            if isWeak { figures.weakTransitions += 1 } else { figures.exactTransitions += 1 }
            figures.resultsChecked += report.held.count
        }
        last[report.client.name] = report
        for problem in problems {
            findings.add(
                Finding(
                    client: report.client.name,
                    problem: "at ts \(report.end.timestamp), on connection \(report.connection) to \(report.worker)\(isWeak ? ", which polled," : ""): "
                        + text(of: problem, in: report, at: report.end.timestamp),
                    message: report.message.text,
                    history: report.client.history.list))
        }
    }

    private enum Problem {
        /// The session that the client had signed in with was over.
        case sessionHasEnded(SessionID)
        case wrongResult(UInt32, HeldResult, Asker, expected: String)
    }

    private func text(of problem: Problem, in report: TransitionReport, at position: LogPosition) -> String {
        switch problem {
        case .sessionHasEnded(let session): return "a Transition for the session \(session), which had ended by then"
        case .wrongResult(let id, let held, let asker, let expected):
            let age = report.modified.contains(id) ? "shown now" : "shown before, and not changed since"
            return "query \(id), \(held.query.path) \(held.query.arguments.text) as \(asker), should have been \(expected), but is "
                + "\(held.shown.text) (\(age)); \(moment(of: held, for: asker, near: position))"
        }
    }

    /// What is wrong with the results that the client held after the Transition, taking them for those of `position`.
    private func problems(_ report: TransitionReport, at position: LogPosition) -> [Problem] {
        let contract = Contract(history: history, position: position)
        let asker: Asker
        if let session = report.session, let found = self.asker(session, contract) {
            asker = found
        } else if report.session != nil, report.client.isJavaScript {
            return [.sessionHasEnded(report.session!)]
        } else {
            asker = .anonymous
        }
        var problems: [Problem] = []
        var lessons: [Pages.Lesson] = []
        for (id, held) in report.held.sorted(by: { $0.key < $1.key }) {
            switch verdict(on: held, for: asker, contract) {
            case .right(let lesson?): lessons.append(lesson)
            case .right(nil): break
            case .wrong(let expected):
                problems.append(.wrongResult(id, held, asker, expected: expected))
            }
        }
        if problems.isEmpty { for lesson in lessons { pages.learn(lesson) } }
        return problems
    }

    /// Who a session stands for; nil when it has ended.
    private func asker(_ id: SessionID, _ contract: Contract) -> Asker? {
        guard let session = history.sessions[id]?.at(contract.position), !session.hasEnded, let user = contract.user(session.user),
            !user.isRemoved
        else { return nil }
        return .user(user.id, isAdmin: user.role == "admin")
    }

    private func verdict(on held: HeldResult, for asker: Asker, _ contract: Contract) -> Pages.Verdict {
        if held.query.isPaged {
            return pages.judge(
                held.shown, of: held.query, memory: held.memory, for: asker, contract: contract, since: coverage(at: held.askedAt))
        }
        do {
            let expected = try contract.value(of: held.query, for: asker)
            if case .value(let value) = held.shown, value.isSame(as: expected) { return .right(nil) }
            return .wrong(expected.text)
        } catch {
            if case .failure(let code, _, _) = held.shown, code == error.code { return .right(nil) }
            return .wrong("an error \(error.code)")
        }
    }

    /// When the result would have been right: tells a result that is late from one that is early, and from one that never was.
    private func moment(of held: HeldResult, for asker: Asker, near position: LogPosition) -> String {
        let next = history.commits.firstIndex { $0 > position } ?? history.commits.count
        let nearest = (max(0, next - 300)..<min(history.commits.count, next + 100)).sorted { abs($0 - next) < abs($1 - next) }
        for index in nearest {
            let contract = Contract(history: history, position: history.commits[index])
            guard case .right = verdict(on: held, for: asker, contract) else { continue }
            return "that is right after the commit at \(history.commits[index]), \(abs(next - 1 - index)) commits "
                + (index < next ? "earlier" : "later")
        }
        return "that is right at no moment near"
    }

    /// A position that every snapshot taken after `time` is past: the log had been read up to there a good while before.
    private func coverage(at time: ContinuousClock.Instant) -> LogPosition {
        coverage.last { $0.time < time - .seconds(15) }?.position ?? .zero
    }

    /// Who is told that a sign-in has ended must have signed out, or have been removed: the log says so, at once or a moment later.
    private func judgeRefusals(asOf time: ContinuousClock.Instant) {
        let now = Contract(history: history, position: LogPosition(.max))
        refusals.removeAll { asker($0.signIn.session, now) == nil }
        for refusal in refusals where refusal.receivedAt + .seconds(5) < time {
            findings.add(
                Finding(
                    client: refusal.client.name, problem: "was told that \(refusal.signIn.session) had ended, which it has not",
                    message: refusal.message, history: refusal.client.history.list))
        }
    }

    // MARK: While a worker polls

    /// A worker without a feed shows one snapshot, whose place in the log it knows about, not exactly. Any place near will do, the
    /// same for all results.
    private func weakProblems(_ report: TransitionReport) -> [Problem] {
        let problems = problems(report, at: report.end.timestamp)
        guard !problems.isEmpty else { return [] }
        let low = coverage(at: report.receivedAt)
        for position in history.commits.reversed() where position > low {
            if self.problems(report, at: position).isEmpty { return [] }
        }
        return problems
    }

    // MARK: Convergence

    /// What clients that were told nothing for long should have been told meanwhile.
    ///
    /// - Parameters:
    ///   - connected: each open and unimpaired connection, and since when it has heard of nothing.
    ///   - patience: how old a change may be.
    func judgeSilence(_ connected: [String: Int], patience: Duration) {
        guard findings.isEmpty, let position = coverage.last(where: { $0.time < .now - patience })?.position else { return }
        for (name, connection) in connected {
            guard let report = last[name], report.connection == connection, report.end.timestamp < position, isIdle else { continue }
            for problem in problems(report, at: position) {
                findings.add(
                    Finding(
                        client: name,
                        problem: "has heard of nothing since ts \(report.end.timestamp), although at \(position), \(patience) ago, "
                            + text(of: problem, in: report, at: position),
                        message: "none", history: report.client.history.list))
            }
        }
    }

    /// What is wrong with all mutations taken together, at the end.
    func closeLedger() { ledger.close(history) }
}

/// When which worker had no feed and looked at snapshots instead. It says so in its log.
final class PollingTimes: Sendable {
    private struct Interval {
        /// In nanoseconds since 1970.
        let start: Int64
        var end: Int64?
    }
    private let intervals = Mutex<[String: [Interval]]>([:])

    /// Around an interval: ticks that began in it end later.
    private static let before: Int64 = 100_000_000
    private static let after: Int64 = 1_000_000_000

    func begin(_ worker: String, at time: Int64) {
        intervals.withLock { intervals in
            if let last = intervals[worker]?.last, last.end == nil { return }
            intervals[worker, default: []].append(Interval(start: time))
        }
    }

    func end(_ worker: String, at time: Int64) {
        intervals.withLock { intervals in
            guard let index = intervals[worker]?.indices.last, intervals[worker]![index].end == nil else { return }
            intervals[worker]![index].end = time
        }
    }

    func wasPolling(_ worker: String, at time: Int64) -> Bool {
        intervals.withLock { intervals in
            intervals[worker]?.contains { interval in
                time >= interval.start - Self.before && time <= (interval.end ?? .max - Self.after) + Self.after
            } ?? false
        }
    }
}
