import Domain
import Foundation
import Functions
import Logging
import Postgres
import Registry
import Schema
import Synchronization
import TestSupport
import Testing
import Wire
import WorkerTestSupport

@testable import Development

@Suite("What reaches live queries", .timeLimit(.minutes(3)))
struct FeedTests {
    @Test("plain SQL, a profile's change and a mutation over HTTP all appear")
    func writers() async throws {
        try await withTestWorker { worker in
            let ann = try await worker.signUp("Ann")
            let ben = try await worker.signUp("Ben")
            let client = try await worker.connect(as: ann)
            let list = client.add("messages:listConversations")
            try await client.wait(for: "the list") { $0.value(list) }
            try await worker.insertMessage("by SQL", from: ben, to: ann)
            try await client.wait(for: "the message") { $0.value(list)?["page"]?[0]?["lastMessage"]?["content"] == "by SQL" ? true : nil }
            let sent = try await worker.call(
                .mutation, "messages:send", ["content": "by HTTP", "recipientId": ann.id.json], token: ben.token)
            #expect(sent.value?.stringValue != nil)
            try await client.wait(for: "the message") { $0.value(list)?["page"]?[0]?["lastMessage"]?["content"] == "by HTTP" ? true : nil }
            try await worker.sql("UPDATE users SET name = 'Benjamin' WHERE id = '\(ben.id.uuid)'")
            try await client.wait(for: "the name") { $0.value(list)?["page"]?[0]?["otherUser"]?["name"] == "Benjamin" ? true : nil }
        }
    }

    @Test("TRUNCATE and a bulk writer's message touch whole tables")
    func wholeTables() async throws {
        let counter = Counted()
        try await withTestWorker(functions: allFunctions + [counter.function], configure: { $0.live.missedInvalidation = nil }) { worker in
            let ann = try await worker.signUp("Ann")
            let ben = try await worker.signUp("Ben")
            try await worker.insertMessage("one", from: ann, to: ben)
            let conversation = try await worker.conversation(ann, ben)
            let client = try await worker.connect(as: ann)
            let list = client.add("messages:list", ["conversationId": conversation.json])
            let counted = client.add("test:countedUser", ["userId": ann.id.json])
            try await client.wait(for: "the message") { $0.contents(list) == ["one"] && $0.value(counted) != nil ? true : nil }
            try await worker.sql("TRUNCATE messages")
            try await client.wait(for: "nothing") { $0.contents(list) == [] ? true : nil }
            let before = counter.runs
            try await worker.sql("SELECT pg_logical_emit_message(true, 'attune.topics', 'users')")
            try await eventually("the query has run again") { counter.runs > before }
        }
    }

    // 40
    @Test("a query that many watch runs once for all of them, and not at all when nobody does")
    func sharing() async throws {
        let counter = Counted()
        try await withTestWorker(functions: allFunctions + [counter.function], configure: { $0.live.missedInvalidation = nil }) { worker in
            let ann = try await worker.signUp("Ann")
            let ben = try await worker.signUp("Ben")
            var clients: [(SyncClient, UInt32)] = []
            for _ in 0..<8 {
                let client = try await worker.connect(as: ann)
                clients.append((client, client.add("test:countedUser", ["userId": ben.id.json])))
            }
            for (client, query) in clients { try await client.wait(for: "Ben") { $0.value(query) == "Ben" ? true : nil } }
            let before = counter.runs
            try await worker.sql("UPDATE users SET name = 'Benjamin' WHERE id = '\(ben.id.uuid)'")
            for (client, query) in clients { try await client.wait(for: "Benjamin") { $0.value(query) == "Benjamin" ? true : nil } }
            let runsForAll = counter.runs - before
            #expect(runsForAll == 1)

            for (client, query) in clients { client.remove(query) }
            for (client, _) in clients { try await client.wait(for: "the removal") { $0.version.querySet == 2 ? true : nil } }
            let afterRemoval = counter.runs
            let watcher = clients[0].0
            let user = watcher.add("users:getProfile", ["userId": ben.id.json])
            try await watcher.wait(for: "the profile") { $0.value(user) }
            try await worker.sql("UPDATE users SET name = 'Ben' WHERE id = '\(ben.id.uuid)'")
            try await watcher.wait(for: "the change") { $0.value(user)?["name"] == "Ben" ? true : nil }
            #expect(counter.runs == afterRemoval)
            for (client, _) in clients { client.cut() }
            try await eventually("nothing is left of the sockets") {
                let health = try await worker.health()
                return health["sockets"] == 0 && health["liveQueries"] == 0
            }
        }
    }

