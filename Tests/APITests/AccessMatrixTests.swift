import Domain
import Functions
import Registry
import TestSupport
import Testing
import Wire
import WorkerTestSupport

/// Who may call what: every function × every kind of caller, over HTTP and over the socket.
@Suite("Access matrix")
struct AccessMatrixTests {
    /// Who calls. The last four bring a token that is not good, or no longer.
    enum Role: String, CaseIterable, Sendable {
        case anonymous, stranger, participant, owner, admin
        case signedOut, removed, anotherIssuer, expired

        static let proven: [Role] = [.anonymous, .stranger, .participant, .owner, .admin]
        static let refused: [Role] = [.signedOut, .removed, .anotherIssuer, .expired]
    }

    /// What comes of a function's call, for those whose token is good or who have none: `ok` or the ApiError's code.
    struct Row: Sendable {
        let arguments: @Sendable (Scene) -> JSON
        let outcomes: [Role: String]

        init(
            anonymous: String, stranger: String = "ok", participant: String = "ok", owner: String = "ok", admin: String = "ok",
            _ arguments: @escaping @Sendable (Scene) -> JSON = { _ in [:] }
        ) {
            self.arguments = arguments
            outcomes = [.anonymous: anonymous, .stranger: stranger, .participant: participant, .owner: owner, .admin: admin]
        }
    }

    /// A function that is not in here fails the test below.
    static let rows: [String: Row] = [
        // The refresh token is nobody's: the answer is `{tokens: null}`, whoever asks.
        "auth:signIn": Row(anonymous: "ok") { _ in ["refreshToken": "nobody's"] },
        "auth:signOut": Row(anonymous: "unauthorized"),
        "auth:getCurrentUser": Row(anonymous: "ok"),
        "auth:isAuthenticated": Row(anonymous: "ok"),
        "messages:send": Row(anonymous: "unauthorized") { ["content": "hello", "recipientId": "\($0.bystander.id)"] },
        "messages:list": Row(anonymous: "unauthorized", stranger: "forbidden", admin: "forbidden") {
            ["conversationId": "\($0.conversation)"]
        },
        "messages:markAsRead": Row(anonymous: "unauthorized", stranger: "forbidden", participant: "forbidden", admin: "forbidden") {
            ["messageIds": ["\($0.received)"]]
        },
        "messages:listConversations": Row(anonymous: "unauthorized"),
        "users:getProfile": Row(anonymous: "unauthorized") { ["userId": "\($0.owner.id)"] },
        "users:updateProfile": Row(anonymous: "unauthorized") { _ in ["bio": "hello"] },
        "users:search": Row(anonymous: "unauthorized") { _ in ["query": "o"] },
        "security:getSecurityEvents": Row(anonymous: "unauthorized", stranger: "forbidden", participant: "forbidden", owner: "forbidden"),
        "security:getEventStats": Row(anonymous: "unauthorized", stranger: "forbidden", participant: "forbidden", owner: "forbidden"),
        "admin:getSystemMetrics": Row(anonymous: "unauthorized", stranger: "forbidden", participant: "forbidden", owner: "forbidden"),
        "admin:getUserAnalytics": Row(anonymous: "unauthorized", stranger: "forbidden", participant: "forbidden", owner: "forbidden") {
            _ in ["timeframe": "week"]
        },
        "admin:listUsers": Row(anonymous: "unauthorized", stranger: "forbidden", participant: "forbidden", owner: "forbidden"),
        "admin:removeUser": Row(anonymous: "unauthorized", stranger: "forbidden", participant: "forbidden", owner: "forbidden") {
            ["userId": "\($0.leaver.id)"]
        },
    ]

    /// What a bad token comes to over HTTP, instead of a call.
    static let tokenRefusals: [Role: String] = [
        .signedOut: "401 Unauthenticated", .removed: "401 Unauthenticated", .anotherIssuer: "401 NoAuthProvider",
        .expired: "401 Unauthenticated",
    ]

