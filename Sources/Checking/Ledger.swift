import Domain
import Wire

/// Keeps account of mutations: each that was acknowledged is in the tables, once, where the response said, in the client's order.
struct Ledger {
    private let findings: Findings
    /// By content: what is known of each message that was to be sent.
    private var messages: [String: Entry] = [:]
    /// By the sync client's session: its last acknowledged request, and where that was committed.
    private var order: [String: (request: UInt32, position: LogPosition)] = [:]

    private struct Entry {
        let client: ClientName
        var acknowledged: Bool
        var hasFailed: Bool
        var sends: Int
    }

    init(findings: Findings) {
        self.findings = findings
    }

    /// A mutation has been sent so often.
    mutating func note(_ effect: Effect, of client: ClientName, sends: Int) {
        guard case .message(let content) = effect else { return }
        var entry = messages[content] ?? Entry(client: client, acknowledged: false, hasFailed: false, sends: 0)
        entry.sends = max(entry.sends, sends)
        messages[content] = entry
    }

    /// Takes an answer when the log has been read up to its timestamp.
    mutating func judge(_ answer: MutationAnswer, _ history: History) {
        note(answer.effect, of: answer.client, sends: answer.sends)
        if case .message(let content) = answer.effect, var entry = messages[content] {
            switch answer.outcome {
            case .success: entry.acknowledged = true
            // A repeat may be refused for who asks it now, when the first one had its effect.
            case .failure: entry.hasFailed = entry.hasFailed || answer.sends == 1
            }
            messages[content] = entry
        }
        guard case .success(let result, let timestamp?) = answer.outcome, let request = answer.request else { return }
        judgeCommit(answer, request, result, timestamp, history)
    }

    private mutating func judgeCommit(
        _ answer: MutationAnswer, _ request: RequestKey, _ result: JSON, _ timestamp: LogPosition, _ history: History
    ) {
        func find(_ problem: String) {
            findings.add(
                Finding(
                    client: answer.client.name, problem: problem,
                    message: "MutationResponse to request \(request.request), ts \(timestamp), result \(result.text)",
                    history: answer.client.history.list))
        }
        guard let committed = history.requests[request] else { return find("an acknowledged mutation is not in the tables") }
        if committed.position > timestamp { find("ts is before the mutation's commit at \(committed.position)") }
        if let recorded = try? JSON(parsing: committed.result.utf8), !recorded.isSame(as: result) {
            find("the outcome that was recorded is another: \(committed.result)")
        }
        if let last = order[request.session], last.request < request.request, last.position > committed.position {
            find("request \(last.request) of the same client was committed later, at \(last.position)")
        }
        if order[request.session].map({ $0.request < request.request }) ?? true {
            order[request.session] = (request.request, committed.position)
        }
        switch answer.effect {
        case .message(let content):
            let insertions = history.insertions[content] ?? []
            guard let id = result.stringValue.flatMap({ MessageID($0) }) else { return find("the result is no message id") }
            if !insertions.contains(where: { $0.id == id && $0.position <= timestamp }) { find("the message is not in the tables") }
        case .read(let ids):
            for id in ids where history.isUnread(id, at: committed.position) { find("the message \(id) was not marked as read") }
        case .bio(let bio):
            if history.bios[bio].map({ $0 > timestamp }) ?? true { find("the profile was not changed") }
        }
    }

    /// A message that may be there once only must not come twice, acknowledged or not.
    mutating func watchInsertions(_ history: History) {
        for (content, wasStillThere) in history.takeRepeatedContents() {
            let uniqueness = Uniqueness(of: content)
            guard uniqueness == .request || (uniqueness == .name && wasStillThere) else { continue }
            findings.add(
                Finding(
                    client: messages[content]?.client.name ?? "the oracle", problem: "a message was sent once and is in the tables twice",
                    message: "\(content): \(history.insertions[content] ?? [])", history: messages[content]?.client.history.list ?? []))
        }
    }

    func close(_ history: History) {
        for (content, entry) in messages {
            let count = history.insertions[content]?.count ?? 0
            let problem: String? =
                if entry.acknowledged, count == 0 {
                    "an acknowledged message is not in the tables"
                } else if !entry.acknowledged, entry.hasFailed, count > 0 {
                    "a message that was refused is in the tables"
                } else if Uniqueness(of: content) == .none, count > max(1, entry.sends) {
                    "a message is in the tables \(count) times, and was sent \(entry.sends) times"
                } else {
                    nil
                }
            guard let problem else { continue }
            findings.add(Finding(client: entry.client.name, problem: problem, message: content, history: entry.client.history.list))
        }
    }
}