    @Test("when the feed is lost everything is run again, and later changes are seen")
    func lostFeed() async throws {
        try await withTestWorker(configure: { $0.live.missedInvalidation = nil }) { worker in
            let ann = try await worker.signUp("Ann")
            let ben = try await worker.signUp("Ben")
            let conversation = try await worker.conversation(ann, ben)
            let client = try await worker.connect(as: ann)
            let list = client.add("messages:list", ["conversationId": conversation.json])
            try await client.wait(for: "the list") { $0.value(list) }
            for number in 0..<3 {
                try await eventually("the feed is connected") { try await worker.health()["feed"] == "connected" }
                // The commit and the feed's end together: nobody tells of it.
                try await worker.sql(
                    """
                    WITH ended AS (
                        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE datname = current_database() AND application_name = 'attune-api feed'
                    )
                    INSERT INTO messages (conversation_id, sender_id, recipient_id, content)
                    SELECT '\(conversation.uuid)', '\(ben.id.uuid)', '\(ann.id.uuid)', 'during \(number) ' || count(*) FROM ended
                    """)
                try await client.wait(for: "the message") { $0.contents(list)?.first == "during \(number) 1" ? true : nil }
                let send = client.mutate("messages:send", ["content": "mine \(number)", "recipientId": ben.id.json])
                try await client.wait(for: "my own") { (state) -> Bool? in
                    guard let commit = state.commit(send), state.version.timestamp >= commit else { return nil }
                    return state.contents(list)?.first == "mine \(number)" ? true : nil
                }
            }
            try await eventually("the feed is connected") { try await worker.health()["feed"] == "connected" }
            try await worker.insertMessage("after", from: ben, to: ann)
            try await client.wait(for: "the message") { $0.contents(list)?.first == "after" ? true : nil }
        }
    }

    @Test("a worker without sockets keeps no commits")
    func noSockets() async throws {
        try await withTestWorker { worker in
            let ann = try await worker.signUp("Ann")
            let ben = try await worker.signUp("Ben")
            // Its sign-in is remembered by the worker, and forgotten by what the feed tells.
            let answer = try await worker.call(.query, "auth:getCurrentUser", token: ann.token)
            #expect(answer.value?["name"] == "Ann")
            try await worker.insertMessage("unseen", from: ben, to: ann)
            try await worker.sql("UPDATE sessions SET ended_at = now() WHERE id = '\(ann.sessionID.uuid)'")
            try await eventually("the session is over") {
                try await worker.call(.query, "auth:getCurrentUser", token: ann.token).status == 401
            }
            let client = try await worker.connect(as: ben)
            let list = client.add("messages:listConversations")
            let value = try await client.wait(for: "the list") { $0.value(list) }
            #expect(value["page"]?[0]?["lastMessage"]?["content"] == "unseen")
        }
    }

    @Test("what the domain calls published is what the catalog publishes", .scratchDatabase)
    func publication() async throws {
        let database = ScratchDatabase.current.makeClient()
        let rows = try await database.read(
            Statement(
                "test.publication",
                """
                SELECT tablename::text, attname::text
                FROM pg_publication_tables, unnest(attnames) AS attname
                WHERE pubname = 'attune'
                """)())
        var published: [String: Set<String>] = [:]
        for row in rows { published[try row.decode(0, as: String.self), default: []].insert(try row.decode(1, as: String.self)) }
        var expected: [String: Set<String>] = [:]
        for table in FeedTable.allCases { expected[table.rawValue] = Set(table.keys.map(\.rawValue)) }
        for (table, columns) in expected {
            let missing = columns.subtracting(published[table] ?? [])
            #expect(missing.isEmpty, "\(table) does not publish all its keys")
        }
        // Tables with many changes are not published: their triggers announce them as a whole.
        #expect(Set(published.keys).union(["security_events", "user_activity"]) == Set(expected.keys))
    }
}

/// A query that counts how often it runs.
private final class Counted: Sendable {
    private let count = Mutex(0)
    var runs: Int { count.withLock { $0 } }

    var function: FunctionDefinition {
        .query(
            "test:countedUser", "A user's name.", access: .anyone, arguments: Arguments(.required("userId", UserID.self)),
            returns: String.self
        ) { context, userID in
            self.count.withLock { $0 += 1 }
            return try await context.rows(Self.find(userID), reading: .user(userID))[0].decode(0)
        }
    }

    private static let find = Statement("test.counted", "SELECT name FROM users WHERE id = $1")
}

