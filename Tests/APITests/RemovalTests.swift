import Domain
import Foundation
import Postgres
import TestSupport
import Testing
import Wire
import WorkerTestSupport

@Suite("Removing users", .timeLimit(.minutes(5)))
struct RemovalTests {
    private static func remove(_ user: TestUser, as administrator: TestUser, on worker: TestWorker) async throws -> HTTPAnswer {
        try await worker.call(.mutation, "admin:removeUser", ["userId": "\(user.id)"], token: administrator.token)
    }

    private static func describe(_ user: TestUser, on worker: TestWorker) async throws {
        let answer = try await worker.call(
            .mutation, "users:updateProfile", ["bio": "Plays the cello", "avatarUrl": "https://example.org/ben.png"],
            token: user.token)
        guard answer.value != nil else { throw UnexpectedAnswer(answer: answer) }
    }

    @Test("whoever wrote with a removed user still reads it, and sees a removed user whom nobody can write to or find")
    func theOtherSide() async throws {
        try await withTestWorker { worker in
            let admin = try await worker.signUp("Ada", role: .admin)
            let (ana, ben) = (try await worker.signUp("Ana"), try await worker.signUp("Ben Removal", accountType: .therapist))
            try await Self.describe(ben, on: worker)
            try await worker.send("hello", from: ben, to: ana)
            try await worker.send("good morning", from: ana, to: ben)
            let socket = try await worker.connect(as: ana)
            let inbox = socket.add("messages:listConversations")
            let profile = socket.add("users:getProfile", ["userId": "\(ben.id)"])
            let search = socket.add("users:search", ["query": "removal"])
            try await socket.wait(for: "Ben") {
                $0.value(search)?[0]?["name"] == "Ben Removal" && $0.value(profile) != nil ? true : nil
            }

            let answer = try await Self.remove(ben, as: admin, on: worker)
            #expect(answer.value == .null, "\(answer.text)")
            let tombstone: JSON = ["_id": "\(ben.id)", "name": "Removed user", "role": "user"]
            let state = try await socket.wait(for: "what is left of him") { $0.value(search) == [] ? $0 : nil }
            for shown in [state.value(profile), state.value(inbox)?["page"]?[0]?["otherUser"]] {
                let createdAt = try #require(shown?["createdAt"])
                #expect(shown == tombstone.setting("createdAt", to: createdAt).setting("isRemoved", to: true))
            }
            let asAdmin = try await worker.value("users:getProfile", ["userId": "\(ben.id)"], as: admin)
            #expect(asAdmin.keys == ["_id", "name", "role", "createdAt", "isRemoved"])
            let conversation = try await worker.conversation(ana, ben)
            let messages = try await worker.value("messages:list", ["conversationId": "\(conversation)"], as: ana)
            #expect(messages["page"]?.arrayValue?.map { $0["content"] } == ["good morning", "hello"])
            let found = try await worker.value("users:search", ["query": "removed user"], as: ana)
            #expect(found == [])
            let refusal = try await worker.call(
                .mutation, "messages:send", ["content": "are you there?", "recipientId": "\(ben.id)"], token: ana.token)
            #expect(refusal.errorCode == "not_found")
            #expect(refusal.json?["errorMessage"]?.stringValue?.contains("There is no such user, or no longer.") == true)
        }
    }

    @Test("a removed user's sockets end on all workers, also those that do not recover; tokens and password are worth nothing")
    func sessionsEnd() async throws {
        try await withTestWorker { first in
            let admin = try await first.signUp("Ada", role: .admin)
            let email = "\(UUID().uuidString.lowercased())@example.org"
            let signUp = try await first.passwordFlow("signUp", email: email, password: "correct horse", name: "Ben")
            let refreshToken = try #require(signUp.value?["tokens"]?["refreshToken"])
            let token = try #require(signUp.value?["tokens"]?["token"]?.stringValue)
            let id = try #require(try await first.call(.query, "auth:getCurrentUser", token: token).value?["_id"])
            try await withTestWorker(databaseURL: first.databaseURL, dataFolder: first.dataFolder) { second in
                var sockets: [SyncClient] = []
                var queries: [UInt32] = []
                for worker in [first, second] {
                    try await eventually("the feeds are connected") {
                        try await worker.request(.GET, "/health/ready").json?["feed"] == "connected"
                    }
                    for handshake in [SyncClient.Handshake.javaScript("1.45.0"), .python] {
                        let socket = try await worker.connect(handshake)
                        socket.authenticate(token)
                        let query = socket.add("auth:getCurrentUser")
                        try await socket.wait(for: "the user") { $0.value(query)?["name"] == "Ben" ? true : nil }
                        sockets.append(socket)
                        queries.append(query)
                    }
                }
                // Over a socket of the other worker, and sent again on three more, as a client does that has lost its connection.
                let sessionID = UUID().uuidString.lowercased()
                var administrators: [SyncClient] = []
                for _ in 0..<4 { administrators.append(try await second.connect(as: admin, sessionID: sessionID)) }
                for socket in administrators { socket.mutate("admin:removeUser", ["userId": id], requestID: 1) }
                for socket in administrators {
                    let response = try await socket.wait(for: "the response") { $0.responses[1] }
                    #expect(response["success"] == true && response["result"] == .null, "\(response.text)")
                }
                for (index, socket) in sockets.enumerated() {
                    if index.isMultiple(of: 2) {
                        try await socket.waitForClose()
                        #expect(socket.state.last("AuthError")?["authUpdateAttempted"] == false)
                    } else {
                        try await socket.wait(for: "nobody") { $0.value(queries[index]) == .null ? true : nil }
                    }
                }
                for worker in [first, second] {
                    let call = try await worker.call(.query, "auth:getCurrentUser", token: token)
                    #expect(call.status == 401)
                    let refreshed = try await worker.call(.action, "auth:signIn", ["refreshToken": refreshToken])
                    #expect(refreshed.value?["tokens"] == .null)
                    let signIn = try await worker.passwordFlow("signIn", email: email, password: "correct horse")
                    #expect(signIn.errorCode == "unauthorized")
                }
                // The address is free again, for an account that has nothing to do with the old one.
                let again = try await second.passwordFlow("signUp", email: email, password: "another horse", name: "Ben")
                let newToken = try #require(again.value?["tokens"]?["token"]?.stringValue)
                let newID = try await second.call(.query, "auth:getCurrentUser", token: newToken).value?["_id"]
                #expect(newID != nil && newID != id)
            }
        }
    }

