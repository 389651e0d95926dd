import Domain
import Foundation
import Testing
import Wire
import WorkerTestSupport

extension ID {
    var json: JSON { .string("\(self)") }
}

/// Numbers in comments are those of the invariants in convex-protocol.md, section 9. That each Transition starts where the
/// last one ended, that timestamps stay below 2⁶³ and never go down, and that responses come once and before the Transitions
/// that cover them (1, 2, 3, 9, 14, 15, 16, 38), is what SyncClient checks in every test.
@Suite("The sync socket", .timeLimit(.minutes(3)))
struct SocketTests {
    // 1, 5, 7
    @Test("sign-in and first queries are answered by one Transition, from zero")
    func opening() async throws {
        try await withTestWorker { worker in
            let ann = try await worker.signUp("Ann")
            let client = try await worker.connect(as: ann)
            let user = client.add("auth:getCurrentUser")
            let list = client.add("messages:listConversations")
            let state = try await client.wait(for: "both queries") { state in
                state.version.querySet == 2 ? state : nil
            }
            #expect(state.value(user)?["name"] == "Ann")
            #expect(state.value(list)?["page"] == [])
            #expect(state.version.identity == 1)
            // Whether the second ModifyQuerySet had arrived in time is chance; that the identity came with the first is not.
            let first = state.transitions[0]
            #expect(first["startVersion"]?["ts"] == "AAAAAAAAAAA=")
            #expect(first["endVersion"]?["identity"] == 1)
            #expect(state.results[user]?["journal"] == .null)
            #expect(state.results[list]?["journal"]?.stringValue != nil)
        }
    }

    // 3.1 of the protocol
    @Test("the socket is found at both addresses, and nowhere else")
    func handshakes() async throws {
        try await withTestWorker { worker in
            for handshake in [SyncClient.Handshake.javaScript("1.45.0"), .javaScript("1.0.0-alpha.1"), .python] {
                let client = try await worker.connect(handshake)
                let user = client.add("auth:getCurrentUser")
                let value = try await client.wait(for: "an answer") { $0.value(user) }
                #expect(value == .null)
            }
            await #expect(throws: SyncClient.UpgradeRefused.self) { try await worker.openSocket(.javaScript("newest")) }
        }
    }

    // 4, 5
    @Test("every change of query set or identity is answered, also an empty one")
    func emptyChanges() async throws {
        try await withTestWorker { worker in
            let client = try await worker.connect()
            client.modify([])
            try await client.wait(for: "an empty query set") { $0.version.querySet == 1 ? true : nil }
            client.authenticate(nil)
            try await client.wait(for: "no identity") { $0.version.identity == 1 ? true : nil }
            client.modify([])
            let state = try await client.wait(for: "an empty change") { $0.version.querySet == 2 ? $0 : nil }
            #expect(state.transitions.allSatisfy { $0["modifications"] == [] })
        }
    }

    // 39
    @Test("a query may be removed right after it was added")
    func addAndRemove() async throws {
        try await withTestWorker { worker in
            let client = try await worker.connect()
            let query = client.add("auth:getCurrentUser")
            client.remove(query)
            let state = try await client.wait(for: "both changes") { $0.version.querySet == 2 ? $0 : nil }
            #expect(state.results[query] == nil)
            #expect(!state.isClosed)
        }
    }

    // 37
    @Test("unknown events and fields are ignored")
    func unknownThings() async throws {
        try await withTestWorker { worker in
            let client = try await worker.openSocket()
            client.send(["type": "Event", "eventType": "BeforeConnect", "event": .null])
            client.send([
                "type": "Connect", "sessionId": "0198c0de-0000-4000-8000-000000000001", "connectionCount": 0, "lastCloseReason": .null,
                "clientTs": 0, "mood": "fine",
            ])
            client.send(["type": "Event", "eventType": "NetworkRecoveryReconnect", "event": ["timeSavedMs": 12]])
            client.send(["type": "Event", "eventType": "Dreamt", "event": ["of": ["sheep"]]])
            client.modify([SyncClient.add(0, "auth:getCurrentUser", [:]), ["type": "Remove", "queryId": 0, "reason": "none"]])
            client.send(["type": "Event", "eventType": "Woke", "event": .null])
            try await client.wait(for: "an answer") { $0.version.querySet == 1 ? true : nil }
        }
    }

    // 2, and 3.4 of the protocol
    @Test("the first Transition is at or past what the client has seen elsewhere")
    func maximumObserved() async throws {
        try await withTestWorker { worker in
            // Written now, so known to the worker in a moment at most.
            try await worker.sql("CREATE TABLE scratch (number bigint)")
            let observed = LogPosition(try await worker.sql("SELECT pg_current_wal_insert_lsn()::text")[0].decode(0, as: String.self))!
            let client = try await worker.openSocket()
            client.connect(sessionID: UUID().uuidString, maxObserved: observed.rawValue)
            let user = client.add("auth:getCurrentUser")
            let state = try await client.wait(for: "an answer") { $0.results[user] == nil ? nil : $0 }
            #expect(state.version.timestamp >= observed.rawValue)

            let absurd = try await worker.openSocket()
            absurd.connect(sessionID: UUID().uuidString, maxObserved: 1 << 63)
            try await absurd.waitForClose()
            #expect(absurd.state.closeFrame?.reason == "InternalServerError")
        }
    }

    // 22
    @Test("a client's close frame is answered at once, with its code")
    func closing() async throws {
        try await withTestWorker { worker in
            let client = try await worker.connect()
            client.sendClose(code: 1000)
            try await client.waitForClose()
            #expect(client.state.closeFrame?.code == 1000)
        }
    }

