import API
import Domain
import NIOCore
import NIOHTTP1
import NIOPosix
import Registry
import TestSupport
import Testing
import Wire
import WorkerTestSupport

@Suite("The HTTP API")
struct HTTPTests {
    // MARK: Formats and routes

    @Test("stock clients get Convex's encoding when they ask for it; numbers have a point in every format")
    func formats() async throws {
        try await withTestWorker { worker in
            let user = try await worker.signUp("Ana")
            func body(_ format: String) async throws -> String {
                try await worker.post("/api/query", text: #"{"path":"auth:getCurrentUser","args":{}\#(format)}"#, token: user.token).text
            }
            var texts: [String] = []
            for format in ["", #","format":null"#, #","format":"json""#, #","format":"convex_clean_json""#, #","format":"convex_encoded_json""#] {
                texts.append(try await body(format))
            }
            for text in texts {
                #expect(text.hasPrefix(#"{"status":"success","value":{"_id":"\#(user.id)","#), "\(text)")
                let hasPoint = text.firstMatch(of: /"createdAt":[0-9]+\.[0-9]+\},"logLines":\[\]\}$/) != nil
                #expect(hasPoint, "\(text)")
            }
        }
    }

    @Test("a failed call is status 200 with errorMessage and errorData; the caller's request id is in it")
    func failure() async throws {
        try await withTestWorker { worker in
            let answer = try await worker.request(
                .POST, "/api/query", headers: ["Content-Type": "application/json", "Convex-Request-Id": "my-request-7"],
                body: Array(#"{"path":"messages:listConversations","args":[{}],"format":"convex_encoded_json"}"#.utf8))
            #expect(answer.status == 200)
            #expect(answer.headers["Content-Type"] == ["application/json"])
            #expect(
                answer.json?["errorMessage"]
                    == "[Request ID: my-request-7] Server Error\nUncaught ConvexError: {\"code\":\"unauthorized\",\"message\":\"Sign in to do this.\"}")
            #expect(answer.json?["errorData"] == ["code": "unauthorized", "message": "Sign in to do this."])
            #expect(answer.json?["value"] == nil)
        }
    }

    @Test("a void function answers with an explicit null")
    func void() async throws {
        try await withTestWorker { worker in
            let scene = try await Scene(worker)
            let answer = try await worker.call(.mutation, "messages:markAsRead", ["messageIds": ["\(scene.received)"]], token: scene.owner.token)
            #expect(answer.text.hasPrefix(#"{"status":"success","value":null,"#), "\(answer.text)")
        }
    }

    @Test("all forms of a name, and the routes for people, reach the same function")
    func routes() async throws {
        try await withTestWorker { worker in
            let user = try await worker.signUp("Ana")
            for path in ["auth:getCurrentUser", "auth.js:getCurrentUser"] {
                let answer = try await worker.call(.query, path, token: user.token)
                #expect(answer.value?["_id"] == "\(user.id)", "\(path): \(answer.text)")
            }
            let run = try await worker.post("/api/run/auth/getCurrentUser", ["args": [:]], token: user.token)
            #expect(run.value?["_id"] == "\(user.id)", "\(run.text)")
            let escaped = try await worker.post("/api/run/a%75th/getCurrentUser", ["args": [:]], token: user.token)
            #expect(escaped.value?["_id"] == "\(user.id)", "\(escaped.text)")
            let mutation = try await worker.post("/api/run/users/updateProfile", ["args": ["bio": "hello"]], token: user.token)
            #expect(mutation.value?["bio"] == "hello", "\(mutation.text)")
            let unknown = try await worker.post("/api/run/users/nothing", ["args": [:]], token: user.token)
            #expect(unknown.json?["errorMessage"]?.stringValue?.contains("Could not find function for 'users:nothing'. Did you forget to run") == true)
            let anyKind = try await worker.post("/api/function", ["path": "auth:getCurrentUser", "args": [:]], token: user.token)
            #expect(anyKind.value?["_id"] == "\(user.id)", "\(anyKind.text)")
            let byAddress = try await worker.request(
                .GET, "/api/query?path=auth:getCurrentUser&args=%7B%7D&format=json", headers: ["Authorization": "bearer \(user.token)"])
            #expect(byAddress.value?["_id"] == "\(user.id)", "\(byAddress.text)")
            let mutationByAddress = try await worker.request(
                .GET, "/api/query?path=users:updateProfile&args=%7B%7D", headers: ["Authorization": "Bearer \(user.token)"])
            #expect(mutationByAddress.errorCode == "validation_error", "\(mutationByAddress.text)")
        }
    }

    @Test("unknown functions and wrong kinds are told apart, in Convex's words")
    func unknownFunctions() async throws {
        try await withTestWorker { worker in
            let unknown = try await worker.call(.query, "messages.js:lst")
            #expect(unknown.status == 200)
            #expect(unknown.errorCode == "not_found")
            #expect(unknown.json?["errorMessage"]?.stringValue?.hasSuffix("\nCould not find public function for 'messages:lst'.") == true)
            let wrongKind = try await worker.call(.mutation, "messages:list")
            #expect(wrongKind.status == 200)
            #expect(
                wrongKind.json?["errorMessage"]?.stringValue?
                    .hasSuffix("\nTrying to execute messages.js:list as Mutation, but it is defined as Query.") == true)
        }
    }

    @Test("a batch of queries is answered in order, each with its own outcome")
    func batch() async throws {
        try await withTestWorker { worker in
            let user = try await worker.signUp("Ana")
            let answer = try await worker.post(
                "/api/query_batch",
                [
                    "queries": [
                        ["path": "auth:getCurrentUser", "args": [[:]]], ["path": "messages:lst", "args": [:]],
                        ["path": "auth:isAuthenticated", "args": [:]],
                    ]
                ], token: user.token)
            let results = answer.json?["results"]
            #expect(results?.arrayValue?.count == 3)
            #expect(results?[0]?["value"]?["_id"] == "\(user.id)")
            #expect(results?[1]?["errorData"]?["code"] == "not_found")
            #expect(results?[2]?["value"] == true)
            let tooMany = try await worker.post(
                "/api/query_batch",
                ["queries": .array(Array(repeating: ["path": "auth:isAuthenticated", "args": [:]], count: 101))])
            #expect(tooMany.status == 400)
        }
    }

    @Test("queries at one timestamp are of one moment, however much is written in between")
    func consistentReads() async throws {
        try await withTestWorker { worker in
            let scene = try await Scene(worker)
            // JavaScript sends an empty body.
            let held = try await worker.request(.POST, "/api/query_ts", headers: ["Content-Type": "application/json"])
            let timestamp = try #require(held.json?["ts"]?.stringValue)
            #expect(Base64.decode(littleEndian: timestamp) != nil)
            func read(_ path: String, _ arguments: JSON) async throws -> HTTPAnswer {
                try await worker.post(
                    "/api/query_at_ts",
                    ["path": .string(path), "args": [arguments], "ts": .string(timestamp), "format": "convex_encoded_json"], token: scene.owner.token)
            }
            let first = try await read("messages:list", ["conversationId": "\(scene.conversation)"])
            try await worker.send("too late", from: scene.participant, to: scene.owner)
            let second = try await read("messages:list", ["conversationId": "\(scene.conversation)"])
            let inbox = try await read("messages:listConversations", [:])
            let now = try await worker.value("messages:list", ["conversationId": "\(scene.conversation)"], as: scene.owner)
            #expect(first.value?["page"]?.arrayValue?.count == 1, "\(first.text)")
            #expect(second.value == first.value)
            #expect(inbox.value?["page"]?[0]?["unreadCount"] == 1)
            #expect(now["page"]?.arrayValue?.count == 2)
        }
    }

    @Test("a timestamp that is not held any more is refused")
    func oldTimestamp() async throws {
        try await withTestWorker { worker in
            let held = try await worker.request(.POST, "/api/query_ts")
            let timestamp = try #require(held.json?["ts"]?.stringValue)
            try await worker.sql("UPDATE held_snapshots SET expires_at = now() - interval '1 second'")
            let answer = try await worker.post("/api/query_at_ts", ["path": "auth:isAuthenticated", "args": [:], "ts": .string(timestamp)])
            #expect(answer.status == 503)
            #expect(answer.json?["code"] == "OutOfRetention")
        }
    }

    // MARK: Pages about the worker

    @Test("the worker says who and how it is")
    func servicePages() async throws {
        try await withTestWorker { worker in
            for page in ["/", "/version", "/instance_version", "/instance_name", "/health/live"] {
                let answer = try await worker.request(.GET, page)
                #expect(answer.status == 200, "\(page)")
                #expect(!answer.text.isEmpty, "\(page)")
                #expect(answer.headers.first(name: "Content-Type")?.hasPrefix("text/plain") == true, "\(page)")
            }
            try await eventually("the worker is ready") { try await worker.request(.GET, "/health/ready").status == 200 }
            let ready = try await worker.request(.GET, "/health/ready")
            #expect(ready.json?["ready"] == true)
            #expect(ready.json?["database"] == true)
            let event = try await worker.post("/api/debug_event", ["event": "LongWebsocketDisconnect"])
            #expect(event.status == 200)
            let discovery = try await worker.request(.GET, "/.well-known/openid-configuration")
            #expect(discovery.json?["issuer"] == "http://attune.test")
            #expect(discovery.json?["jwks_uri"] == "http://attune.test/.well-known/jwks.json")
            let keys = try await worker.request(.GET, "/.well-known/jwks.json")
            #expect(keys.json?["keys"]?[0]?["kty"] == "RSA")
            #expect(keys.json?["keys"]?[0]?["d"] == nil)
        }
    }

    @Test("what does not exist is 404, and a wrong method is none of ours")
    func unknownRoutes() async throws {
        try await withTestWorker { worker in
            for (method, uri) in [
                (.GET, "/nothing"), (.POST, "/api/nothing"), (.GET, "/api/1.45.0/sync"), (.GET, "/api/sync"), (.GET, "/.env"),
                (.GET, "/../../etc/passwd"), (.DELETE, "/api/query"), (.GET, "/api/mutation?path=messages:send&args=%7B%7D"),
            ] as [(HTTPMethod, String)] {
                let answer = try await worker.request(method, uri)
                #expect((400..<500).contains(answer.status), "\(method) \(uri): \(answer.status) \(answer.text)")
                #expect(!answer.text.contains("swift"), "\(method) \(uri): \(answer.status) \(answer.text)")
            }
        }
    }

    // MARK: Pages of other origins

    @Test("a page of any origin may call")
    func preflight() async throws {
        try await withTestWorker { worker in
            for uri in ["/api/query", "/api/mutation", "/api/action", "/api/query_ts", "/api/run/messages/list"] {
                let answer = try await worker.request(
                    .OPTIONS, uri,
                    headers: [
                        "Origin": "https://clinic.example", "Access-Control-Request-Method": "POST",
                        "Access-Control-Request-Headers": "authorization,content-type,convex-client",
                    ])
                #expect(answer.status == 200, "\(uri)")
                #expect(answer.headers["Access-Control-Allow-Origin"] == ["https://clinic.example"], "\(uri)")
                #expect(answer.headers["Access-Control-Allow-Headers"] == ["authorization,content-type,convex-client"], "\(uri)")
                #expect(answer.headers.first(name: "Access-Control-Allow-Methods")?.contains("POST") == true, "\(uri)")
                #expect(answer.headers.first(name: "Vary")?.contains("Origin") == true, "\(uri)")
            }
            // Answers and refusals alike have to be readable by the page.
            let origin: HTTPHeaders = ["Origin": "https://clinic.example", "Content-Type": "application/json"]
            let good = try await worker.request(.POST, "/api/query", headers: origin, body: Array(#"{"path":"auth:isAuthenticated","args":{}}"#.utf8))
            #expect(good.value == false)
            #expect(good.headers["Access-Control-Allow-Origin"] == ["https://clinic.example"])
            let bad = try await worker.request(.POST, "/api/query", headers: origin, body: Array("{".utf8))
            #expect(bad.status == 400)
            #expect(bad.headers["Access-Control-Allow-Origin"] == ["https://clinic.example"])
        }
    }

    @Test("where origins are restricted, the others get no leave")
    func restrictedOrigins() async throws {
        try await withTestWorker(configure: { $0.server.allowsOrigin = { $0 == "https://clinic.example" } }) { worker in
            func preflight(_ origin: String) async throws -> HTTPAnswer {
                try await worker.request(.OPTIONS, "/api/query", headers: ["Origin": origin, "Access-Control-Request-Method": "POST"])
            }
            let allowed = try await preflight("https://clinic.example")
            #expect(allowed.status == 200)
            #expect(allowed.headers["Access-Control-Allow-Origin"] == ["https://clinic.example"])
            for origin in ["https://evil.example", "https://clinic.example.evil.example", "http://clinic.example", "null"] {
                let refused = try await preflight(origin)
                #expect(refused.status == 403, "\(origin)")
                #expect(refused.headers["Access-Control-Allow-Origin"].isEmpty, "\(origin)")
                let answer = try await worker.request(
                    .POST, "/api/query", headers: ["Origin": origin, "Content-Type": "application/json"],
                    body: Array(#"{"path":"auth:isAuthenticated","args":{}}"#.utf8))
                #expect(answer.headers["Access-Control-Allow-Origin"].isEmpty, "\(origin)")
            }
        }
    }

    // MARK: Difficult clients

    @Test("huge headers are refused, and the worker goes on")
    func hugeHeaders() async throws {
        try await withTestWorker { worker in
            let header = String(repeating: "a", count: 1 << 20)
            let answer = try? await worker.request(.GET, "/version", headers: ["X-Huge": header])
            #expect(answer == nil || (400..<500).contains(answer!.status))
            let long = try? await worker.request(.GET, "/" + header)
            #expect(long == nil || (400..<500).contains(long!.status))
            let after = try await worker.request(.GET, "/version")
            #expect(after.status == 200)
        }
    }

    @Test("requests that stop halfway do not hold up others")
    func halfRequests() async throws {
        try await withTestWorker { worker in
            let user = try await worker.signUp("Ana")
            let beginnings = [
                "", "GET /version HT", "POST /api/query HTTP/1.1\r\nHost: a\r\n",
                "POST /api/query HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"path\":",
                "GET /api/1.45.0/sync HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n",
            ]
            var channels: [any Channel] = []
            for number in 0..<200 {
                let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                    .connect(host: worker.host, port: worker.port).get()
                try await channel.writeAndFlush(ByteBuffer(string: beginnings[number % beginnings.count])).get()
                channels.append(channel)
            }
            for _ in 0..<20 {
                let answer = try await worker.call(.query, "auth:getCurrentUser", token: user.token)
                #expect(answer.value?["_id"] == "\(user.id)")
            }
            let client = try await worker.connect(as: user)
            let query = client.add("auth:isAuthenticated")
            let value = try await client.wait(for: "an answer") { $0.value(query) }
            #expect(value == true)
            for channel in channels { channel.close(promise: nil) }
        }
    }

    // MARK: Where requests come from

    private static func signUp(_ number: Int, on worker: TestWorker, forwardedFor: String) async throws -> HTTPAnswer {
        let body: JSON = [
            "path": "auth:signIn",
            "args": [
                "provider": "password",
                "params": ["flow": "signUp", "email": "user\(number)@example.org", "password": "correct horse", "name": "User"],
            ],
        ]
        return try await worker.request(
            .POST, "/api/action", headers: ["Content-Type": "application/json", "X-Forwarded-For": forwardedFor], body: Array(body.text.utf8))
    }

    @Test("X-Forwarded-For of a trusted proxy says where a request comes from; what stands before it is hearsay")
    func trustedProxy() async throws {
        try await withTestWorker(
            configure: {
                $0.newAccountsPerHour = 1
                $0.server.addresses = ClientAddressResolver(trustedProxies: [IPRange("127.0.0.0/8")!, IPRange("10.0.0.0/8")!])
            }
        ) { worker in
            let first = try await Self.signUp(1, on: worker, forwardedFor: "192.0.2.1")
            let elsewhere = try await Self.signUp(2, on: worker, forwardedFor: "198.51.100.1, 10.0.0.1")
            let again = try await Self.signUp(3, on: worker, forwardedFor: "192.0.2.1")
            let pretending = try await Self.signUp(4, on: worker, forwardedFor: "203.0.113.9, 192.0.2.1")
            #expect(first.value?["tokens"]?["token"] != nil, "\(first.text)")
            #expect(elsewhere.value?["tokens"]?["token"] != nil, "\(elsewhere.text)")
            #expect(again.errorCode == "rate_limited", "\(again.text)")
            #expect(pretending.errorCode == "rate_limited", "\(pretending.text)")
        }
    }

    @Test("X-Forwarded-For of anybody else is not believed")
    func untrustedProxy() async throws {
        try await withTestWorker(configure: { $0.newAccountsPerHour = 1 }) { worker in
            let first = try await Self.signUp(1, on: worker, forwardedFor: "192.0.2.1")
            let second = try await Self.signUp(2, on: worker, forwardedFor: "198.51.100.1")
            #expect(first.value?["tokens"]?["token"] != nil, "\(first.text)")
            #expect(second.errorCode == "rate_limited", "\(second.text)")
        }
    }
}
