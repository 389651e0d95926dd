import API
import Foundation
import TestSupport
import Testing
import Wire
import WorkerTestSupport

@Suite("Limits of sockets", .timeLimit(.minutes(3)))
struct LimitTests {
    @Test("a socket for which there is no room is refused with 503, and there is room when another one has gone")
    func sockets() async throws {
        try await withTestWorker(configure: { $0.server.limits.sockets = 1 }) { worker in
            let first = try await worker.connect()
            await #expect(throws: SyncClient.UpgradeRefused.self) { try await worker.openSocket() }
            let answer = try await worker.request(
                .GET, "/api/1.45.0/sync",
                headers: [
                    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
                ])
            #expect(answer.status == 503)
            #expect(answer.json?["code"] == "TooManyConcurrentRequests")
            first.cut()
            try await eventually("room for a socket") { (try? await worker.openSocket()) != nil }
        }
    }

    @Test("a socket with too many mutations waiting is closed")
    func mutations() async throws {
        try await withTestWorker(configure: { $0.live.maximumMutationsPerSocket = 3 }) { worker in
            let client = try await worker.connect(as: try await worker.signUp("Ann"))
            for _ in 0..<100 { client.mutate("users:updateProfile", ["bio": "mine"]) }
            try await client.waitForClose()
            #expect(client.state.closeFrame?.reason == "TooManyConcurrentMutations")
        }
    }

    @Test("when too many mutations wait in the whole worker, who sends more is told to come again later")
    func allMutations() async throws {
        try await withTestWorker(configure: { $0.live.maximumMutations = 3 }) { worker in
            let client = try await worker.connect(as: try await worker.signUp("Ann"))
            for _ in 0..<100 { client.mutate("users:updateProfile", ["bio": "mine"]) }
            try await client.waitForClose()
            #expect(client.state.closeFrame?.reason == "TooManyConcurrentRequests")
            // What it had waiting is not counted any more.
            let other = try await worker.connect(as: try await worker.signUp("Ben"))
            for number in 0..<5 {
                let request = other.mutate("users:updateProfile", ["bio": "\(number)"])
                try await other.wait(for: "the mutation") { $0.responses[request] }
            }
        }
    }

    @Test("a socket with too many actions under way is closed")
    func actions() async throws {
        try await withTestWorker(configure: { $0.live.maximumActionsPerSocket = 2 }) { worker in
            let client = try await worker.connect()
            let params: JSON = ["flow": "signIn", "email": "nobody@example.org", "password": "staple battery horse"]
            for _ in 0..<20 { client.act("auth:signIn", ["provider": "password", "params": params]) }
            try await client.waitForClose()
            #expect(client.state.closeFrame?.reason == "TooManyConcurrentRequests")
        }
    }

    @Test("a socket that watches too many queries is closed, also when all sockets together do", arguments: [true, false])
    func queries(ofOneSocket: Bool) async throws {
        try await withTestWorker { configuration in
            if ofOneSocket { configuration.live.maximumQueriesPerSocket = 2 } else { configuration.live.maximumQueries = 2 }
        } _: { worker in
            let client = try await worker.connect(as: try await worker.signUp("Ann"))
            let queries = ["a", "b"].map { client.add("users:search", ["query": $0]) }
            try await client.wait(for: "two queries") { state in queries.allSatisfy { state.value($0) != nil } ? true : nil }
            _ = client.add("users:search", ["query": "c"])
            try await client.waitForClose()
            #expect(client.state.closeFrame?.code == 1013)
            #expect(client.state.closeFrame?.reason == "SubscriptionsWorkerFullError")
        }
    }

    @Test("a client that reads nothing for too long is given up, and told so if it reads again")
    func pause() async throws {
        try await withTestWorker { configuration in
            configuration.server.limits.pingInterval = .milliseconds(50)
            configuration.server.limits.readingPause = .milliseconds(400)
        } _: { worker in
            let (client, list) = try await unreadList(worker)
            try await eventually("the socket has gone") { try await worker.health()["sockets"] == 0 }
            try await client.setReads(true)
            try await client.waitForClose()
            #expect(client.state.closeFrame?.reason == "ExpiredInQueue")
            // What was on its way comes whole.
            #expect(client.state.contents(list)?.count == 600)
        }
    }

    @Test("a client for which too much waits is given up when more comes")
    func bytes() async throws {
        try await withTestWorker(configure: { $0.server.limits.unreadBytes = 1 << 20 }) { worker in
            let (client, _) = try await unreadList(worker)
            // Small answers, for which it does not read either.
            for number in 0... {
                client.act("auth:signOut", [:])
                let isGone = try await worker.health()["sockets"] == 0
                if isGone || number > 1000 { break }
            }
            try await client.setReads(true)
            try await client.waitForClose()
            #expect(client.state.closeFrame?.reason == "ExpiredInQueue")
        }
    }

    @Test("a client that paused and reads again gets what has changed meanwhile in few Transitions")
    func slowReader() async throws {
        try await withTestWorker { worker in
            let (client, _) = try await unreadList(worker)
            let carl = try await worker.signUp("Carl")
            let search = client.add("users:search", ["query": "Carl"])
            for number in 0..<50 {
                _ = try await worker.call(.mutation, "users:updateProfile", ["bio": "\(number)"], token: carl.token)
            }
            let before = client.state.transitions.count
            try await client.setReads(true)
            try await client.wait(for: "the last change") { $0.value(search)?[0]?["bio"] == "49" ? true : nil }
            #expect(client.state.transitions.count - before < 10)
        }
    }

    /// A client that has asked for more than the kernel takes for it, and does not read.
    private func unreadList(_ worker: TestWorker) async throws -> (SyncClient, UInt32) {
        let ann = try await worker.signUp("Ann")
        let ben = try await worker.signUp("Ben")
        let conversation = try await worker.conversation(ann, ben)
        try await worker.sql(
            """
            INSERT INTO messages (conversation_id, sender_id, recipient_id, content)
            SELECT '\(conversation.uuid)', '\(ann.id.uuid)', '\(ben.id.uuid)', repeat('é', 8192) FROM generate_series(1, 600)
            """)
        let client = try await worker.connect(as: ben)
        let first = client.add("users:search", ["query": "Ann"])
        try await client.wait(for: "a first answer") { $0.value(first) }
        try await client.setReads(false)
        let arguments: JSON = ["conversationId": conversation.json, "paginationOpts": ["numItems": 600, "cursor": .null]]
        let list = client.add("messages:list", arguments)
        try await eventually("the list is watched") { try await worker.liveQueries() >= 2 }
        return (client, list)
    }
}