    @Test("no table keeps a name, an address or a profile of a removed user, and who did it is a security event")
    func nothingIsLeft() async throws {
        try await withTestWorker { worker in
            let admin = try await worker.signUp("Ada", role: .admin)
            let ben = try await worker.signUp("Ben Gone", accountType: .client)
            // Its result, a profile, is remembered with the request.
            let socket = try await worker.connect(as: ben)
            let update = socket.mutate(
                "users:updateProfile", ["bio": "Plays the cello", "avatarUrl": "https://example.org/cello.png"])
            try await socket.wait(for: "the response") { $0.responses[update]?["success"] == true ? true : nil }
            _ = try await worker.passwordFlow("signIn", email: ben.email, password: "not his password")
            func traces() async throws -> [String] {
                try await worker.sql(
                    """
                    SELECT tables.table_name::text
                    FROM information_schema.tables AS tables
                    WHERE tables.table_schema = 'public' AND tables.table_type = 'BASE TABLE'
                      AND query_to_xml(format('SELECT row::text FROM %I AS row', tables.table_name), true, false, '')::text
                          ~* '(Ben Gone|\(ben.email)|cello|,client,)'
                    ORDER BY 1
                    """
                ).map { try $0.decode(0, as: String.self) }
            }
            let before = try await traces()
            #expect(before == ["mutation_requests", "users"])
            let answer = try await Self.remove(ben, as: admin, on: worker)
            #expect(answer.value == .null)
            // Those of the worker itself are on their way: the refused sign-in and the administrator's call.
            try await worker.waitForEvents(SecurityEventType.loginFail)
            try await worker.waitForEvents(SecurityEventType.adminAction)
            let after = try await traces()
            #expect(after == [])
            let events = try await worker.sql(
                """
                SELECT metadata ->> 'source', severity, user_id::text, metadata ->> 'context'
                FROM security_events
                WHERE type = 'user_deleted'
                """)
            #expect(events.count == 1)
            #expect(try events[0].decode(0, as: String.self) == "attune:api")
            #expect(try events[0].decode(1, as: String.self) == "medium")
            #expect(try events[0].decode(2, as: String.self) == "\(ben.id.uuid)")
            let context = try JSON(parsing: try events[0].decode(3, as: String.self).utf8)
            #expect(context == ["administrator": "\(admin.id)", "session": "\(admin.sessionID)"])
        }
    }

    @Test("oneself, unknown and removed users, and ids of something else are refused, and nobody is removed")
    func refusals() async throws {
        try await withTestWorker { worker in
            let (admin, other) = (try await worker.signUp("Ada", role: .admin), try await worker.signUp("Olga", role: .admin))
            let ben = try await worker.signUp("Ben")
            func refusal(_ arguments: JSON) async throws -> String? {
                try await worker.call(.mutation, "admin:removeUser", arguments, token: admin.token).errorCode
            }
            let oneself = try await refusal(["userId": "\(admin.id)"])
            let nobody = try await refusal(["userId": "\(UserID(.random()))"])
            #expect(oneself == "conflict" && nobody == "not_found")
            for arguments: JSON in [
                [:], ["userId": .null], ["userId": "\(admin.sessionID)"], ["userId": "\(ben.id.uuid)"], ["userId": ["\(ben.id)"]],
                ["userId": "\(ben.id)' OR true --"], ["userId": "\(ben.id)", "force": true],
            ] {
                let code = try await refusal(arguments)
                #expect(code == "validation_error", "\(arguments.text)")
            }
            let removed = try await worker.sql("SELECT FROM users WHERE removed_at IS NOT NULL")
            #expect(removed.count == 0)
            let events = try await worker.sql("SELECT FROM security_events WHERE type = 'user_deleted'")
            #expect(events.count == 0)
            // Another administrator is removed as anybody is.
            for code in [nil, "not_found"] {
                let again = try await refusal(["userId": "\(other.id)"])
                #expect(again == code)
            }
        }
    }

    @Test("of two administrators who remove each other at the same moment one stays")
    func eachOther() async throws {
        try await withTestWorker { worker in
            let (ada, olga) = (try await worker.signUp("Ada", role: .admin), try await worker.signUp("Olga", role: .admin))
            // Both calls have begun before either can go on.
            let answers = try await withThrowingTaskGroup(of: HTTPAnswer.self) { group in
                try await worker.database.withTransaction { transaction in
                    _ = try await transaction.execute(Statement("test.lock", "SELECT FROM users WHERE role = 'admin' FOR UPDATE")())
                    for (remover, removed) in [(ada, olga), (olga, ada)] {
                        group.addTask { try await Self.remove(removed, as: remover, on: worker) }
                    }
                    let waiting = Statement(
                        "test.waiting",
                        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
                    try await eventually("both wait") { try await worker.database.read(waiting()).count == 2 }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(answers.map(\.errorCode)) == [nil, "forbidden"])
            let left = try await worker.sql("SELECT FROM users WHERE role = 'admin' AND removed_at IS NULL")
            #expect(left.count == 1)
        }
    }
}
