import Domain
import Foundation
import TestSupport
import Testing
import Wire
import WorkerTestSupport

@Suite("Mutations over the socket", .timeLimit(.minutes(3)))
struct MutationTests {
    // 9, 10; the order of response and Transition is checked by SyncClient
    @Test("a mutation is followed by a Transition that covers it, also when nothing that is watched has changed")
    func covered() async throws {
        try await withTestWorker { worker in
            let ann = try await worker.signUp("Ann")
            let ben = try await worker.signUp("Ben")
            for handshake in [SyncClient.Handshake.javaScript("1.45.0"), .python] {
                let client = try await worker.connect(as: ann, handshake)
                let send = client.mutate("messages:send", ["content": "hello", "recipientId": ben.id.json])
                let state = try await client.wait(for: "the Transition") { state in
                    state.commit(send).flatMap { state.version.timestamp >= $0 ? state : nil }
                }
                #expect(state.responses[send]?["success"] == true)
            }
        }
    }

    // 9, 10, 12
    @Test(
        "many mutations of one socket run in order, and each is shown only after its response, with and without a feed",
        arguments: [SyncClient.Handshake.javaScript("1.45.0"), .python], [true, false])
    func load(_ handshake: SyncClient.Handshake, waitsForFeed: Bool) async throws {
        try await withTestWorker { worker in
            let ann = try await worker.signUp("Ann")
            let ben = try await worker.signUp("Ben")
            let conversation = try await worker.conversation(ann, ben)
            if waitsForFeed { try await eventually("the feed is connected") { try await worker.health()["feed"] == "connected" } }
            let client = try await worker.connect(as: ann, handshake)
            let list = client.add(
                "messages:list", ["conversationId": conversation.json, "paginationOpts": ["numItems": 500, "cursor": .null]])
            try await client.wait(for: "the empty list") { $0.value(list) }
            let requests = (0..<200).map { client.mutate("messages:send", ["content": "\($0)", "recipientId": ben.id.json]) }
            let state = try await client.wait(for: "all of them") { state in
                state.contents(list)?.count == 200 && state.responses.count == 200
                    && requests.allSatisfy { state.commit($0)! <= state.version.timestamp } ? state : nil
            }
            #expect(state.contents(list) == (0..<200).reversed().map(String.init))
            let commits = requests.compactMap(state.commit)
            #expect(commits == commits.sorted())
        }
    }

    // 11
    @Test("a failed mutation is followed by a Transition too")
    func failure() async throws {
        try await withTestWorker { worker in
            let ann = try await worker.signUp("Ann")
            let client = try await worker.connect(as: ann, .python)
            client.modify([])
            let before = try await client.wait(for: "the opening") { $0.version.querySet == 1 ? $0.transitions.count : nil }
            let send = client.mutate("messages:send", ["content": "", "recipientId": ann.id.json])
            let state = try await client.wait(for: "a Transition") { $0.transitions.count > before ? $0 : nil }
            #expect(state.responses[send]?["success"] == false)
            #expect(state.responses[send]?["errorData"]?["code"] == "validation_error")
            #expect(state.responses[send]?["ts"] == .null)
            let last = state.messages.last { $0["type"] != "Ping" }
            #expect(last?["type"] == "Transition")
        }
    }

    // 12
    @Test("a sign-in between two mutations takes effect between them")
    func identityBetween() async throws {
        try await withTestWorker { worker in
            let ann = try await worker.signUp("Ann")
            let ben = try await worker.signUp("Ben")
            let cem = try await worker.signUp("Cem")
            let client = try await worker.connect()
            let anonymous = client.mutate("messages:send", ["content": "nobody's", "recipientId": cem.id.json])
            client.authenticate(ann.token)
            let anns = client.mutate("messages:send", ["content": "Ann's", "recipientId": cem.id.json])
            client.authenticate(ben.token)
            let bens = client.mutate("messages:send", ["content": "Ben's", "recipientId": cem.id.json])
            let state = try await client.wait(for: "three responses") { $0.responses.count == 3 ? $0 : nil }
            #expect(state.responses[anonymous]?["errorData"]?["code"] == "unauthorized")
            #expect(state.responses[anns]?["success"] == true)
            #expect(state.responses[bens]?["success"] == true)
            let rows = try await worker.sql(
                "SELECT string_agg(users.name || ': ' || content, ', ' ORDER BY messages.id) FROM messages JOIN users ON users.id = sender_id")
            let sent = try rows[0].decode(0, as: String.self)
            #expect(sent == "Ann: Ann's, Ben: Ben's")
        }
    }

