import Accounts
import Development
import Domain
import Foundation
import Postgres

/// What `attune dev --demo` makes: two people and a few messages between them, and around them a practice of some weeks, with an
/// administrator to look at it. A second time changes nothing.
struct Demo {
    let accounts: Accounts
    /// Where the pages are, without a slash at the end.
    let site: String

    private static let password = "attune-demo"
    /// Any number; another one makes another history.
    private static let seed: UInt64 = 20_261_123

    /// Adds the history of the last weeks, unless it is there.
    ///
    /// Before the aggregator runs for the first time: it keeps activity for some days only, and leaves out what is older.
    func addHistory(to database: PostgresClient) async throws {
        let documented = [DemoPerson.therapist.email, DemoPerson.client.email]
        let others = DemoPerson.everybody.filter { !documented.contains($0.email) }
        let now = Instant.now()
        // All of it or nothing.
        try await database.withTransaction { transaction in
            let store = DemoStore(database: transaction)
            guard try await !store.knows(anyOf: others) else { return }
            // The same hash for all, since the password is no secret.
            let passwordHash = try await PasswordHasher(threads: 1).hash(Password(new: Self.password, path: "password"))
            let users = DemoHistory.users(DemoPerson.everybody, until: now, passwordHash: passwordHash, seed: Self.seed)
            let ids = try await store.insert(users, of: DemoPerson.everybody)
            try await store.insert(DemoHistory(until: now, of: ids, seed: Self.seed))
        }
    }

    /// Has the two people talk, and says how to sign in.
    ///
    /// - Parameter api: a worker that is ready.
    func talk(over api: LocalRequest) async throws {
        let (therapist, client) = try await (account(.therapist), account(.client))
        let tokens = try await (accounts.issueTokens(for: therapist).token, accounts.issueTokens(for: client).token)
        for (number, line) in DemoTalk.documented.enumerated() {
            try await send(
                line.text, id: "demo-\(number)", to: line.isTherapists ? client : therapist,
                token: line.isTherapists ? tokens.0 : tokens.1, over: api)
        }
        Terminal.print(
            """
            Demo accounts, password \(Self.password):
              \(DemoPerson.therapist.email)  (\(DemoPerson.therapist.name), therapist)
              \(DemoPerson.client.email)  (\(DemoPerson.client.name), client)
              \(DemoPerson.administrator.email)  (\(DemoPerson.administrator.name), administrator)
            Chat:      \(site)/chat
            Dashboard: \(site)/admin
            This password is known to everybody: keep nothing of your own here.
            """)
    }

    private func account(_ person: DemoPerson) async throws -> UserID {
        let email = try EmailAddress(person.email, path: "email")
        if let user = try await accounts.user(email) { return user.id }
        // Somebody has removed it since the history was added.
        return try await accounts.createUser(
            email: email, name: DisplayName(person.name, path: "name"), accountType: person.accountType,
            password: Password(new: Self.password, path: "password"))
    }

    /// Over the API, as everybody else. The same `id` from the same sender is the same message.
    private func send(_ text: String, id: String, to recipient: UserID, token: String, over api: LocalRequest) async throws {
        let call = Call(
            path: "messages:send", args: [Call.Arguments(content: text, recipientId: recipient.description, clientMessageId: id)])
        let answer = try await api.send(
            "POST", "/api/mutation", headers: ["Content-Type": "application/json", "Authorization": "Bearer \(token)"],
            body: Array(JSONEncoder().encode(call)))
        guard answer.status == 200 else {
            throw DevelopmentError("the demo's messages could not be sent: \(String(decoding: answer.body, as: UTF8.self))")
        }
    }

    private struct Call: Encodable {
        struct Arguments: Encodable {
            let content: String
            let recipientId: String
            let clientMessageId: String
        }
        let path: String
        let args: [Arguments]
        var format = "convex_encoded_json"
    }
}
