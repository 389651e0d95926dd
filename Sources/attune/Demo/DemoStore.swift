import Domain
import Foundation
import Postgres

/// The demo's rows go into the tables as anybody's could: by plain INSERT, with times in the past.
struct DemoStore {
    let database: any StatementExecutor

    /// Whether one of these has an account.
    func knows(anyOf people: [DemoPerson]) async throws -> Bool {
        try await !ids(of: people).isEmpty
    }

    /// Makes the accounts that are not there yet.
    ///
    /// - Returns: ids by e-mail address.
    func insert(_ users: [DemoRows.User], of people: [DemoPerson]) async throws -> [String: UserID] {
        try await insert(users, with: Self.users)
        return try await ids(of: people)
    }

    func insert(_ history: DemoHistory) async throws {
        try await insert(history.conversations, with: Self.conversations)
        try await insert(history.messages, with: Self.messages)
        try await insert(history.activity, with: Self.activity)
        try await insert(history.calls, with: Self.calls)
        try await insert(history.events, with: Self.events)
    }

    private func ids(of people: [DemoPerson]) async throws -> [String: UserID] {
        let rows = try await database.execute(Self.ids(PostgresArray(people.map(\.email))))
        let pairs = try rows.map { (try $0.decode(0, as: String.self), try $0.decode(1, as: UserID.self)) }
        return Dictionary(uniqueKeysWithValues: pairs)
    }

    private func insert(_ rows: [some Encodable], with statement: Statement) async throws {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.dateEncodingStrategy = .iso8601
        _ = try await database.execute(statement(String(decoding: encoder.encode(rows), as: UTF8.self)))
    }

    private static let ids = Statement("demo.ids", "SELECT email, id FROM users WHERE email = ANY ($1)")

    private static let users = Statement(
        "demo.users",
        """
        INSERT INTO users (id, email, name, bio, role, account_type, password_hash, created_at)
        SELECT id, email, name, bio, role, account_type, password_hash, created_at
        FROM json_populate_recordset(NULL::users, $1::text::json)
        ON CONFLICT (email) DO NOTHING
        """)

    private static let conversations = Statement(
        "demo.conversations",
        """
        INSERT INTO conversations (id, low_user_id, high_user_id, created_at)
        SELECT id, low_user_id, high_user_id, created_at
        FROM json_populate_recordset(NULL::conversations, $1::text::json)
        """)

    private static let messages = Statement(
        "demo.messages",
        """
        INSERT INTO messages (id, conversation_id, sender_id, recipient_id, content, read, created_at)
        SELECT id, conversation_id, sender_id, recipient_id, content, read, created_at
        FROM json_populate_recordset(NULL::messages, $1::text::json)
        """)

    private static let activity = Statement(
        "demo.activity",
        """
        INSERT INTO session_activity (worker_id, report, session_id, user_id, first_at, last_at)
        SELECT worker_id, report, session_id, user_id, first_at, last_at
        FROM json_populate_recordset(NULL::session_activity, $1::text::json)
        """)

    private static let calls = Statement(
        "demo.calls",
        """
        INSERT INTO function_calls
            (worker_id, report, function, recorded_at, calls, failed_calls, microseconds, durations, counts)
        SELECT worker_id, report, function, recorded_at, calls, failed_calls, microseconds, durations, counts
        FROM json_populate_recordset(NULL::function_calls, $1::text::json)
        """)

    private static let events = Statement(
        "demo.events",
        """
        INSERT INTO security_events (id, occurred_at, type, severity, user_id, ip, metadata)
        SELECT id, occurred_at, type, severity, user_id, ip, metadata
        FROM json_populate_recordset(NULL::security_events, $1::text::json)
        """)
}
