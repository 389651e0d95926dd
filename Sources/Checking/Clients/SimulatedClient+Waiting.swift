import Domain

// What a client still waits for.

extension SimulatedClient {
    var isComplete: Bool { isOpen && subscriptions.values.allSatisfy { $0.shown != nil } && mutations.isEmpty }

    var whatIsMissing: String {
        guard isOpen else { return "not connected" }
        let queries = subscriptions.filter { $0.value.shown == nil }.map { "query \($0.key) has no result" }
        let requests = mutations.map { id, mutation in
            "mutation \(id) has \(mutation.answer == nil ? "no answer" : "no Transition at or past its ts")"
        }
        return (queries + requests).joined(separator: ", ")
    }

    func hasListened(for duration: Duration) -> Bool {
        isOpen && impairment == .none && openedAt + duration <= .now
    }

    func findForgotten(after duration: Duration) {
        guard hasListened(for: duration) else { return }
        let limit = ContinuousClock.now - duration
        if lastHeard < limit { return find("nothing was heard from \(worker ?? "?") for \(duration), not even a Ping", "none") }
        for (id, subscription) in subscriptions where subscription.shown == nil && subscription.askedAt < limit {
            return find("query \(id) has had no result for \(duration)", "none")
        }
        for (id, mutation) in mutations where mutation.sentAt < limit {
            return find("mutation \(id) has waited for \(duration): \(mutation.answer == nil ? "no answer" : "no Transition")", "none")
        }
    }

    func stopImpairment() {
        guard impairment == .slow, case .open(let connection) = state else { return }
        impairment = .none
        connection.setReads(true)
    }
}
