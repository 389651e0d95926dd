import API
import Domain
import Foundation
import TestSupport
import Testing
import Wire
import WorkerTestSupport

/// What a worker reports of the calls that it serves, from the call to the table.
@Suite("A worker's own security events", .timeLimit(.minutes(3)))
struct SecurityEventTests {
    @Test("signing up, in and out, and failing to, are stored with user, session, address, function and request, and no secret")
    func signingIn() async throws {
        try await withTestWorker { worker in
            let (email, password) = ("ana.secret@example.org", "correct horse battery")
            let signedUp = try await worker.passwordFlow("signUp", email: email, password: password, name: "Ana")
            let token = try #require(signedUp.value?["tokens"]?["token"]?.stringValue)
            _ = try await worker.passwordFlow("signIn", email: email, password: "wrong horse battery")
            _ = try await worker.passwordFlow("signIn", email: "nobody.secret@example.org", password: "wrong horse battery")
            _ = try await worker.call(.action, "auth:signOut", token: token)
            let end = try #require(try await worker.waitForEvents(SecurityEventType.sessionEnded).first)
            let user = try #require(end.user)

            let created = try await worker.waitForEvents(SecurityEventType.userCreated)
            let success = try await worker.waitForEvents(SecurityEventType.loginSuccess)
            #expect(created.map(\.user) == [user] && success.map(\.user) == [user])
            #expect(success.first?.session != nil && success.first?.session == end.session)
            #expect(end.function == "auth:signOut" && success.first?.function == "auth:signIn")
            let failures = try await worker.waitForEvents(SecurityEventType.loginFail, count: 2)
            #expect(failures.map(\.user) == [user, nil] && failures.allSatisfy { $0.severity == "medium" })
            let pseudonyms = Set(failures.compactMap { $0.context?["account"]?.stringValue })
            #expect(pseudonyms.count == 2 && failures.allSatisfy { $0.context?["requestId"]?.stringValue?.count == 16 })
            for event in try await worker.storedEvents() {
                #expect(event.type.hasPrefix("sys_") || event.ip == "127.0.0.1")
                let text = event.description
                #expect(!text.contains("secret") && !text.contains("horse") && !text.contains(token), "\(text)")
            }
        }
    }

    @Test("a refresh token's reuse is stored, and the answer is as ever")
    func reuse() async throws {
        try await withTestWorker { worker in
            let user = try await worker.signUp("Ana")
            let arguments: JSON = ["refreshToken": .string(user.refreshToken)]
            for _ in 0..<2 {
                let next = try await worker.call(.action, "auth:signIn", arguments)
                let token = try #require(next.value?["tokens"]?["refreshToken"]?.stringValue)
                _ = try await worker.call(.action, "auth:signIn", ["refreshToken": .string(token)])
            }
            try await worker.sql("UPDATE refresh_tokens SET first_used_at = first_used_at - interval '11 seconds'")
            let refused = try await worker.call(.action, "auth:signIn", arguments)
            #expect(refused.value?["tokens"] == .null)
            let event = try #require(try await worker.waitForEvents(SecurityEventType.tokenReuse).first)
            #expect(event.severity == "high" && event.user == user.id && event.session == user.sessionID)
        }
    }

