import Development
import Foundation
import Synchronization
import TestSupport
import Testing
import Wire
import WorkerTestSupport

@Suite("Workers behind nginx", .timeLimit(.minutes(3)))
struct RollingRestartTests {
    @Test("a restart of all workers, one after the other and under load, fails no request, and loses and doubles no message")
    func rollingRestart() async throws {
        try await withInstallation(workers: 3) { installation in
            let front = installation.front
            let ann = try await front.signUp("Ann")
            let ben = try await front.signUp("Ben")
            let load = Load()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<4 { group.addTask { try await call(front, from: ann, to: ben, "call \(number)", load) } }
                for number in 0..<4 { group.addTask { try await talk(front, from: ann, to: ben, "socket \(number)", load) } }
                for worker in installation.workers.indices {
                    try await load.grows()
                    let exit = await installation.stop(worker)
                    #expect(exit == .code(0))
                    try await load.grows()
                    try await installation.start(worker)
                }
                load.stop()
                try await group.waitForAll()
            }
            #expect(load.failures == [])
            #expect(Set(load.closeReasons) == ["1001 WorkerStops"])
            let stored = try await front.sql("SELECT content FROM messages").map { try $0.decode(0, as: String.self) }
            #expect(stored.sorted() == load.acknowledged.sorted())
        }
    }

    /// Queries and mutations over HTTP, in turn.
    private func call(_ front: TestWorker, from ann: TestUser, to ben: TestUser, _ name: String, _ load: Load) async throws {
        for number in 0... {
            let content = "\(name) \(number)"
            let message: JSON = ["content": .string(content), "recipientId": .string("\(ben.id)")]
            let sent = try? await front.call(.mutation, "messages:send", message, token: ann.token)
            if sent?.value == nil { load.fail("mutation: \(sent?.status ?? 0) \(sent?.text ?? "")") } else { load.acknowledge(content) }
            let list = try? await front.call(.query, "messages:listConversations", token: ann.token)
            if list?.value == nil { load.fail("query: \(list?.status ?? 0) \(list?.text ?? "")") }
            if load.isOver { return }
        }
    }

    /// Mutations over a socket, one after the other, which come back after each disconnection as a page's do.
    private func talk(_ front: TestWorker, from ann: TestUser, to ben: TestUser, _ name: String, _ load: Load) async throws {
        let sessionID = UUID().uuidString.lowercased()
        var next: UInt32 = 0
        var observed: UInt64 = 0
        var connections = 0
        while !load.isOver {
            let client = try await front.openSocket()
            client.connect(sessionID: sessionID, connectionCount: connections, maxObserved: observed)
            client.authenticate(ann.token)
            _ = client.add("messages:listConversations")
            connections += 1
            do {
                while !load.isOver {
                    let content = "\(name) \(next)"
                    let message: JSON = ["content": .string(content), "recipientId": .string("\(ben.id)")]
                    let request = client.mutate("messages:send", message, requestID: next)
                    observed = try await client.wait(for: "the mutation's Transition") { state in
                        state.commit(request).flatMap { state.version.timestamp >= $0 ? state.version.timestamp : nil }
                    }
                    load.acknowledge(content)
                    next += 1
                }
            } catch {
                let state = client.state
                guard state.isClosed, let frame = state.closeFrame else { return load.fail("socket: \(error)") }
                // Closed only with all that the client waited for.
                if let position = state.commit(next) {
                    if state.version.timestamp < position { load.fail("socket: a response, and no Transition") }
                }
                load.note(closeReason: "\(frame.code ?? 0) \(frame.reason)")
                observed = max(observed, state.version.timestamp)
            }
        }
    }

    @Test("a worker that stops and refuses connections still answers a call on one that nginx has kept, and then ends")
    func keptConnection() async throws {
        try await withInstallation(workers: 1) { installation in
            let ann = try await installation.front.signUp("Ann")
            let before = try await installation.front.call(.query, "messages:listConversations", token: ann.token)
            #expect(before.status == 200)
            async let exit = installation.stop(0)
            try await eventually("refusal") { (try? await installation.workers[0].request(.GET, "/version")) == nil }
            let after = try await installation.front.call(.mutation, "users:updateProfile", ["bio": "still here"], token: ann.token)
            #expect(after.status == 200)
            #expect(await exit == .code(0))
            let late = try await installation.front.call(.query, "messages:listConversations", token: ann.token)
            #expect(late.status == 502)
        }
    }

    @Test("a socket opens on a connection that nginx has used for calls")
    func upgradeAfterCalls() async throws {
        try await withInstallation(workers: 1) { installation in
            let ann = try await installation.front.signUp("Ann")
            for _ in 0..<5 {
                let answer = try await installation.front.call(.query, "messages:listConversations", token: ann.token)
                #expect(answer.status == 200)
                let client = try await installation.front.connect(as: ann)
                let list = client.add("messages:listConversations")
                try await client.wait(for: "the conversations") { $0.value(list) }
            }
        }
    }

    @Test("a page that was fixed on one worker is the same range on another, and the next page still begins where it ends")
    func pagesElsewhere() async throws {
        try await withInstallation(workers: 2) { installation in
            let (first, second) = (installation.workers[0], installation.workers[1])
            let ann = try await first.signUp("Ann")
            let ben = try await first.signUp("Ben")
            for number in 1...6 { try await first.insertMessage("\(number)", from: ann, to: ben) }
            let conversation = try await first.conversation(ann, ben)
            func page(_ cursor: JSON) -> JSON {
                ["conversationId": .string("\(conversation)"), "paginationOpts": ["numItems": 2, "cursor": cursor]]
            }
            let client = try await first.connect(as: ben)
            let upper = client.add("messages:list", page(.null))
            let cursor = try await client.wait(for: "the first page") { $0.value(upper) }["continueCursor"] ?? .null
            let lower = client.add("messages:list", page(cursor))
            try await client.wait(for: "the second page") { $0.value(lower) }
            let before = client.state
            #expect((before.contents(upper) ?? []) + (before.contents(lower) ?? []) == ["6", "5", "4", "3"])

            _ = await installation.stop(0)
            for number in 7...8 { try await second.insertMessage("\(number)", from: ann, to: ben) }
            let again = try await second.openSocket()
            again.connect(sessionID: UUID().uuidString.lowercased(), connectionCount: 1, maxObserved: before.version.timestamp)
            again.authenticate(ben.token)
            for (query, cursor) in [(upper, JSON.null), (lower, cursor)] {
                #expect(again.newQueryID() == query)
                let journal = before.results[query]?["journal"]?.stringValue
                #expect(journal != nil)
                again.modify([SyncClient.add(query, "messages:list", page(cursor), journal: journal)])
            }
            let after = try await again.wait(for: "both pages") { $0.value(upper) != nil && $0.value(lower) != nil ? $0 : nil }
            #expect(after.contents(upper) == ["8", "7", "6", "5"])
            #expect(after.contents(lower) == ["4", "3"])
            let reached = try #require(SyncClient.Version(after.transitions[0]["endVersion"])).timestamp
            #expect(reached >= before.version.timestamp)
        }
    }

    @Test("a socket for which one worker has no room is taken to the next")
    func nextWorker() async throws {
        try await withInstallation(workers: 2, environment: ["ATTUNE_MAX_SOCKETS": "1"]) { installation in
            var clients: [SyncClient] = []
            for _ in installation.workers { clients.append(try await installation.front.openSocket()) }
            await #expect(throws: SyncClient.UpgradeRefused.self) { try await installation.front.openSocket() }
            let closed = clients.filter { $0.state.isClosed }.count
            #expect(closed == 0)
        }
    }

    @Test("when a worker is killed, all its clients find what they watch on the others")
    func storm() async throws {
        try await withInstallation(workers: 3) { installation in
            let ann = try await installation.front.signUp("Ann")
            let ben = try await installation.front.signUp("Ben")
            try await installation.front.insertMessage("hello", from: ben, to: ann)
            @Sendable func watch(at place: TestWorker, maxObserved: UInt64? = nil) async throws -> SyncClient {
                let client = try await place.openSocket()
                client.connect(sessionID: UUID().uuidString.lowercased(), maxObserved: maxObserved)
                client.authenticate(ann.token)
                let list = client.add("messages:listConversations")
                try await client.wait(for: "the conversations") { $0.value(list) }
                return client
            }
            // All on one worker.
            let clients = try await withThrowingTaskGroup(of: SyncClient.self) { group in
                for _ in 0..<300 { group.addTask { try await watch(at: installation.workers[0]) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            _ = await installation.stop(0, SIGKILL)
            let later = try await withThrowingTaskGroup(of: SyncClient.self) { group in
                for client in clients {
                    group.addTask {
                        try await client.waitForClose()
                        return try await watch(at: installation.front, maxObserved: client.state.version.timestamp)
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            try await installation.front.insertMessage("and again", from: ben, to: ann)
            for client in later {
                try await client.wait(for: "the change") { state in
                    state.value(0)?["page"]?[0]?["lastMessage"]?["content"] == "and again" ? true : nil
                }
            }
        }
    }
}

/// What several clients have done so far.
private final class Load: Sendable {
    private struct State {
        var isOver = false
        var acknowledged: [String] = []
        var failures: [String] = []
        var closeReasons: [String] = []
    }
    private let state = Mutex(State())

    var isOver: Bool { state.withLock { $0.isOver } }
    var acknowledged: [String] { state.withLock { $0.acknowledged } }
    var failures: [String] { state.withLock { $0.failures } }
    var closeReasons: [String] { state.withLock { $0.closeReasons } }

    func stop() { state.withLock { $0.isOver = true } }
    func acknowledge(_ content: String) { state.withLock { $0.acknowledged.append(content) } }
    func note(closeReason: String) { state.withLock { $0.closeReasons.append(closeReason) } }

    func fail(_ reason: String) { state.withLock { $0.failures.append(reason) } }

    /// Waits until another 40 messages are acknowledged, or something has failed.
    func grows() async throws {
        let before = acknowledged.count
        try await eventually("progress") { acknowledged.count >= before + 40 || !failures.isEmpty }
    }
}