/// On clusters of their own: what they do would hold up the other tests.
@Suite("Commits that are not there yet", .serialized, .timeLimit(.minutes(5)))
struct VisibilityTests {
    @Test("a commit that is decoded but not visible is shown when it is visible, and nothing of it before")
    func waitingForStandby() async throws {
        try await withWatchedConversation { worker, ann, ben, conversation, client, list in
            try await worker.waitForStandby("nobody")
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await worker.insertMessage("held back", from: ben, to: ann) }
                try await worker.waitForHeldCommit()
                // Every new question is answered, from before the commit.
                for number in 2...5 {
                    client.modify([])
                    let state = try await client.wait(for: "an answer") { $0.version.querySet == UInt32(number) ? $0 : nil }
                    #expect(state.contents(list) == [])
                }
                let held = client.state.version.timestamp
                // Statements that commit nothing do not wait.
                try await worker.waitForStandby(nil)
                let state = try await client.wait(for: "the message") { $0.contents(list) == ["held back"] ? $0 : nil }
                #expect(state.version.timestamp > held)
                try await group.waitForAll()
            }
        }
    }

    @Test("while a snapshot would show a later commit without an earlier one, nothing is shown")
    func noGaps() async throws {
        try await withWatchedConversation(runsUntouched: false) { worker, ann, ben, conversation, client, list in
            try await worker.waitForStandby("nobody")
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await worker.insertMessage("earlier", from: ben, to: ann) }
                try await worker.waitForHeldCommit()
                // This one waits for no standby, and is visible at once.
                try await worker.sql(
                    """
                    WITH setting AS (SELECT set_config('synchronous_commit', 'local', true))
                    INSERT INTO messages (conversation_id, sender_id, recipient_id, content)
                    SELECT '\(conversation.uuid)', '\(ben.id.uuid)', '\(ann.id.uuid)', 'later' FROM setting
                    """)
                let attempts = Mutex(Set<String>())
                try await eventually("ticks look for a better snapshot") {
                    let latest = try await worker.sql(
                        "SELECT max(query_start)::text FROM pg_stat_activity WHERE application_name = 'attune-api ticks'")
                    let attempt: String = try latest[0].decode(0)
                    return attempts.withLock { $0.insert(attempt).inserted && $0.count > 5 }
                }
                let meanwhile = client.state.contents(list)
                #expect(meanwhile == [])
                try await worker.waitForStandby(nil)
                let contents = try await client.wait(for: "a message") { state in
                    state.contents(list).flatMap { $0.isEmpty ? nil : $0 }
                }
                #expect(contents == ["later", "earlier"])
                try await group.waitForAll()
            }
        }
    }

    @Test("a commit that snapshots see before the feed delivers it is shown in all queries at once")
    func visibleBeforeDelivered() async throws {
        try await withWatchedConversation(runsUntouched: false) { worker, ann, ben, conversation, client, list in
            let sender = try await worker.sql("SELECT pid::text FROM pg_stat_replication WHERE application_name = 'attune-api feed'")
            let pid = try #require(pid_t(try sender[0].decode(0, as: String.self)))
            kill(pid, SIGSTOP)
            defer { kill(pid, SIGCONT) }
            try await worker.insertMessage("undelivered", from: ben, to: ann)
            let before = client.state.version
            let inbox = client.add("messages:listConversations")
            // The tick has its snapshot when it asks for the log to be flushed, as it has waited for the feed some time.
            try await eventually("the tick waits for the feed") {
                try await worker.sql(
                    "SELECT count(*)::int::text FROM pg_stat_activity WHERE application_name = 'attune-api ticks' AND state = 'idle in transaction'"
                )[0].decode(0, as: String.self) != "0"
            }
            let after = client.state.version
            #expect(after == before)
            kill(pid, SIGCONT)
            let state = try await client.wait(for: "the inbox") { $0.value(inbox) == nil ? nil : $0 }
            #expect(state.value(inbox)?["page"]?[0]?["lastMessage"]?["content"] == "undelivered")
            #expect(state.contents(list) == ["undelivered"])
        }
    }

    @Test("a worker that starts during a long transaction polls meanwhile, and changes over")
    func longTransaction() async throws {
        try await withCluster { url in
            let client = PostgresClient(
                .init(connection: ConnectionSettings(connectionString: url, applicationName: "attune tests")), logger: .quiet)
            let (release, isReleased) = AsyncStream.makeStream(of: Void.self)
            let (begun, hasBegun) = AsyncStream.makeStream(of: Void.self)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await client.withTransaction { transaction in
                        // An id makes it a transaction that a new slot waits for.
                        _ = try await transaction.runScript("SELECT pg_current_xact_id()", name: "test")
                        hasBegun.yield()
                        for await _ in release { break }
                    }
                }
                for await _ in begun { break }
                defer { isReleased.yield() }
                try await withTestWorker(databaseURL: url, configure: { $0.live.missedInvalidation = nil }) { worker in
                    let ann = try await worker.signUp("Ann")
                    let ben = try await worker.signUp("Ben")
                    let conversation = try await worker.conversation(ann, ben)
                    let client = try await worker.connect(as: ann)
                    let list = client.add("messages:list", ["conversationId": conversation.json])
                    try await client.wait(for: "the list") { $0.value(list) }
                    let health = try await worker.health()
                    #expect(health["feed"] == "polling")
                    #expect(health["ready"] == true)
                    try await worker.insertMessage("while polling", from: ben, to: ann)
                    try await client.wait(for: "the message") { $0.contents(list)?.first == "while polling" ? true : nil }
                    let send = client.mutate("messages:send", ["content": "mine", "recipientId": ben.id.json])
                    try await client.wait(for: "the mutation") { (state) -> Bool? in
                        guard let commit = state.commit(send) else { return nil }
                        return state.version.timestamp >= commit && state.contents(list)?.first == "mine" ? true : nil
                    }
                    isReleased.yield()
                    try await eventually("the feed is connected") { try await worker.health()["feed"] == "connected" }
                    try await worker.insertMessage("after", from: ben, to: ann)
                    try await client.wait(for: "the message") { $0.contents(list)?.first == "after" ? true : nil }
                }
                try await group.waitForAll()
            }
            await client.close()
        }
    }

    /// A worker on a cluster of its own, and Ann, who watches her conversation with Ben.
    ///
    /// - Parameter runsUntouched: run all queries at every tick, and report those that change untouched.
    private func withWatchedConversation(
        runsUntouched: Bool = true,
        _ body: @Sendable (TestWorker, _ ann: TestUser, _ ben: TestUser, ConversationID, SyncClient, _ list: UInt32) async throws -> Void
    ) async throws {
        try await withCluster { url in
            try await withTestWorker(
                databaseURL: url, configure: { if !runsUntouched { $0.live.missedInvalidation = nil } }
            ) { worker in
                let ann = try await worker.signUp("Ann")
                let ben = try await worker.signUp("Ben")
                let conversation = try await worker.conversation(ann, ben)
                let client = try await worker.connect(as: ann)
                let list = client.add("messages:list", ["conversationId": conversation.json])
                try await client.wait(for: "the list") { $0.value(list) }
                try await eventually("the feed is connected") { try await worker.health()["feed"] == "connected" }
                try await body(worker, ann, ben, conversation, client, list)
            }
        }
    }

    /// A cluster with the schema, for one test.
    private func withCluster(_ body: @Sendable (_ url: String) async throws -> Void) async throws {
        let path = "/tmp/attune-test-\(UUID().uuidString.prefix(8))"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let cluster = try await PrivateCluster(in: try DataDirectory(path))
        try await cluster.start()
        // As the cluster's own superuser, who may change its settings.
        let url = try ClusterFiles(dataDirectory: path).connectionString(user: "postgres", database: "attune")
        let outcome: Result<Void, any Error>
        do {
            let client = PostgresClient(
                .init(connection: ConnectionSettings(connectionString: url, applicationName: "attune tests")), logger: .quiet)
            _ = try await Migrator(client: client, logger: .quiet).up()
            await client.close()
            outcome = .success(try await body(url))
        } catch {
            outcome = .failure(error)
        }
        await cluster.stop(.immediate)
        try outcome.get()
    }
}

extension TestWorker {
    /// Waits until a commit waits for a standby.
    fileprivate func waitForHeldCommit() async throws {
        try await eventually("a commit waits") {
            try await self.sql("SELECT count(*)::int::text FROM pg_stat_activity WHERE wait_event = 'SyncRep'")[0]
                .decode(0, as: String.self) != "0"
        }
    }

    /// Makes every commit wait for a standby of that name; nil: for none.
    fileprivate func waitForStandby(_ name: String?) async throws {
        try await sql("ALTER SYSTEM SET synchronous_standby_names = '\(name ?? "")'")
        try await sql("SELECT pg_reload_conf()")
        try await eventually("the setting is read") {
            try await self.sql("SHOW synchronous_standby_names")[0].decode(0, as: String.self) == name ?? ""
        }
    }
}