    @Test("refused access is stored, over HTTP and over the socket: medium of who is signed in, low of who is not")
    func refusals() async throws {
        try await withTestWorker { worker in
            let scene = try await Scene(worker)
            let list: JSON = ["conversationId": "\(scene.conversation)"]
            _ = try await worker.call(.query, "messages:list", list, token: scene.stranger.token)
            _ = try await worker.call(.query, "security:getEventStats", token: scene.owner.token)
            _ = try await worker.call(
                .mutation, "messages:markAsRead", ["messageIds": ["\(scene.received)"]], token: scene.participant.token)
            let client = try await worker.connect(as: scene.bystander)
            let query = client.add("messages:list", list)
            let request = client.mutate("messages:markAsRead", ["messageIds": ["\(scene.received)"]])
            try await client.wait(for: "both refusals") { state -> Bool? in
                state.errorCode(query) == "forbidden" && state.responses[request] != nil ? true : nil
            }
            let events = try await worker.waitForEvents(SecurityEventType.accessRefused, count: 5)
            #expect(events.allSatisfy { $0.severity == "medium" && $0.context?["code"] == "forbidden" && $0.ip == "127.0.0.1" })
            let calls = Set(events.map { "\($0.function ?? "") \($0.user.map { "\($0)" } ?? "")" })
            #expect(calls == [
                "messages:list \(scene.stranger.id)", "security:getEventStats \(scene.owner.id)",
                "messages:markAsRead \(scene.participant.id)", "messages:list \(scene.bystander.id)",
                "messages:markAsRead \(scene.bystander.id)",
            ])
            #expect(Set(events.compactMap(\.session)).count == 4)