    // 13
    @Test("a mutation that is sent again after a reconnect happens once, and has the first result and timestamp")
    func repeated() async throws {
        try await withTestWorker { worker in
            let ann = try await worker.signUp("Ann")
            let ben = try await worker.signUp("Ben")
            let sessionID = UUID().uuidString.lowercased()
            let arguments: JSON = ["content": "once", "recipientId": ben.id.json]
            let first = try await worker.connect(as: ann, sessionID: sessionID)
            let request = first.mutate("messages:send", arguments)
            let response = try await first.wait(for: "the response") { $0.responses[request] }
            first.cut()
            for _ in 0..<2 {
                let again = try await worker.connect(as: ann, sessionID: sessionID)
                again.mutate("messages:send", arguments, requestID: request)
                let state = try await again.wait(for: "the response and its Transition") { state in
                    state.commit(request).flatMap { state.version.timestamp >= $0 ? state : nil }
                }
                #expect(state.responses[request]?["result"] == response["result"])
                #expect(state.responses[request]?["ts"] == response["ts"])
                again.cut()
            }
            // Somebody else with the same numbers gets nothing of hers.
            let stranger = try await worker.connect(as: ben, sessionID: sessionID)
            stranger.mutate("messages:send", arguments, requestID: request)
            let refusal = try await stranger.wait(for: "the refusal") { $0.responses[request] }
            #expect(refusal["success"] == false)
            #expect(refusal["errorData"]?["code"] == "conflict")
            let count = try await worker.sql("SELECT count(*)::text FROM messages")[0].decode(0, as: String.self)
            #expect(count == "1")
        }
    }

    // 13
    @Test("a repeat on two connections at once still happens once")
    func repeatedAtOnce() async throws {
        try await withTestWorker { worker in
            let ann = try await worker.signUp("Ann")
            let ben = try await worker.signUp("Ben")
            let sessionID = UUID().uuidString.lowercased()
            let arguments: JSON = ["content": "once", "recipientId": ben.id.json]
            var clients: [SyncClient] = []
            for _ in 0..<4 { clients.append(try await worker.connect(as: ann, sessionID: sessionID)) }
            for client in clients { client.mutate("messages:send", arguments, requestID: 7) }
            var results: Set<String> = []
            for client in clients {
                let response = try await client.wait(for: "the response") { $0.responses[7] }
                results.insert("\(response["result"]?.text ?? "") \(response["ts"]?.text ?? "")")
            }
            #expect(results.count == 1)
            let count = try await worker.sql("SELECT count(*)::text FROM messages")[0].decode(0, as: String.self)
            #expect(count == "1")
        }
    }

    // 2, 13
    @Test("another worker of the installation gives a repeated mutation's first result, and goes on where the first one was")
    func otherWorker() async throws {
        try await withTestWorker { first in
            let ann = try await first.signUp("Ann")
            let ben = try await first.signUp("Ben")
            let sessionID = UUID().uuidString.lowercased()
            let arguments: JSON = ["content": "once", "recipientId": ben.id.json]
            try await withTestWorker(databaseURL: first.databaseURL, dataFolder: first.dataFolder) { second in
                for worker in [first, second] {
                    try await eventually("the feeds are connected") { try await worker.health()["feed"] == "connected" }
                }
                let client = try await first.connect(as: ann, sessionID: sessionID)
                let request = client.mutate("messages:send", arguments)
                let before = try await client.wait(for: "the mutation") { state in
                    state.commit(request).flatMap { state.version.timestamp >= $0 ? state : nil }
                }
                client.cut()
                let again = try await second.openSocket()
                again.connect(sessionID: sessionID, connectionCount: 1, maxObserved: before.version.timestamp)
                again.authenticate(ann.token)
                let list = again.add("messages:listConversations")
                again.mutate("messages:send", arguments, requestID: request)
                let state = try await again.wait(for: "the repeat") { $0.responses[request] != nil && $0.value(list) != nil ? $0 : nil }
                #expect(state.responses[request]?["result"] == before.responses[request]?["result"])
                #expect(state.responses[request]?["ts"] == before.responses[request]?["ts"])
                #expect(state.value(list)?["page"]?[0]?["lastMessage"]?["content"] == "once")
                let firstEnd = SyncClient.Version(state.transitions[0]["endVersion"])
                #expect(firstEnd.map { $0.timestamp >= before.version.timestamp } == true)
            }
        }
    }

    // 28
    @Test("actions answer over the socket, in the caller's name")
    func actions() async throws {
        try await withTestWorker { worker in
            let ann = try await worker.signUp("Ann")
            let client = try await worker.connect(as: ann)
            let user = client.add("auth:getCurrentUser")
            try await client.wait(for: "the user") { $0.value(user) }
            let signOut = client.act("auth:signOut", [:])
            // The response, and the end of the session; which comes first is chance.
            try await client.wait(for: "the end") { $0.last("AuthError") != nil ? true : nil }
            try await client.waitForClose()
            let state = client.state
            if let response = state.responses[signOut] { #expect(response["success"] == true) }
            #expect(state.last("AuthError")?["authUpdateAttempted"] == false)
        }
    }
}
