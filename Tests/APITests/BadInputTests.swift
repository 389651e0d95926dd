import Domain
import NIOHTTP1
import Registry
import TestSupport
import Testing
import Wire
import WorkerTestSupport

/// Input that is wrong gets a clear answer and changes nothing.
@Suite("Bad input")
struct BadInputTests {
    // MARK: Function calls, over HTTP and socket

    /// A call by `owner` that has to be refused.
    struct Case: Sendable {
        let kind: FunctionKind
        let path: String
        /// As JSON text.
        let arguments: String
        let code: APIError.Code
        /// `details.path` of the ApiError.
        var field: String?

        init(_ kind: FunctionKind, _ path: String, _ arguments: String, _ code: APIError.Code = .validationError, at field: String? = nil) {
            (self.kind, self.path, self.arguments, self.code, self.field) = (kind, path, arguments, code, field)
        }
    }

    private static func cases(_ scene: Scene) async throws -> [Case] {
        let nobody = UserID(.v7(milliseconds: 0))
        let recipient = #""recipientId":"\#(scene.participant.id)""#
        let conversation = #""conversationId":"\#(scene.conversation)""#
        let worker = scene.worker
        let foreignConversation = try await worker.conversation(scene.stranger, scene.participant)
        func cursor(_ conversation: ConversationID, of user: TestUser) async throws -> String {
            let page = try await worker.value("messages:list", ["conversationId": "\(conversation)"], as: user)
            return try #require(page["continueCursor"]?.stringValue)
        }
        let ownCursor = try await cursor(scene.conversation, of: scene.owner)
        let foreignCursor = try await cursor(foreignConversation, of: scene.stranger)
        let otherDigit = ownCursor.hasPrefix("A") ? "B" : "A"
        let tamperedCursor = otherDigit + ownCursor.dropFirst()
        func long(_ count: Int) -> String { String(repeating: "a", count: count) }

        let send = [
            ("{}", ".content"),
            ("{\"content\":\"hello\"}", ".recipientId"),
            ("{\"content\":1,\(recipient)}", ".content"),
            ("{\"content\":null,\(recipient)}", ".content"),
            ("{\"content\":[\"hello\"],\(recipient)}", ".content"),
            ("{\"content\":\"hello\",\(recipient),\"senderId\":\"\(scene.participant.id)\"}", ".senderId"),
            ("{\"content\":\"a\\u0000b\",\(recipient)}", ".content"),
            ("{\"content\":\"a\\ud800b\",\(recipient)}", ""),
            ("{\"content\":\"\",\(recipient)}", ".content"),
            ("{\"content\":\" \\n\\u00a0\",\(recipient)}", ".content"),
            ("{\"content\":\"\(long(16385))\",\(recipient)}", ".content"),
            // 8192 characters of two bytes, and one more byte.
            ("{\"content\":\"a\(String(repeating: "é", count: 8192))\",\(recipient)}", ".content"),
            ("{\"content\":\"hello\",\"recipientId\":\"\(scene.received)\"}", ".recipientId"),
            ("{\"content\":\"hello\",\"recipientId\":\"\(scene.participant.id.uuid)\"}", ".recipientId"),
            ("{\"content\":\"hello\",\"recipientId\":\"' OR 1=1 --\"}", ".recipientId"),
            ("{\"content\":\"hello\",\"recipientId\":\"\(scene.owner.id)\"}", ".recipientId"),
            ("{\"content\":\"hello\",\(recipient),\"clientMessageId\":\"\"}", ".clientMessageId"),
            ("{\"content\":\"hello\",\(recipient),\"clientMessageId\":null}", ".clientMessageId"),
            ("{\"content\":\"hello\",\(recipient),\"clientMessageId\":\"\(long(129))\"}", ".clientMessageId"),
            ("{\"content\":{\"$integer\":\"5\"},\(recipient)}", ""),
            ("{\"content\":{\"$integer\":\"BQAAAAAAAAA=\"},\(recipient)}", ".content"),
            ("{\"content\":\"hello\",\(recipient),\"$where\":\"1=1\"}", ""),
            ("{\"content\":\"hello\",\(recipient),\"é\":1}", ""),
        ].map { Case(.mutation, "messages:send", $0.0, at: $0.1) }
        let goneRecipients = [nobody, scene.removed.id].map {
            Case(.mutation, "messages:send", #"{"content":"hello","recipientId":"\#($0)"}"#, .notFound)
        }
        let sizes = ["0", "-1", "1000000000", "2.5", "1001", "\"3\"", "null", #"{"$float":"AAAAAAAA+H8="}"#].map {
            Case(.query, "messages:list", "{\(conversation),\"paginationOpts\":{\"numItems\":\($0),\"cursor\":null}}", at: ".paginationOpts.numItems")
        }
        let cursors = [tamperedCursor, foreignCursor, "", "1", "' OR 1=1 --", long(10_000)].flatMap { cursor in
            [
                Case(.query, "messages:list", "{\(conversation),\"paginationOpts\":{\"numItems\":3,\"cursor\":\"\(cursor)\"}}", at: ".paginationOpts.cursor"),
                Case(
                    .query, "messages:listConversations",
                    "{\"paginationOpts\":{\"numItems\":3,\"cursor\":null,\"endCursor\":\"\(cursor)\"}}", at: ".paginationOpts.cursor"),
            ]
        }
        let lists = [
            Case(.query, "messages:list", "{}", at: ".conversationId"),
            Case(.query, "messages:list", #"{"conversationId":"\#(scene.owner.id)"}"#, at: ".conversationId"),
            Case(.query, "messages:list", "{\(conversation),\"paginationOpts\":null}", at: ".paginationOpts"),
            Case(.query, "messages:list", "{\(conversation),\"paginationOpts\":{\"numItems\":3}}", at: ".paginationOpts.cursor"),
            Case(.query, "messages:list", "{\(conversation),\"paginationOpts\":{\"numItems\":3,\"cursor\":null,\"offset\":1}}", at: ".paginationOpts.offset"),
            Case(.query, "messages:list", #"{"conversationId":"\#(ConversationID(.v7(milliseconds: 0)))"}"#, .notFound),
            Case(.query, "messages:list", #"{"conversationId":"\#(foreignConversation)"}"#, .forbidden),
        ]
        let marks = [
            Case(.mutation, "messages:markAsRead", "{}", at: ".messageIds"),
            Case(.mutation, "messages:markAsRead", #"{"messageIds":"\#(scene.received)"}"#, at: ".messageIds"),
            Case(.mutation, "messages:markAsRead", #"{"messageIds":["\#(scene.received)","\#(scene.owner.id)"]}"#, at: ".messageIds[1]"),
            Case(
                .mutation, "messages:markAsRead",
                "{\"messageIds\":[" + Array(repeating: "\"\(scene.received)\"", count: 1001).joined(separator: ",") + "]}", at: ".messageIds"),
            // All or nothing.
            Case(.mutation, "messages:markAsRead", #"{"messageIds":["\#(scene.received)","\#(scene.foreign)"]}"#, .forbidden),
            Case(.mutation, "messages:markAsRead", #"{"messageIds":["\#(scene.received)","\#(MessageID(.v7(milliseconds: 0)))"]}"#, .notFound),
        ]
        let profiles = [
            (#"{"name":""}"#, ".name"), (#"{"name":" \t"}"#, ".name"), ("{\"name\":\"\(long(201))\"}", ".name"), (#"{"name":"a\nb"}"#, ".name"),
            (#"{"name":"a\u0000"}"#, ".name"), (#"{"name":null}"#, ".name"), ("{\"bio\":\"\(long(16385))\"}", ".bio"),
            (#"{"avatarUrl":"javascript:alert(1)"}"#, ".avatarUrl"), (#"{"avatarUrl":"https://"}"#, ".avatarUrl"),
            (#"{"avatarUrl":"https://example.org/a b"}"#, ".avatarUrl"), ("{\"avatarUrl\":\"https://\(long(8192))\"}", ".avatarUrl"),
            (#"{"role":"admin"}"#, ".role"), (#"{"email":"a@example.org"}"#, ".email"), (#"{"name":"New Name","role":"admin"}"#, ".role"),
        ].map { Case(.mutation, "users:updateProfile", $0.0, at: $0.1) }
        let users = [
            Case(.query, "users:search", "{}", at: ".query"),
            Case(.query, "users:search", #"{"query":5}"#, at: ".query"),
            Case(.query, "users:search", #"{"query":"a","limit":1000}"#, at: ".limit"),
            Case(.query, "users:search", "{\"query\":\"\(long(801))\"}", at: ".query"),
            Case(.query, "users:getProfile", #"{"userId":"\#(scene.received)"}"#, at: ".userId"),
            Case(.query, "users:getProfile", #"{"userId":"\#(nobody)"}"#, .notFound),
            Case(.query, "auth:getCurrentUser", #"{"userId":"\#(scene.admin.id)"}"#, at: ".userId"),
        ]
        let signIns = [
            ("{}", ".provider"), (#"{"provider":"github","params":{}}"#, ".provider"), (#"{"provider":"password"}"#, ".params.flow"),
            (#"{"provider":"password","params":"flow"}"#, ".params"), (#"{"provider":"password","params":{"flow":"reset"}}"#, ".params.flow"),
            (#"{"provider":"password","params":{"flow":"signUp"}}"#, ".params.email"),
            (#"{"provider":"password","params":{"flow":"signUp","email":"nobody","password":"correct horse","name":"N"}}"#, ".params.email"),
            (#"{"provider":"password","params":{"flow":"signUp","email":"n@example.org","password":"short","name":"N"}}"#, ".params.password"),
            (#"{"provider":"password","params":{"flow":"signUp","email":"n@example.org","password":"correct horse","name":""}}"#, ".params.name"),
            (
                #"{"provider":"password","params":{"flow":"signUp","email":"n@example.org","password":"correct horse","name":"N","accountType":"boss"}}"#,
                ".params.accountType"
            ),
            (#"{"provider":"password","params":{"flow":"signIn","email":5,"password":"correct horse"}}"#, ".params.email"),
            (#"{"provider":5}"#, ".provider"), (#"{"refreshToken":null}"#, ".refreshToken"),
        ].map { Case(.action, "auth:signIn", $0.0, at: $0.1) }
        let strangeFunctions = [
            Case(.query, "messages:lst", "{}", .notFound), Case(.mutation, "nothing", "{}", .notFound), Case(.action, "", "{}", .notFound),
            Case(.query, "../../etc/passwd:read", "{}", .notFound), Case(.query, "messages:send", "{}"), Case(.mutation, "messages:list", "{}"),
            Case(.action, "messages:send", "{}"), Case(.query, "auth:signIn", "{}"), Case(.mutation, "auth:getCurrentUser", "{}"),
        ]
        return send + goneRecipients + sizes + cursors + lists + marks + profiles + users + signIns + strangeFunctions
    }

    private static func check(_ errorData: JSON?, _ message: String?, of bad: Case) {
        let label = "\(bad.path) \(bad.arguments.prefix(200)): \(errorData?.text ?? "none")"
        #expect(errorData?["code"]?.stringValue == bad.code.rawValue, "\(label)")
        #expect(errorData?["message"]?.stringValue?.isEmpty == false, "\(label)")
        if let field = bad.field { #expect(errorData?["details"]?["path"]?.stringValue == field, "\(label)") }
        if bad.field == ".paginationOpts.cursor", bad.arguments.contains("ursor\":\"") {
            // What makes stock hooks start over (convex-protocol.md 5).
            #expect(errorData?["isConvexSystemError"] == true, "\(label)")
            #expect(errorData?["paginationError"] == "InvalidCursor", "\(label)")
            #expect(message?.contains("InvalidCursor") == true, "\(label)")
        }
        // A request id and a sentence, and nothing of our insides.
        #expect(message?.hasPrefix("[Request ID: ") == true, "\(label)")
        #expect(message?.contains("SELECT") == false && message?.contains(".swift") == false, "\(label)")
    }

    @Test("over HTTP a bad call is refused as an ApiError, and changes nothing")
    func callsOverHTTP() async throws {
        try await withTestWorker { worker in
            let scene = try await Scene(worker)
            let before = try await worker.contents()
            for bad in try await Self.cases(scene) {
                let body = "{\"path\":\(JSON.string(bad.path).text),\"args\":\(bad.arguments),\"format\":\"convex_encoded_json\"}"
                let answer = try await worker.post("/api/\(bad.kind.rawValue.lowercased())", text: body, token: scene.owner.token)
                #expect(answer.status == 200, "\(bad.path) \(bad.arguments.prefix(200)): \(answer.text)")
                #expect(answer.json?["status"] == "error", "\(bad.path) \(bad.arguments.prefix(200)): \(answer.text)")
                Self.check(answer.json?["errorData"], answer.json?["errorMessage"]?.stringValue, of: bad)
            }
            #expect(try await worker.contents() == before)
        }
    }

    @Test("over the socket a bad call is refused as an ApiError, changes nothing, and the socket lives on")
    func callsOverTheSocket() async throws {
        try await withTestWorker { worker in
            let scene = try await Scene(worker)
            let before = try await worker.contents()
            let client = try await worker.connect(as: scene.owner)
            for bad in try await Self.cases(scene) {
                let arguments = try JSON(parsing: bad.arguments.utf8)
                switch bad.kind {
                case .query:
                    let id = client.add(bad.path, arguments)
                    let result = try await client.wait(for: "the refusal of \(bad.path) \(bad.arguments.prefix(200))") { $0.results[id] }
                    #expect(result["type"] == "QueryFailed")
                    Self.check(result["errorData"], result["errorMessage"]?.stringValue, of: bad)
                    client.remove(id)
                case .mutation, .action:
                    let id = bad.kind == .mutation ? client.mutate(bad.path, arguments) : client.act(bad.path, arguments)
                    let response = try await client.wait(for: "the refusal of \(bad.path) \(bad.arguments.prefix(200))") { $0.responses[id] }
                    #expect(response["success"] == false)
                    Self.check(response["errorData"], response["result"]?.stringValue, of: bad)
                }
            }
            #expect(try await worker.contents() == before)
            let good = client.add("auth:isAuthenticated")
            let stillThere = try await client.wait(for: "an answer") { $0.value(good) }
            #expect(stillThere == true)
        }
    }

    @Test("arguments are one object, or an array that holds just that")
    func argumentForms() async throws {
        try await withTestWorker { worker in
            let user = try await worker.signUp("Ana")
            for arguments in ["{}", "[{}]"] {
                let answer = try await worker.post("/api/query", text: #"{"path":"auth:getCurrentUser","args":\#(arguments)}"#, token: user.token)
                #expect(answer.value?["_id"] == "\(user.id)", "\(arguments): \(answer.text)")
            }
            for arguments in ["[]", "[{},{}]", "[[]]", "[null]", "null", "5", #""{}""#, "true"] {
                let answer = try await worker.post("/api/query", text: #"{"path":"auth:getCurrentUser","args":\#(arguments)}"#, token: user.token)
                #expect(answer.status == 200, "\(arguments): \(answer.text)")
                #expect(answer.errorCode == "validation_error", "\(arguments): \(answer.text)")
                #expect(answer.json?["errorMessage"]?.stringValue?.contains("ArgumentValidationError: Expected to receive") == true, "\(arguments): \(answer.text)")
            }
        }
    }

    // MARK: Requests that are no calls

    @Test("a request that is no call is refused as `{code, message}`, and changes nothing")
    func requests() async throws {
        try await withTestWorker { worker in
            let scene = try await Scene(worker)
            let before = try await worker.contents()
            let token = scene.owner.token
            let good = #"{"path":"messages:send","args":{"content":"hello","recipientId":"\#(scene.participant.id)"},"format":"json"}"#
            let deep = "{\"path\":\"messages:send\",\"args\":" + String(repeating: "[", count: 10_000) + String(repeating: "]", count: 10_000) + "}"
            let large = "{\"path\":\"messages:send\",\"args\":{\"content\":\"" + String(repeating: "a", count: 5 << 20) + "\"}}"
            typealias Request = (uri: String, headers: HTTPHeaders, body: [UInt8], status: Int, code: String)
            func request(_ uri: String, _ body: String, _ status: Int, _ code: String, _ headers: HTTPHeaders = [:]) -> Request {
                var all: HTTPHeaders = ["Content-Type": "application/json", "Authorization": "Bearer \(token)"]
                for (name, value) in headers { all.replaceOrAdd(name: name, value: value) }
                return (uri, all, Array(body.utf8), status, code)
            }
            var requests: [Request] = [
                request("/api/mutation", "", 400, "BadJsonBody"),
                request("/api/mutation", String(good.dropLast()), 400, "BadJsonBody"),
                request("/api/mutation", good + "}", 400, "BadJsonBody"),
                request("/api/mutation", "[\(good)]", 400, "BadJsonBody"),
                request("/api/mutation", "path=messages:send", 400, "BadJsonBody"),
                request("/api/mutation", #"{"args":{}}"#, 400, "BadJsonBody"),
                request("/api/mutation", #"{"path":"messages:send"}"#, 400, "BadJsonBody"),
                request("/api/mutation", #"{"path":5,"args":{}}"#, 400, "BadJsonBody"),
                request("/api/mutation", #"{"path":"\ud800","args":{}}"#, 400, "BadJsonBody"),
                request("/api/mutation", deep, 400, "BadJsonBody"),
                request("/api/mutation", large, 413, "RequestTooLarge"),
                request("/api/mutation", good, 400, "BadJsonBody", ["Content-Type": "text/plain"]),
                request("/api/mutation", good, 400, "BadJsonBody", ["Content-Type": "application/x-www-form-urlencoded"]),
                request("/api/mutation", good.replacing(#""json""#, with: #""xml""#), 400, "BadFormat"),
                request("/api/mutation", good.replacing(#""json""#, with: "5"), 400, "BadFormat"),
                request("/api/mutation", good, 400, "InvalidClientVersion", ["Convex-Client": "nodash"]),
                request("/api/mutation", good, 400, "InvalidAuthHeader", ["Authorization": "Basic YTpi"]),
                request("/api/mutation", good, 400, "InvalidAuthHeader", ["Authorization": "Convex admin-key"]),
                request("/api/mutation", good, 400, "InvalidAuthHeader", ["Authorization": "x"]),
                request("/api/mutation", good, 401, "InvalidAuthHeader", ["Authorization": "Bearer nonsense"]),
                request("/api/run/messages", #"{"args":{}}"#, 400, "MissingIdentifier"),
                request("/api/query_batch", "{}", 400, "BadJsonBody"),
                request("/api/query_at_ts", #"{"path":"auth:getCurrentUser","args":{}}"#, 400, "BadJsonBody"),
                request("/api/query_at_ts", #"{"path":"auth:getCurrentUser","args":{},"ts":"5"}"#, 400, "BadJsonBody"),
                request("/api/query_at_ts", #"{"path":"auth:getCurrentUser","args":{},"ts":"0gQAAAAAAAA="}"#, 503, "OutOfRetention"),
                request("/api/query_at_ts", #"{"path":"auth:getCurrentUser","args":{},"ts":"//////////8="}"#, 503, "OutOfRetention"),
            ]
            var invalidUTF8 = request("/api/mutation", good.replacing("hello", with: "?"), 400, "BadJsonBody")
            invalidUTF8.body[try #require(invalidUTF8.body.firstIndex(of: UInt8(ascii: "?")))] = 0xFF
            requests.append(invalidUTF8)
            for bad in requests {
                let answer = try await worker.request(.POST, bad.uri, headers: bad.headers, body: bad.body)
                let label = "\(bad.uri) \(bad.headers) \(String(decoding: bad.body.prefix(100), as: UTF8.self)): \(answer.status) \(answer.text)"
                #expect(answer.status == bad.status, "\(label)")
                #expect(answer.json?["code"]?.stringValue == bad.code, "\(label)")
                #expect(answer.json?["message"]?.stringValue?.isEmpty == false, "\(label)")
            }
            #expect(try await worker.contents() == before)
        }
    }

    @Test("a token that is not exactly ours is refused, over HTTP and on the socket")
    func tokens() async throws {
        try await withTestWorker { worker in
            let user = try await worker.signUp("Ana")
            let other = try await worker.signUp("Ben")
            let parts = user.token.split(separator: ".").map(String.init)
            let otherParts = other.token.split(separator: ".").map(String.init)
            let tokens: [(name: String, token: String, code: String)] = [
                ("no algorithm", try worker.token(user, signed: false) { header, _ in header["alg"] = "none" }, "Unauthenticated"),
                ("no algorithm, signed", try worker.token(user) { header, _ in header["alg"] = "none" }, "Unauthenticated"),
                ("another algorithm", try worker.token(user) { header, _ in header["alg"] = "HS256" }, "Unauthenticated"),
                ("an unknown key", try worker.token(user) { header, _ in header["kid"] = "../../etc/passwd" }, "Unauthenticated"),
                ("no key", try worker.token(user) { header, _ in header["kid"] = nil }, "Unauthenticated"),
                ("another audience", try worker.token(user) { _, claims in claims["aud"] = "elsewhere" }, "NoAuthProvider"),
                ("one audience too many", try worker.token(user) { _, claims in claims["aud"] = ["convex", "elsewhere"] }, "NoAuthProvider"),
                ("another issuer", try worker.tokenOfAnotherIssuer(user), "NoAuthProvider"),
                ("expired", try worker.expiredToken(user), "Unauthenticated"),
                ("no expiry", try worker.token(user) { _, claims in claims["exp"] = nil }, "InvalidAuthHeader"),
                ("somebody else's session", try worker.token(user) { _, claims in claims["sub"] = "\(other.id)|\(user.sessionID)" }, "Unauthenticated"),
                ("no signature", parts[0] + "." + parts[1] + ".", "Unauthenticated"),
                ("another token's claims", parts[0] + "." + otherParts[1] + "." + parts[2], "Unauthenticated"),
                ("too few parts", parts[0] + "." + parts[1], "InvalidAuthHeader"),
                ("too long", user.token + String(repeating: "A", count: 5000), "InvalidAuthHeader"),
            ]
            for (name, token, code) in tokens {
                let answer = try await worker.call(.query, "auth:getCurrentUser", token: token)
                #expect(answer.status == 401, "\(name): \(answer.text)")
                #expect(answer.json?["code"]?.stringValue == code, "\(name): \(answer.text)")

                let client = try await worker.connect()
                client.authenticate(token)
                let query = client.add("auth:getCurrentUser")
                try await client.waitForClose()
                let refusal = client.state.last("AuthError")
                #expect(refusal?["authUpdateAttempted"] == true, "\(name)")
                #expect(refusal?["baseVersion"] == 0, "\(name)")
                #expect(client.state.results[query] == nil, "\(name)")
            }
            // The changes above are what was refused: the token as it is passes.
            let unchanged = try await worker.call(.query, "auth:getCurrentUser", token: try worker.token(user) { _, _ in })
            #expect(unchanged.value?["_id"] == "\(user.id)")
        }
    }

    @Test("a message of 16 KiB passes")
    func longestMessage() async throws {
        try await withTestWorker { worker in
            let scene = try await Scene(worker)
            for content in [String(repeating: "a", count: 16384), String(repeating: "é", count: 8192)] {
                let id = try await worker.send(content, from: scene.owner, to: scene.participant)
                let page = try await worker.value("messages:list", ["conversationId": "\(scene.conversation)"], as: scene.participant)
                #expect(page["page"]?[0]?["_id"] == "\(id)")
                #expect(page["page"]?[0]?["content"]?.stringValue == content)
            }
        }
    }

    @Test("a page size may come as 3 or 3.0")
    func wholeNumbers() async throws {
        try await withTestWorker { worker in
            let scene = try await Scene(worker)
            for number in ["3", "3.0", "0.3e1"] {
                let answer = try await worker.post(
                    "/api/query",
                    text: #"{"path":"messages:listConversations","args":{"paginationOpts":{"numItems":\#(number),"cursor":null}}}"#,
                    token: scene.owner.token)
                #expect(answer.value?["page"]?.arrayValue?.count == 1, "\(number): \(answer.text)")
            }
        }
    }
}