            for _ in 0..<50 { _ = try await worker.call(.query, "messages:listConversations") }
            let anonymous = try #require(try await worker.waitForEvents(SecurityEventType.accessRefused, count: 6).last)
            #expect(anonymous.severity == "low" && anonymous.user == nil && anonymous.context?["code"] == "unauthorized")
        }
    }

    @Test("a token that somebody has forged is stored, over HTTP and over the socket; an old one, or another site's, is not")
    func tokens() async throws {
        try await withTestWorker { worker in
            let user = try await worker.signUp("Ana")
            let forged = String(user.token.dropLast(8)) + "AAAAAAAA"
            for token in [try worker.expiredToken(user), try worker.tokenOfAnotherIssuer(user), forged] {
                #expect(try await worker.call(.query, "auth:isAuthenticated", token: token).status == 401)
            }
            let client = try await worker.connect()
            client.authenticate(forged)
            try await client.waitForClose()
            let events = try await worker.waitForEvents(SecurityEventType.accessRefused, count: 2)
            #expect(events.count == 2 && events.allSatisfy { $0.severity == "medium" && $0.user == nil && $0.ip == "127.0.0.1" })
            #expect(events.allSatisfy { $0.context?["code"] == "forged_token" })
        }
    }

    @Test("a query that stays refused, or that an administrator watches, is one event, however often it runs again")
    func liveQueries() async throws {
        try await withTestWorker { worker in
            let scene = try await Scene(worker)
            let client = try await worker.connect(as: scene.stranger)
            let refused = client.add("messages:list", ["conversationId": "\(scene.conversation)"])
            let admin = try await worker.connect(as: scene.admin)
            let events = admin.add("security:getSecurityEvents", ["type": "test"])
            try await client.wait(for: "the refusal") { $0.errorCode(refused) }
            try await admin.wait(for: "the events") { $0.value(events) }
            for number in 1...3 {
                try await worker.insertMessage("\(number)", from: scene.owner, to: scene.participant)
                try await worker.sql(
                    """
                    INSERT INTO security_events (type, severity, metadata)
                    VALUES ('test', 'low', jsonb_build_object('details', ''))
                    """)
                try await admin.wait(for: "event \(number)") { $0.value(events)?.arrayValue?.count == number ? true : nil }
            }
            // What is reported after it, is stored after it.
            _ = try await worker.call(.action, "auth:signOut", token: scene.bystander.token)
            try await worker.waitForEvents(SecurityEventType.sessionEnded)
            let refusals = try await worker.storedEvents(SecurityEventType.accessRefused)
            let actions = try await worker.storedEvents(SecurityEventType.adminAction)
            #expect(refusals.map(\.user) == [scene.stranger.id] && refusals.map(\.session) == [scene.stranger.sessionID])
            #expect(actions.map(\.user) == [scene.admin.id] && actions.map(\.severity) == ["low"])
            #expect(actions.first?.function == "security:getSecurityEvents" && actions.first?.context?["outcome"] == "success")
        }
    }

    @Test("a subscription is an event of each who the client has been, and a new token of the same session is not somebody else")
    func becomingSomebodyElse() async throws {
        try await withTestWorker { worker in
            let user = try await worker.signUp("Ben")
            let admin = try await worker.signUp("Ada", role: .admin)
            let client = try await worker.connect()
            let query = client.add("security:getSecurityEvents", ["type": "test"])
            try await client.wait(for: "the first refusal") { $0.errorCode(query) == "unauthorized" ? true : nil }
            client.authenticate(user.token)
            try await client.wait(for: "the second refusal") { $0.errorCode(query) == "forbidden" ? true : nil }
            for identity in 1...2 {
                client.authenticate(admin.token)
                try await client.wait(for: "the events") { state in
                    state.value(query) != nil && state.version.identity == identity + 1 ? true : nil
                }
            }
            _ = try await worker.call(.action, "auth:signOut", token: user.token)
            try await worker.waitForEvents(SecurityEventType.sessionEnded)
            let refusals = try await worker.storedEvents(SecurityEventType.accessRefused)
            let actions = try await worker.storedEvents(SecurityEventType.adminAction)
            #expect(refusals.map(\.user) == [nil, user.id] && refusals.map(\.severity) == ["low", "medium"])
            #expect(actions.map(\.user) == [admin.id])
        }
    }

    @Test("who is refused again and again makes ten events, and one with the number of the others when the worker stops")
    func flood() async throws {
        try await withTestWorker { first in
            let user = try await first.signUp("Ana")
            try await withTestWorker(databaseURL: first.databaseURL, dataFolder: first.dataFolder) { second in
                for _ in 0..<60 { _ = try await second.call(.query, "security:getEventStats", token: user.token) }
            }
            // Takes over what has not arrived yet.
            try await withTestWorker(databaseURL: first.databaseURL, dataFolder: first.dataFolder) { third in
                let events = try await third.waitForEvents(SecurityEventType.accessRefused, count: 11)
                #expect(events.count == 11 && events.compactMap(\.count) == [50])
            }
        }
    }

    @Test("what sockets and sign-ins are refused for being too many is stored")
    func limits() async throws {
        try await withTestWorker(configure: {
            $0.newAccountsPerHour = 0
            $0.live.maximumMutationsPerSocket = 1
        }) { worker in
            _ = try await worker.passwordFlow("signUp", email: "ana@example.org", password: "correct horse battery", name: "Ana")
            let user = try await worker.signUp("Ben")
            let client = try await worker.connect(as: user)
            for _ in 0..<20 { client.mutate("users:updateProfile", ["bio": "mine"]) }
            try await client.waitForClose()
            let events = try await worker.waitForEvents(SecurityEventType.rateLimited, count: 2)
            #expect(events.map(\.user) == [nil, user.id] && events.map(\.session) == [nil, user.sessionID])
            #expect(events.allSatisfy { $0.context?["network"] == "127.0.0.1" && $0.severity == "medium" })
        }
    }

    @Test("reading a thousand messages within minutes is an event; reading the same page again is not")
    func manyMessages() async throws {
        try await withTestWorker(configure: { $0.live.missedInvalidation = nil }) { worker in
            let (ana, ben) = (try await worker.signUp("Ana"), try await worker.signUp("Ben"))
            let conversation = try await worker.conversation(ana, ben)
            try await worker.sql(
                """
                INSERT INTO messages (conversation_id, sender_id, recipient_id, content)
                SELECT '\(conversation.uuid)', '\(ana.id.uuid)', '\(ben.id.uuid)', 'message ' || number
                FROM generate_series(1, 1200) AS number
                """)
            func page(_ count: Int) -> JSON {
                ["conversationId": "\(conversation)", "paginationOpts": ["numItems": .number(Double(count)), "cursor": .null]]
            }
            for _ in 0..<15 { _ = try await worker.value("messages:list", page(100), as: ben) }
            let client = try await worker.connect(as: ana)
            let query = client.add("messages:list", page(1000))
            try await client.wait(for: "the messages") { $0.contents(query) }
            let events = try await worker.waitForEvents(SecurityEventType.sensitiveRead)
            #expect(events.map(\.user) == [ana.id] && events.map(\.count) == [1000] && events.map(\.session) == [ana.sessionID])
            _ = try await worker.value("messages:list", page(1000), as: ben)
            #expect(try await worker.waitForEvents(SecurityEventType.sensitiveRead, count: 2).last?.user == ben.id)
        }
    }

    @Test("X-Forwarded-For is believed of trusted proxies, and of nobody else, over HTTP and over the socket")
    func addresses() async throws {
        for isTrusted in [true, false] {
            try await withTestWorker(configure: {
                $0.server.addresses = ClientAddressResolver(trustedProxies: isTrusted ? [IPRange("127.0.0.0/8")!] : [])
            }) { worker in
                let user = try await worker.signUp("Ana")
                let chain = "203.0.113.9, 2001:db8::1"
                for path in ["security:getEventStats", "security:getSecurityEvents"] {
                    _ = try await worker.call(.query, path, token: user.token, forwardedFor: chain)
                }
                let client = try await worker.openSocket(headers: ["X-Forwarded-For": chain])
                client.connect(sessionID: UUID().uuidString.lowercased())
                client.authenticate(user.token)
                let query = client.add("security:getEventStats")
                try await client.wait(for: "the refusal") { $0.errorCode(query) }
                let events = try await worker.waitForEvents(SecurityEventType.accessRefused, count: 3)
                #expect(Set(events.map(\.ip)) == [isTrusted ? "2001:db8::1" : "127.0.0.1"])
            }
        }
    }

    @Test("a worker tells when it starts and stops, and its health page what became of its events")
    func startAndStop() async throws {
        try await withTestWorker { first in
            for runs in 0...1 {
                try await withTestWorker(databaseURL: first.databaseURL, dataFolder: first.dataFolder) { second in
                    try await second.waitForEvents(SecurityEventType.startup, count: 2 + runs)
                    try await second.waitForEvents(SecurityEventType.shutdown, count: runs)
                    try await eventually("a ledger that is settled") {
                        let events = try await second.request(.GET, "/health/ready").json?["events"]
                        let api = events?["ledger"]?["api"]
                        return events?["storing"] == true && api?["spooled"] == .number(0) && api?["stored"] == api?["received"]
                    }
                }
            }
            let stops = try await first.storedEvents(SecurityEventType.shutdown)
            #expect(stops.count <= 2 && stops.allSatisfy { $0.severity == "low" })
        }
    }

    @Test("a spool that is full holds nothing up, and how many events were lost is stored when there is room")
    func fullSpool() async throws {
        try await withTestWorker(configure: {
            $0.spoolBudget = 32 << 10
            $0.server.addresses = ClientAddressResolver(trustedProxies: [IPRange("127.0.0.0/8")!])
        }) { worker in
            try await worker.waitForEvents(SecurityEventType.startup)
            // Nothing gets out of the spool as long as somebody else has the table.
            try await worker.database.withTransaction { transaction in
                _ = try await transaction.runScript("LOCK TABLE security_events IN SHARE MODE", name: "test")
                for number in 0..<500 {
                    let answer = try await worker.call(
                        .query, "messages:listConversations", forwardedFor: "10.0.\(number / 250).\(number % 250)")
                    #expect(answer.errorCode == "unauthorized")
                }
            }
            let lost = try #require(try await worker.waitForEvents(SecurityEventType.eventsLost).first)
            let stored = try await worker.storedEvents(SecurityEventType.accessRefused).count
            #expect(lost.details.contains("\(500 - stored)"), "\(lost), \(stored) stored")
        }
    }
}
