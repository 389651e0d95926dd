import Domain
import NIOHTTP1
import Registry
import TestSupport
import Wire

/// A row of `security_events`.
public struct StoredEvent: Sendable, CustomStringConvertible {
    public let type: String
    public let severity: String
    public let user: UserID?
    public let ip: String?
    public let source: String
    public let details: String
    public let context: JSON?

    public var session: SessionID? { context?["session"]?.stringValue.flatMap { SessionID($0) } }
    public var function: String? { context?["function"]?.stringValue }
    public var count: Double? { if case .number(let number)? = context?["count"] { number } else { nil } }

    public var description: String {
        "\(type) \(severity) \(user.map { "\($0)" } ?? "-") \(ip ?? "-") \(source) \(details) \(context?.text ?? "-")"
    }
}

extension TestWorker {
    /// What workers have reported and is stored, in the order of their times.
    public func storedEvents(_ type: String? = nil) async throws -> [StoredEvent] {
        let rows = try await sql(
            """
            SELECT type, severity, user_id::text, host(ip), metadata ->> 'source', metadata ->> 'details', metadata ->> 'context'
            FROM security_events
            WHERE metadata ->> 'source' LIKE 'attune:api/%'
            ORDER BY occurred_at, id
            """)
        return try rows.map { row in
            StoredEvent(
                type: try row.decode(0), severity: try row.decode(1),
                user: try row.decode(2, as: String?.self).flatMap { UUIDBits($0) }.map { UserID($0) }, ip: try row.decode(3),
                source: try row.decode(4), details: try row.decode(5),
                context: try row.decode(6, as: String?.self).map { try JSON(parsing: $0.utf8) })
        }.filter { type == nil || $0.type == type }
    }

    /// Waits until so many events of a type are stored, and gives them.
    @discardableResult
    public func waitForEvents(_ type: String, count: Int = 1) async throws -> [StoredEvent] {
        try await eventually("\(count) events \(type)") { try await storedEvents(type).count >= count }
        return try await storedEvents(type)
    }

    /// Calls a function as a client with this address behind a proxy does.
    public func call(
        _ kind: FunctionKind, _ path: String, _ arguments: JSON = [:], token: String? = nil, forwardedFor: String
    ) async throws -> HTTPAnswer {
        var headers: HTTPHeaders = ["Content-Type": "application/json", "X-Forwarded-For": forwardedFor]
        if let token { headers.add(name: "Authorization", value: "Bearer \(token)") }
        let body: JSON = ["path": .string(path), "args": arguments, "format": "convex_encoded_json"]
        return try await request(.POST, "/api/\(kind.rawValue.lowercased())", headers: headers, body: Array(body.text.utf8))
    }

    /// Signs up or in with a password.
    public func passwordFlow(
        _ flow: String, email: String, password: String, name: String? = nil, token: String? = nil
    ) async throws -> HTTPAnswer {
        var params: JSON = ["flow": .string(flow), "email": .string(email), "password": .string(password)]
        if let name { params = params.setting("name", to: .string(name)) }
        return try await call(.action, "auth:signIn", ["provider": "password", "params": params], token: token)
    }
}