    /// What no stock client sends.
    static let violations: [String] = [
        "{", "[]", #"{"type":"Hello"}"#, #"{"type":"Connect"}"#,
        #"{"type":"Mutation","requestId":0.5,"udfPath":"messages:send","args":[{}]}"#,
        #"{"type":"ModifyQuerySet","baseVersion":7,"newVersion":8,"modifications":[]}"#,
        #"{"type":"ModifyQuerySet","baseVersion":0,"newVersion":0,"modifications":[]}"#,
        #"{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":[{"type":"Remove","queryId":9}]}"#,
        #"{"type":"Authenticate","baseVersion":3,"tokenType":"None"}"#,
    ]

    // 23
    @Test("a protocol violation closes that socket with a reason from which clients recover", arguments: violations)
    func violation(_ text: String) async throws {
        try await withTestWorker { worker in
            let bystander = try await worker.connect()
            let user = bystander.add("auth:getCurrentUser")
            try await bystander.wait(for: "an answer") { $0.results[user] }
            let client = try await worker.connect()
            client.send(text: text)
            try await client.waitForClose()
            let state = client.state
            #expect(state.closeFrame?.reason == "InternalServerError")
            #expect(state.last("FatalError") == nil)
            bystander.modify([])
            try await bystander.wait(for: "life to go on") { $0.version.querySet == 2 ? true : nil }
        }
    }

    @Test("a binary frame, and a second query of the same id, are violations too")
    func moreViolations() async throws {
        try await withTestWorker { worker in
            let binary = try await worker.connect()
            binary.sendBinary([1, 2, 3])
            try await binary.waitForClose()
            #expect(binary.state.closeFrame?.reason == "InternalServerError")
            let twice = try await worker.connect()
            twice.modify([SyncClient.add(4, "auth:getCurrentUser", [:]), SyncClient.add(4, "auth:getCurrentUser", [:])])
            try await twice.waitForClose()
            #expect(twice.state.closeFrame?.reason == "InternalServerError")
        }
    }

    @Test("a query that cannot be asked fails alone")
    func badQueries() async throws {
        try await withTestWorker { worker in
            let client = try await worker.connect()
            let unknown = client.add("nothing:here")
            let wrongKind = client.add("messages:send")
            let wrongArguments = client.add("auth:getCurrentUser", ["x": 1])
            let good = client.add("auth:getCurrentUser")
            let state = try await client.wait(for: "all four") { $0.results.count == 4 ? $0 : nil }
            #expect(state.results[unknown]?["errorMessage"]?.stringValue?.contains("Could not find public function for 'nothing:here'.") == true)
            #expect(state.results[wrongKind]?["type"] == "QueryFailed")
            #expect(state.errorCode(wrongArguments) == "validation_error")
            #expect(state.value(good) == .null)
        }
    }

    // 6, 33
    @Test("after a reconnect every query is answered again, by whatever name it is asked for")
    func reconnecting() async throws {
        try await withTestWorker { worker in
            let ann = try await worker.signUp("Ann")
            for path in ["auth:getCurrentUser", "auth.js:getCurrentUser"] {
                let client = try await worker.connect(as: ann)
                let user = client.add(path)
                let value = try await client.wait(for: "the user") { $0.value(user) }
                #expect(value["name"] == "Ann")
                client.cut()
            }
        }
    }

    // 8, 40
    @Test("nothing is sent because others changed, and results that stay the same are not sent again")
    func silence() async throws {
        try await withTestWorker { worker in
            let ann = try await worker.signUp("Ann")
            let ben = try await worker.signUp("Ben")
            let client = try await worker.connect(as: ann)
            let user = client.add("auth:getCurrentUser")
            try await client.wait(for: "the user") { $0.value(user) }
            let other = try await worker.connect(as: ben)
            let otherUser = other.add("auth:getCurrentUser")
            try await other.wait(for: "the user") { $0.value(otherUser) }
            let count = client.state.transitions.count
            try await worker.sql("UPDATE users SET bio = 'new' WHERE id = '\(ben.id.uuid)'")
            try await other.wait(for: "the change") { $0.value(otherUser)?["bio"] == "new" ? true : nil }
            // Signing in again as the same person changes the identity's version and no result.
            client.authenticate(ann.token)
            let state = try await client.wait(for: "the identity") { $0.version.identity == 2 ? $0 : nil }
            #expect(state.transitions.count == count + 1)
            #expect(state.transitions.last?["modifications"] == [])
        }
    }

    // 38
    @Test("a large Transition comes in pieces to clients that know them, and whole to others")
    func chunks() async throws {
        try await withTestWorker { worker in
            let ann = try await worker.signUp("Ann")
            let ben = try await worker.signUp("Ben")
            let conversation = try await worker.conversation(ann, ben)
            try await worker.sql(
                """
                INSERT INTO messages (conversation_id, sender_id, recipient_id, content)
                SELECT '\(conversation.uuid)', '\(ann.id.uuid)', '\(ben.id.uuid)', repeat('é', 8192) FROM generate_series(1, 400)
                """)
            let arguments: JSON = ["conversationId": conversation.json, "paginationOpts": ["numItems": 400, "cursor": .null]]
            for (handshake, comesInPieces) in [
                (SyncClient.Handshake.javaScript("1.45.0"), true), (.javaScript("1.27.9"), false), (.python, false),
            ] {
                let client = try await worker.connect(as: ben, handshake)
                let list = client.add("messages:list", arguments)
                let state = try await client.wait(for: "the list") { $0.value(list) == nil ? nil : $0 }
                #expect(state.contents(list)?.count == 400)
                #expect((state.last("TransitionChunk") != nil) == comesInPieces)
            }
        }
    }
}
