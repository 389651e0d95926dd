import Development
import Foundation
import StackTestSupport
import Testing
import TestSupport
import Wire

@Suite("A running stack", .serialized, .sharedStack)
struct RunningStackTests {
    @Test(
        "two people talk: each sees what the other does, in order and however it is written, until sign-out",
        .timeLimit(.minutes(2)))
    func conversation() async throws {
        let stack = try Stack.shared
        let ada = try await Person.signUp("Ada", at: stack.url)
        let ben = try await Person.signUp("Ben", at: stack.url)
        var messages = [try await ben.send("opening", to: ada, at: stack.url)]
        let conversation = try await ada.conversation(at: stack.url)
        let queries = [
            "messages:list", #"{"conversationId": "\#(conversation)"}"#, "messages:listConversations", "{}",
        ]
        try await PythonClient.with("subscribe", [stack.url, ada.token] + queries) { subscriber in
            func waitFor(_ contents: [String], unread: Double, from name: String = "Ben") async throws {
                try await subscriber.wait("list \(contents) with \(unread) unread from \(name)") {
                    let summary = subscriber.page("messages:listConversations").first
                    return subscriber.contents == contents && summary?["unreadCount"] == .number(unread)
                        && summary?["lastMessage"]?["content"]?.stringValue == contents.first
                        && summary?["otherUser"]?["name"]?.stringValue == name
                }
            }
            try await waitFor(["opening"], unread: 1)

            messages.append(try await ben.send("over HTTP", to: ada, at: stack.url, .http))
            try await waitFor(["over HTTP", "opening"], unread: 2)
            messages.append(try await ben.send("over the socket", to: ada, at: stack.url, .socket))
            try await waitFor(["over the socket", "over HTTP", "opening"], unread: 3)
            _ = try await stack.place.psql(
                """
                INSERT INTO messages (conversation_id, sender_id, recipient_id, content)
                SELECT conversations.id, ben.id, ada.id, 'from psql'
                FROM users AS ada
                JOIN users AS ben ON ben.email = '\(ben.email)'
                JOIN conversations ON low_user_id = LEAST(ada.id, ben.id) AND high_user_id = GREATEST(ada.id, ben.id)
                WHERE ada.email = '\(ada.email)'
                """)
            let all = ["from psql", "over the socket", "over HTTP", "opening"]
            try await waitFor(all, unread: 4)

            let profile = try await PythonClient.call(
                stack.url, token: ben.token, .mutation, "users:updateProfile", #"{"name": "Benjamin"}"#)
            #expect(profile["value"]?["name"]?.stringValue == "Benjamin")
            try await waitFor(all, unread: 4, from: "Benjamin")

            let ids = messages.map { "\"\($0)\"" }.joined(separator: ", ")
            let marked = try await PythonClient.call(
                stack.url, .socket, token: ada.token, .mutation, "messages:markAsRead", #"{"messageIds": [\#(ids)]}"#)
            #expect(marked["value"] == .null)
            try await waitFor(all, unread: 1, from: "Benjamin")

            // Each result that was shown continues the one before it.
            let shown = subscriber.results("messages:list").map { result in
                (result["value"]?["page"]?.arrayValue ?? []).compactMap { $0["content"]?.stringValue }
            }
            let isInOrder = zip(shown, shown.dropFirst()).allSatisfy { earlier, later in
                later.suffix(earlier.count) == earlier[...]
            }
            #expect(isInOrder, "\(shown)")

            // On the worker that does not have the subscriber's socket.
            let signedOut = try await PythonClient.call(stack.place.secondURL, token: ada.token, .action, "auth:signOut", "{}")
            #expect(signedOut["value"] == .null)
            for path in ["messages:list", "messages:listConversations"] {
                try await subscriber.wait("refusal of \(path)") {
                    subscriber.results(path).last?["data"]?["code"]?.stringValue == "unauthorized"
                }
            }
        }
        for url in [stack.url, stack.place.secondURL] {
            let refused = try await PythonClient.call(url, token: ada.token, .query, "messages:listConversations", "{}")
            #expect(refused["error"]?.stringValue?.hasPrefix("401 ") == true, "\(refused)")
        }
    }

    @Test("a client that comes back to another worker goes on", .timeLimit(.minutes(2)))
    func otherWorker() async throws {
        let stack = try Stack.shared
        let ada = try await Person.signUp("Ada", at: stack.url)
        let ben = try await Person.signUp("Ben", at: stack.place.secondURL)
        try await ben.send("one", to: ada, at: stack.url)
        let conversation = try await ada.conversation(at: stack.place.secondURL)
        try await PythonClient.with("relay", [String(stack.place.port), String(stack.place.port + 1)]) { relay in
            var port = ""
            try await relay.wait("port of the relay") {
                guard case .number(let number)? = relay.records.first?["listening"] else { return false }
                port = String(Int(number))
                return true
            }
            let query = ["messages:list", #"{"conversationId": "\#(conversation)"}"#]
            try await PythonClient.with("subscribe", ["http://127.0.0.1:\(port)", ada.token] + query) { subscriber in
                try await subscriber.wait("first message") { subscriber.contents == ["one"] }
                relay.child.send(SIGUSR1)
                // While nobody listens, or just after: the client has to be told either way.
                try await ben.send("two", to: ada, at: stack.url)
                try await subscriber.wait("second message") { subscriber.contents == ["two", "one"] }
                try await ben.send("three", to: ada, at: stack.url)
                try await subscriber.wait("third message") { subscriber.contents == ["three", "two", "one"] }
            }
            let targets = relay.records.compactMap { record in
                if case .number(let number)? = record["target"] { Int(number) } else { nil }
            }
            #expect(targets.first == stack.place.port)
            #expect(targets.last == stack.place.port + 1)
        }
    }

    @Test("script/server has built what it started", .timeLimit(.minutes(1)))
    func script() throws {
        let calls = try String(contentsOfFile: try Stack.shared.place.root + "/tools/calls", encoding: .utf8)
        let products = calls.matches(of: /build .*--configuration debug --product (\S+)/).map { String($0.1) }
        #expect(products == ["attune", "attune-api", "attune-ingest", "attune-metrics", "attune-migrate"])
    }

    @Test("the administrator of the settings is there", .timeLimit(.minutes(1)))
    func administrator() async throws {
        let stack = try Stack.shared
        let (email, password) = SharedStackTrait.administrator
        let admin = try await Person.signIn(email, password: password, at: stack.url)
        let user = try await PythonClient.call(stack.url, token: admin.token, .query, "auth:getCurrentUser", "{}")
        #expect(user["value"]?["role"]?.stringValue == "admin")
    }

    @Test("--demo says how to sign in, and that works", .timeLimit(.minutes(1)))
    func demo() async throws {
        let stack = try Stack.shared
        let lines = stack.program.lines
        let first = try #require(lines.firstIndex { $0.hasPrefix("Demo accounts, password ") })
        let password = try #require(lines[first].firstMatch(of: /password (\S+):/)).1
        var roles: [String] = []
        for line in lines[(first + 1)...(first + 3)] {
            let email = try #require(line.firstMatch(of: /(\S+@\S+)/)).1
            let person = try await Person.signIn(String(email), password: String(password), at: stack.url)
            let user = try await PythonClient.call(stack.url, token: person.token, .query, "auth:getCurrentUser", "{}")
            roles.append(user["value"]?["accountType"]?.stringValue ?? user["value"]?["role"]?.stringValue ?? "")
            // The two people's conversation is everybody's latest.
            guard line != lines[first + 3] else { continue }
            let conversation = try await person.conversation(at: stack.url)
            let messages = try await PythonClient.call(
                stack.url, token: person.token, .query, "messages:list", #"{"conversationId": "\#(conversation)"}"#)
            #expect(messages["value"]?["page"]?.arrayValue?.count == 4)
        }
        #expect(roles == ["therapist", "client", "admin"])
        for page in ["/chat", "/admin"] { #expect(lines[first...].contains { $0.hasSuffix(stack.url + page) }) }
    }

    @Test("a new signing key is taken up without a restart, and the old tokens stay good", .timeLimit(.minutes(2)))
    func rotation() async throws {
        let stack = try Stack.shared
        let (email, password) = SharedStackTrait.administrator
        let old = try await Person.signIn(email, password: password, at: stack.url).token
        _ = try await stack.place.attune("keys", "rotate")
        for url in [stack.url, stack.place.secondURL] {
            var new = old
            try await eventually("a token of the new key from \(url)") {
                new = try await Person.signIn(email, password: password, at: url).token
                return try Self.keyID(of: new) != Self.keyID(of: old)
            }
            for token in [old, new] {
                let answer = try await PythonClient.call(url, token: token, .query, "auth:isAuthenticated", "{}")
                #expect(answer["value"] == .bool(true))
            }
        }
        let answer = try await LocalRequest(host: "127.0.0.1", port: stack.place.port).send("GET", "/.well-known/jwks.json")
        #expect(try JSON(parsing: answer.body)["keys"]?.arrayValue?.count == 2)
    }

    /// The key that a token names in its header.
    private static func keyID(of token: String) throws -> String {
        var header = String(token.prefix { $0 != "." }).replacing("-", with: "+").replacing("_", with: "/")
        header += String(repeating: "=", count: (4 - header.count % 4) % 4)
        let json = try JSON(parsing: #require(Data(base64Encoded: header)))
        return try #require(json["kid"]?.stringValue)
    }

    @Test("the ingestor runs too: who has the token in the data folder reports an event, and it is stored", .timeLimit(.minutes(1)))
    func ingestor() async throws {
        let place = try Stack.shared.place
        let token = try String(contentsOfFile: place.dataFolder + "/ingest-token", encoding: .utf8)
        let answer = try await LocalRequest(host: "127.0.0.1", port: place.ingestPort).send(
            "POST", "/v1/events",
            headers: ["Authorization": "Bearer \(token.prefix { $0 != "\n" })", "Content-Type": "application/json"],
            body: Array(#"{"type":"door_opened","severity":"high"}"#.utf8))
        #expect(answer.status == 202)
        try await eventually("the event") {
            try await place.psql("SELECT severity FROM security_events WHERE type = 'door_opened'") == ["high"]
        }
    }

    @Test("a second stack runs beside it, on another folder and as a normal user", .timeLimit(.minutes(2)))
    func secondStack() async throws {
        let stack = try Stack.shared
        let isRoot = geteuid() == 0
        try await StackPlace.with(user: isRoot ? "nobody" : nil) { place in
            // A normal user may not be able to enter the folder of the build.
            let programs = place.root + "/programs"
            try FileManager.default.createDirectory(atPath: programs, withIntermediateDirectories: false)
            for program in [BuiltProgram.attune, BuiltProgram.api, BuiltProgram.ingest, BuiltProgram.metrics] {
                try FileManager.default.copyItem(
                    atPath: program, toPath: programs + "/" + URL(fileURLWithPath: program).lastPathComponent)
            }
            try await place.withStack(program: programs + "/attune") { second in
                let user = try #require(getpwnam("nobody")).pointee.pw_uid
                for process in isRoot ? second.family : [] {
                    let attributes = try FileManager.default.attributesOfItem(atPath: "/proc/\(process.id)")
                    #expect(attributes[.ownerAccountID] as? UInt32 == user)
                }
                let ada = try await Person.signUp("Ada", at: second.url)
                let ben = try await Person.signUp("Ben", at: second.url)
                try await ben.send("hello", to: ada, at: second.url)
                #expect(try await second.place.psql("SELECT content FROM messages") == ["hello"])
                // Accounts of one are strangers to the other.
                let answer = try await PythonClient.call(stack.url, token: ada.token, .query, "auth:getCurrentUser", "{}")
                #expect(answer["error"]?.stringValue?.hasPrefix("401 ") == true, "\(answer)")
            }
        }
    }

    @Test("another stack on its port or its folder is refused, and says what to do", .timeLimit(.minutes(1)))
    func taken() async throws {
        let stack = try Stack.shared
        try await StackPlace.with { place in
            let samePort = try await ChildProcess.run(
                BuiltProgram.attune, ["dev", "--port", String(stack.place.port)], environment: place.environment())
            #expect(samePort.exit == .code(1))
            #expect(samePort.output.contains("port \(stack.place.port): Address already in use"), "\(samePort.output)")
            #expect(samePort.output.contains("--port"))
            let sameFolder = try await ChildProcess.run(
                BuiltProgram.attune, ["dev", "--data-dir", stack.place.dataFolder], environment: place.environment())
            #expect(sameFolder.exit == .code(1))
            let owner = "in use by process \(stack.program.child.processID)"
            #expect(sameFolder.output.contains(owner), "\(sameFolder.output)")
            #expect(sameFolder.output.contains("--data-dir"))
        }
    }
}
