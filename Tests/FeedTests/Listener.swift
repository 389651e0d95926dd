import Domain
import Foundation
import Logging
import Postgres
import Synchronization
import TestSupport

@testable import Feed

/// What a feed has told.
final class Listener: Sendable {
    private struct State {
        var isHeld = false
        var events: [FeedEvent] = []
        var isConnected = false
        var connections = 0
        var polls = 0
        var commits: [Commit] = []
    }

    private let state = Mutex(State())

    /// All of it, but for polls.
    var events: [FeedEvent] { state.withLock { $0.events } }
    var isConnected: Bool { state.withLock { $0.isConnected } }
    /// How often the feed has said that it is connected.
    var connections: Int { state.withLock { $0.connections } }
    var polls: Int { state.withLock { $0.polls } }
    /// The commits since the feed last said that it is connected.
    var commits: [Commit] { state.withLock { $0.commits } }

    /// While true, the feed has to wait for its listener.
    var isHeld: Bool {
        get { state.withLock { $0.isHeld } }
        set { state.withLock { $0.isHeld = newValue } }
    }

    func receive(_ event: FeedEvent) async {
        while isHeld, !Task.isCancelled { try? await Task.sleep(for: .milliseconds(5)) }
        state.withLock { state in
            switch event {
            case .connected: (state.isConnected, state.connections, state.commits) = (true, state.connections + 1, [])
            case .disconnected: (state.isConnected, state.commits) = (false, [])
            case .commits(let commits, _): state.commits += commits
            case .poll:
                state.polls += 1
                return
            }
            state.events.append(event)
        }
    }

    func hasHeard(of transactionID: UInt32) -> Bool {
        state.withLock { $0.commits.contains { $0.transactionID == transactionID } }
    }
}

/// A feed that runs, as in a worker.
final class RunningFeed: Sendable {
    let listener: Listener
    private let task: Task<Void, Never>

    init(_ feed: any ChangeFeed, listener: Listener = Listener()) {
        self.listener = listener
        task = Task { await feed.run { await listener.receive($0) } }
    }

    func stop() async {
        task.cancel()
        await task.value
    }
}

/// A folder in which workers meet. Short: the path of a socket is.
func withFolder(_ body: (String) async throws -> Void) async throws {
    let folder = "/tmp/attune-feed-\(UUID().uuidString.prefix(8))"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try await body(folder)
}

extension PostgresClient {
    /// A commit that touches all messages; its id.
    @discardableResult
    func commitSomething() async throws -> UInt32 {
        let statement = Statement(
            "test.commit", "SELECT pg_logical_emit_message(true, 'attune.topics', 'messages')::text, pg_current_xact_id()::text")
        return UInt32(try await write(statement())[0].decode(1, as: String.self))!
    }

    func script(_ sql: String) async throws {
        try await withConnection { _ = try await $0.runScript(sql, name: "test") }
    }

    func count(_ sql: String) async throws -> Int {
        let results = try await withConnection { try await $0.runScript("SELECT (\(sql))::text", name: "test") }
        return Int(try results[0][0].decode(0, as: String.self))!
    }

    func name() async throws -> String {
        try await write(Statement("test.name", "SELECT current_database()::text")())[0].decode(0)
    }

    /// The slots of this database.
    func slots() async throws -> Int {
        try await count("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()")
    }
}