    @Test("the table has every function of the API, and no other")
    func completeness() {
        let functions = Set(allFunctions.map(\.path.description))
        #expect(Set(Self.rows.keys) == functions)
    }

    @Test("over HTTP every caller gets what the table says")
    func overHTTP() async throws {
        try await withTestWorker { worker in
            let scene = try await Scene(worker)
            for (function, kind) in Self.calls {
                let row = try #require(Self.rows[function.path.description])
                for role in Role.allCases {
                    let answer = try await worker.call(kind, "\(function.path)", row.arguments(scene), token: Self.token(role, scene))
                    let outcome =
                        answer.status == 200
                        ? answer.errorCode ?? (answer.value == nil ? "no value" : "ok")
                        : "\(answer.status) \(answer.json?["code"]?.stringValue ?? "")"
                    #expect(outcome == row.outcomes[role] ?? Self.tokenRefusals[role], "\(function.path) as \(kind) by \(role): \(answer.text)")
                }
            }
        }
    }

    @Test("over the socket every caller gets what the table says, and a bad token gets an AuthError and a close")
    func overTheSocket() async throws {
        try await withTestWorker { worker in
            let scene = try await Scene(worker)
            for function in allFunctions {
                let (kind, row) = (function.kind, try #require(Self.rows[function.path.description]))
                for role in Role.allCases {
                    let client = try await worker.connect()
                    if let token = try await Self.token(role, scene) { client.authenticate(token) }
                    let outcome = try await Self.call(kind, function, row.arguments(scene), on: client)
                    #expect(outcome == row.outcomes[role] ?? "AuthError", "\(function.path) as \(kind) by \(role)")
                    if outcome == "AuthError" { try await client.waitForClose() }
                    client.cut()
                }
            }
        }
    }

    /// Each function as what it is, and as a mutation where it may be called as one.
    private static var calls: [(function: FunctionDefinition, kind: FunctionKind)] {
        allFunctions.map { ($0, $0.kind) } + allFunctions.filter(\.isAlsoMutation).map { ($0, .mutation) }
    }

    /// A token of a new session, since calls may end theirs; nil: none.
    private static func token(_ role: Role, _ scene: Scene) async throws -> String? {
        let worker = scene.worker
        switch role {
        case .anonymous: return nil
        case .stranger: return try await worker.signIn(scene.stranger).token
        case .participant: return try await worker.signIn(scene.participant).token
        case .owner: return try await worker.signIn(scene.owner).token
        case .admin: return try await worker.signIn(scene.admin).token
        case .signedOut:
            let session = try await worker.signIn(scene.owner)
            let answer = try await worker.call(.action, "auth:signOut", token: session.token)
            guard answer.value == .null else { throw UnexpectedAnswer(answer: answer) }
            return session.token
        case .removed: return scene.removed.token
        case .anotherIssuer: return try worker.tokenOfAnotherIssuer(scene.owner)
        case .expired: return try worker.expiredToken(scene.owner)
        }
    }

    private static func call(
        _ kind: FunctionKind, _ function: FunctionDefinition, _ arguments: JSON, on client: SyncClient
    ) async throws -> String {
        let path = "\(function.path)"
        let query = kind == .query ? client.add(path, arguments) : nil
        let request: UInt32? =
            switch kind {
            case .query: nil
            case .mutation: client.mutate(path, arguments)
            case .action: client.act(path, arguments)
            }
        return try await client.wait(for: "what came of \(path)") { state -> String? in
            if let query, let result = state.results[query] {
                return state.errorCode(query) ?? (result["value"] == nil ? "no code" : "ok")
            }
            if let request, let response = state.responses[request] {
                return response["success"] == true ? "ok" : response["errorData"]?["code"]?.stringValue ?? "no code"
            }
            guard state.last("AuthError") != nil else { return nil }
            // The news that a session has ended may overtake the answer to the call that ended it.
            return state.last("AuthError")?["authUpdateAttempted"] == true ? "AuthError" : "ok"
        }
    }
}
