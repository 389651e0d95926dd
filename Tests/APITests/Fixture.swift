@testable import Accounts
import Crypto
import Domain
import Foundation
import NIOHTTP1
import Postgres
import Registry
import WorkerTestSupport
import Wire
import _CryptoExtras

/// Two people who have written to each other, one who has not, an administrator, and one whose account is gone.
struct Scene: Sendable {
    let worker: TestWorker
    /// Owns `received`, a message of `participant` that is not read.
    let owner: TestUser
    let participant: TestUser
    let stranger: TestUser
    let admin: TestUser
    /// Has nothing to do with anybody.
    let bystander: TestUser
    /// Is there to be removed.
    let leaver: TestUser
    let removed: TestUser
    let conversation: ConversationID
    let received: MessageID
    /// Of `stranger` to `participant`.
    let foreign: MessageID

    init(_ worker: TestWorker) async throws {
        self.worker = worker
        owner = try await worker.signUp("Olga Owner")
        participant = try await worker.signUp("Paul Participant")
        stranger = try await worker.signUp("Stella Stranger")
        admin = try await worker.signUp("Ada Admin", role: .admin)
        bystander = try await worker.signUp("Bruno Bystander")
        leaver = try await worker.signUp("Lena Leaver")
        removed = try await worker.signUp("Rolf Removed")
        try await worker.accounts.removeUser(removed.id)
        received = try await worker.send("hello", from: participant, to: owner)
        foreign = try await worker.send("psst", from: stranger, to: participant)
        conversation = try await worker.conversation(owner, participant)
    }
}

extension TestWorker {
    /// Sends a message over HTTP.
    @discardableResult
    func send(_ content: String, from sender: TestUser, to recipient: TestUser) async throws -> MessageID {
        let answer = try await call(
            .mutation, "messages:send", ["content": .string(content), "recipientId": "\(recipient.id)"], token: sender.token)
        guard let id = answer.value?.stringValue.flatMap({ MessageID($0) }) else { throw UnexpectedAnswer(answer: answer) }
        return id
    }

    /// The value of a query that has to succeed.
    func value(_ path: String, _ arguments: JSON = [:], as user: TestUser) async throws -> JSON {
        let answer = try await call(.query, path, arguments, token: user.token)
        guard let value = answer.value else { throw UnexpectedAnswer(answer: answer) }
        return value
    }

    /// What the tables hold, as one text. Rate limits, security events and usage tell of attempts, and held snapshots are no content.
    func contents() async throws -> String {
        let rows = try await sql(
            """
            SELECT string_agg(
                tables.table_name || ' ' || md5(query_to_xml(format('SELECT row::text FROM %I AS row ORDER BY 1', tables.table_name), true, false, '')::text),
                E'\\n' ORDER BY tables.table_name)
            FROM information_schema.tables AS tables
            WHERE tables.table_schema = 'public'
              AND tables.table_type = 'BASE TABLE'
              AND tables.table_name NOT IN ('rate_limits', 'held_snapshots', 'function_calls', 'session_activity', 'hosts')
              AND tables.table_name !~ '^(security_event|ingest_)'
            """)
        return try rows[0].decode(0, as: String.self)
    }

    /// Posts a body as it is.
    func post(_ uri: String, text: String, token: String? = nil) async throws -> HTTPAnswer {
        var headers: HTTPHeaders = ["Content-Type": "application/json"]
        if let token { headers.add(name: "Authorization", value: "Bearer \(token)") }
        return try await request(.POST, uri, headers: headers, body: Array(text.utf8))
    }
}

/// A call that should have succeeded.
struct UnexpectedAnswer: Error, CustomStringConvertible {
    let answer: HTTPAnswer
    var description: String { "\(answer.status): \(answer.text)" }
}

/// Tokens that are not good, signed with the worker's own key unless they say otherwise.
extension TestWorker {
    /// A token that another issuer has signed for this user and session.
    func tokenOfAnotherIssuer(_ user: TestUser) throws -> String {
        try AccessTokens(issuer: "https://elsewhere.example", keys: accounts.keys).issue(for: user.id, session: user.sessionID, at: .now())
    }

    /// A token of two hours ago.
    func expiredToken(_ user: TestUser) throws -> String {
        try AccessTokens(issuer: accounts.issuer, keys: accounts.keys)
            .issue(for: user.id, session: user.sessionID, at: .now() + .seconds(-7200))
    }

    /// The user's token with a header and claims that `change` has changed, signed again.
    func token(_ user: TestUser, signed: Bool = true, _ change: (inout [String: Any], inout [String: Any]) -> Void) throws -> String {
        let parts = user.token.split(separator: ".")
        func object(_ part: Substring) throws -> [String: Any] {
            try JSONSerialization.jsonObject(with: Base64URL.decode(part.utf8)!) as! [String: Any]
        }
        var (header, claims) = (try object(parts[0]), try object(parts[1]))
        change(&header, &claims)
        let content = try [header, claims].map { Base64URL.encode(try JSONSerialization.data(withJSONObject: $0)) }.joined(separator: ".")
        guard signed else { return content + "." }
        let signature = try accounts.keys.newest.key.signature(for: SHA256.hash(data: Data(content.utf8)), padding: .insecurePKCS1v1_5)
        return content + "." + Base64URL.encode(signature.rawRepresentation)
    }
}

extension Accounts {
    /// What the tokens of this installation say of themselves.
    fileprivate var issuer: String { "http://attune.test" }
}
