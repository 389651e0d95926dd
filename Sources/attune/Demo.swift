import Accounts
import Development
import Domain
import Foundation

/// What `attune dev --demo` makes: two people and a few messages between them. A second time changes nothing.
struct Demo {
    let accounts: Accounts
    /// A worker that is ready.
    let api: LocalRequest

    private static let password = "attune-demo"

    private struct Person {
        let email: String
        let name: String
        let accountType: AccountType
    }

    private static let therapist = Person(email: "thea@demo.example", name: "Thea Larsen", accountType: .therapist)
    private static let client = Person(email: "cleo@demo.example", name: "Cleo Martín", accountType: .client)

    private static let conversation: [(fromTherapist: Bool, text: String)] = [
        (true, "Hello Cleo, how did the week go?"),
        (false, "Better than the last one. I went for a walk every evening."),
        (true, "That is good to hear. Shall we talk about it on Thursday at ten?"),
        (false, "Thursday at ten is fine. Thank you!"),
    ]

    func seed() async throws {
        let therapist = try await account(Self.therapist)
        let client = try await account(Self.client)
        let tokens = try await (accounts.issueTokens(for: therapist).token, accounts.issueTokens(for: client).token)
        for (number, message) in Self.conversation.enumerated() {
            try await send(
                message.text, id: "demo-\(number)", to: message.fromTherapist ? client : therapist,
                token: message.fromTherapist ? tokens.0 : tokens.1)
        }
        Terminal.print(
            """
            Demo accounts, password \(Self.password):
              \(Self.therapist.email)  (\(Self.therapist.name), therapist)
              \(Self.client.email)  (\(Self.client.name), client)
            Sign in: auth:signIn with {"provider": "password", "params": {"flow": "signIn", "email": …, "password": …}}
            """)
    }

    private func account(_ person: Person) async throws -> UserID {
        let email = try EmailAddress(person.email, path: "email")
        if let user = try await accounts.user(email) { return user.id }
        return try await accounts.createUser(
            email: email, name: DisplayName(person.name, path: "name"), accountType: person.accountType,
            password: Password(new: Self.password, path: "password"))
    }

    /// Over the API, as everybody else. The same `id` from the same sender is the same message.
    private func send(_ text: String, id: String, to recipient: UserID, token: String) async throws {
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
