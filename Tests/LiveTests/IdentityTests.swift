import Domain
import Foundation
import Testing
import Wire
import WorkerTestSupport

@Suite("Who is on the socket", .timeLimit(.minutes(3)))
struct IdentityTests {
    // 22, 24
    @Test("a bad token is an AuthError, and the end of the socket", arguments: ["nonsense", "a.b.c", ""])
    func badToken(_ token: String) async throws {
        try await withTestWorker { worker in
            let ann = try await worker.signUp("Ann")
            let client = try await worker.connect(as: ann)
            client.modify([])
            try await client.wait(for: "the sign-in") { $0.version.identity == 1 ? true : nil }
            client.authenticate(token)
            try await client.waitForClose()
            let error = client.state.last("AuthError")
            #expect(error?["authUpdateAttempted"] == true)
            #expect(error?["baseVersion"] == 1)
            #expect(error?["error"]?.stringValue != nil)
        }
    }

    @Test("an expired token is an AuthError")
    func expiredToken() async throws {
        try await withTestWorker { worker in
            let ann = try await worker.signUp("Ann")
            let client = try await worker.connect()
            client.authenticate(try await worker.expiredToken(of: ann))
            try await client.waitForClose()
            let error = client.state.last("AuthError")
            #expect(error?["authUpdateAttempted"] == true)
            #expect(error?["baseVersion"] == 0)
        }
    }

    @Test("an administrator's key is refused")
    func adminKey() async throws {
        try await withTestWorker { worker in
            let client = try await worker.connect()
            client.send(["type": "Authenticate", "baseVersion": 0, "tokenType": "Admin", "value": "key"])
            try await client.waitForClose()
            #expect(client.state.last("AuthError")?["authUpdateAttempted"] == true)
        }
    }

    /// How a session can end under a client.
    enum Ending: CaseIterable {
        case signOutElsewhere, sessionEnded, sessionDeleted, accountRemoved

        func happen(to user: TestUser, _ worker: TestWorker) async throws {
            switch self {
            case .signOutElsewhere: _ = try await worker.call(.action, "auth:signOut", token: user.token)
            case .sessionEnded: try await worker.sql("UPDATE sessions SET ended_at = now() WHERE id = '\(user.sessionID.uuid)'")
            case .sessionDeleted: try await worker.sql("DELETE FROM sessions WHERE id = '\(user.sessionID.uuid)'")
            case .accountRemoved: try await worker.accounts.removeUser(user.id)
            }
        }
    }

    // 24
    @Test("a session that ends elsewhere ends on a JavaScript client's socket at once", arguments: Ending.allCases)
    func sessionEnds(_ ending: Ending) async throws {
        try await withTestWorker { worker in
            let ann = try await worker.signUp("Ann")
            let ben = try await worker.signUp("Ben")
            let client = try await worker.connect(as: ann)
            let list = client.add("messages:listConversations")
            try await client.wait(for: "the list") { $0.value(list) }
            let bystander = try await worker.connect(as: ben)
            let bystandersList = bystander.add("messages:listConversations")
            try await bystander.wait(for: "the list") { $0.value(bystandersList) }
            try await ending.happen(to: ann, worker)
            try await client.waitForClose()
            let error = client.state.last("AuthError")
            #expect(error?["authUpdateAttempted"] == false)
            #expect(error?["baseVersion"] == 1)
            let answer = try await worker.call(.query, "messages:listConversations", token: ann.token)
            #expect(answer.status == 401)
            #expect(!bystander.state.isClosed)
        }
    }

    @Test("a client that cannot recover from AuthErrors becomes anonymous instead", arguments: Ending.allCases)
    func becomesAnonymous(_ ending: Ending) async throws {
        try await withTestWorker { worker in
            let ann = try await worker.signUp("Ann")
            // Asks what Ann will ask when she is nobody: the answer is there already, and nothing runs for her.
            let nobody = try await worker.connect()
            let nobodysUser = nobody.add("auth:getCurrentUser")
            try await nobody.wait(for: "an answer") { $0.value(nobodysUser) }
            let client = try await worker.connect(as: ann, .python)
            let user = client.add("auth:getCurrentUser")
            try await client.wait(for: "the user") { $0.value(user) }
            try await ending.happen(to: ann, worker)
            try await client.wait(for: "nobody") { $0.value(user) == .null ? true : nil }
            let list = client.add("messages:listConversations")
            let state = try await client.wait(for: "the refusal") { $0.results[list] == nil ? nil : $0 }
            #expect(state.errorCode(list) == "unauthorized")
            let send = client.mutate("messages:send", ["content": "still here", "recipientId": ann.id.json])
            let response = try await client.wait(for: "the refusal") { $0.responses[send] }
            #expect(response["errorData"]?["code"] == "unauthorized")
        }
    }

    @Test("a role that changes by plain SQL changes what a socket sees", arguments: [SyncClient.Handshake.javaScript("1.45.0"), .python])
    func roleChanges(_ handshake: SyncClient.Handshake) async throws {
        try await withTestWorker { worker in
            let ann = try await worker.signUp("Ann")
            let ben = try await worker.signUp("Ben")
            let client = try await worker.connect(as: ann, handshake)
            let profile = client.add("users:getProfile", ["userId": ben.id.json])
            let before = try await client.wait(for: "the profile") { $0.value(profile) }
            #expect(before["email"] == nil)
            try await worker.sql("UPDATE users SET role = 'admin' WHERE id = '\(ann.id.uuid)'")
            try await client.wait(for: "the address") { $0.value(profile)?["email"] == .string(ben.email) ? true : nil }
            try await worker.sql("UPDATE users SET role = 'user' WHERE id = '\(ann.id.uuid)'")
            try await client.wait(for: "no address") { $0.value(profile)?["email"] == nil ? true : nil }
        }
    }

    // 5
    @Test("signing in, as somebody else and out shows each time what that caller may see")
    func switching() async throws {
        try await withTestWorker { worker in
            let ann = try await worker.signUp("Ann")
            let ben = try await worker.signUp("Ben")
            let client = try await worker.connect()
            let user = client.add("auth:getCurrentUser")
            try await client.wait(for: "nobody") { $0.value(user) == .null ? true : nil }
            for (number, person) in [ann, ben, ann].enumerated() {
                client.authenticate(person.token)
                let state = try await client.wait(for: person.name) { $0.version.identity == UInt32(number + 1) ? $0 : nil }
                #expect(state.value(user)?["name"] == .string(person.name))
            }
            client.authenticate(nil)
            let state = try await client.wait(for: "nobody") { $0.version.identity == 4 ? $0 : nil }
            #expect(state.value(user) == .null)
        }
    }

    @Test("who has just signed up is known on a busy socket server")
    func freshSessions() async throws {
        try await withTestWorker { worker in
            for _ in 0..<40 {
                let ann = try await worker.signUp("Ann")
                let client = try await worker.connect(as: ann, .python)
                let user = client.add("auth:getCurrentUser")
                let value = try await client.wait(for: "the user") { $0.value(user) }
                #expect(value["name"] == "Ann")
            }
        }
    }
}
