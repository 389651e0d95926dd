import Development
import Domain
import Wire

/// Calls over HTTP, through the proxy.
struct API: Sendable {
    let port: Int

    enum Outcome: Sendable {
        case success(JSON)
        case failure(code: String)
        /// Refused before it reached a function, certainly without effect.
        case refused(status: Int)
        /// Nobody knows whether it took effect.
        case unknown
    }

    func call(_ kind: String, _ path: String, _ arguments: JSON, token: String? = nil) async -> Outcome {
        let body = JSON.record(["path": .string(path), "args": arguments, "format": .string("convex_encoded_json")]).text
        var headers = ["Content-Type": "application/json", "Convex-Client": "npm-1.45.0"]
        if let token { headers["Authorization"] = "Bearer \(token)" }
        guard
            let answer = try? await LocalRequest(host: "127.0.0.1", port: port).send(
                "POST", "/api/\(kind)", headers: headers, body: Array(body.utf8))
        else { return .unknown }
        guard let json = try? JSON(parsing: answer.body) else { return .unknown }
        switch (answer.status, json["status"]?.stringValue) {
        case (200, "success"): return json["value"].map { .success($0) } ?? .unknown
        case (200, "error"): return .failure(code: json["errorData"]?["code"]?.stringValue ?? "?")
        case (400..<500, _): return .refused(status: answer.status)
        case (503, _) where json["code"]?.stringValue == "ServiceUnavailable": return .refused(status: 503)
        default: return .unknown
        }
    }

    /// Nil when it could not be done now.
    func signIn(_ account: World.Account) async -> World.SignIn? {
        let outcome = await call(
            "action", "auth:signIn",
            .record([
                "provider": .string("password"),
                "params": .record(["flow": .string("signIn"), "email": .string(account.email), "password": .string(account.password)]),
            ]))
        return Self.signIn(outcome, account.id)
    }

    /// Makes an account, and gives its id: who has signed up is signed in.
    func signUp(email: String, password: String, name: String) async -> World.Account? {
        let outcome = await call(
            "action", "auth:signIn",
            .record([
                "provider": .string("password"),
                "params": .record([
                    "flow": .string("signUp"), "email": .string(email), "password": .string(password), "name": .string(name),
                    "accountType": .string("client"),
                ]),
            ]))
        guard case .success(let value) = outcome, let token = value["tokens"]?["token"]?.stringValue,
            case .success(let user) = await call("query", "auth:getCurrentUser", .object([]), token: token),
            let id = user["_id"]?.stringValue.flatMap({ UserID($0) })
        else { return nil }
        return World.Account(id: id, email: email, password: password)
    }

    static func signIn(_ outcome: Outcome, _ user: UserID) -> World.SignIn? {
        guard case .success(let value) = outcome else { return nil }
        return signIn(value, user)
    }

    /// Reads `{tokens: {token, refreshToken}}`; the refresh token names the session.
    static func signIn(_ value: JSON, _ user: UserID) -> World.SignIn? {
        guard let token = value["tokens"]?["token"]?.stringValue, let refresh = value["tokens"]?["refreshToken"]?.stringValue,
            let session = refresh.split(separator: "|").last.flatMap({ SessionID($0) })
        else { return nil }
        return World.SignIn(user: user, session: session, token: token)
    }
}
