import Accounts
import Domain
import Foundation
import Logging
import Registry
import Testing
import Wire

@testable import Functions

/// The functions `auth:…`, called as a client's request calls them.
@Suite struct AuthFunctionTests {
    private struct Client: Sendable {
        let fixture: AccountsFixture
        let runner: FunctionRunner

        init(_ fixture: AccountsFixture) {
            self.fixture = fixture
            runner = FunctionRunner(
                functions: [SignIn.function, SignOut.function, IsAuthenticated.function, GetCurrentUser.function],
                database: fixture.database, accounts: fixture.accounts, cursorSecret: fixture.keys.cursorSecret,
                events: nil, usage: nil, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        }

        func call(_ name: String, _ arguments: String = "{}", as caller: Caller = .anonymous, kind: FunctionKind = .action) async throws -> String {
            let id = RequestID.random()
            let function = try runner.find(name, as: kind, requestID: id)
            let value = try runner.decodeArguments(JSON(parsing: arguments.utf8), of: function, requestID: id)
            let outcome =
                switch kind {
                case .query:
                    try await runner.runQuery(
                        function, arguments: value, caller: caller, clientAddress: AccountsFixture.home, requestID: id
                    ).outcome
                case .mutation:
                    try await runner.runMutation(
                        function, arguments: value, caller: caller, clientAddress: AccountsFixture.home, requestID: id)
                case .action:
                    try await runner.runAction(
                        function, arguments: value, caller: caller, clientAddress: AccountsFixture.home, requestID: id)
                }
            return String(decoding: try outcome.get(), as: UTF8.self)
        }

        func error(_ name: String, _ arguments: String = "{}", as caller: Caller = .anonymous) async throws -> APIError? {
            do {
                _ = try await call(name, arguments, as: caller)
                return nil
            } catch let failure as FunctionFailure {
                return failure.error
            }
        }
    }

    private struct Answer: Decodable {
        struct Tokens: Decodable { var token, refreshToken: String }
        var tokens: Tokens
    }

    private func tokens(_ answer: String) throws -> Answer.Tokens {
        try JSONDecoder().decode(Answer.self, from: Data(answer.utf8)).tokens
    }

    private static let form =
        #"{"provider":"password","params":{"flow":"signUp","email":"ana@example.org","password":"correct horse","name":"Ana","accountType":"therapist","role":"admin"}}"#

    @Test("a stock client signs up, reads its account, refreshes, signs out, and is nobody then")
    func life() async throws {
        try await AccountsFixture.use { fixture in
            let client = Client(fixture)
            let first = try tokens(try await client.call("auth:signIn", Self.form))
            let caller = try await fixture.accounts.sessions.caller(forToken: first.token).caller
            let account = try await client.call("auth:getCurrentUser", as: caller, kind: .query)
            #expect(account.contains(#""email":"ana@example.org""#) && account.contains(#""accountType":"therapist""#))
            #expect(account.contains(#""role":"user""#), "a form cannot make an administrator")
            let authenticated = try await client.call("auth:isAuthenticated", as: caller, kind: .query)
            #expect(authenticated == "true")

            let refresh = #"{"refreshToken":"\#(first.refreshToken)"}"#
            let second = try tokens(try await client.call("auth:signIn", refresh))
            #expect(second.token != first.token)
            let signedOut = try await client.call("auth:signOut", as: caller)
            #expect(signedOut == "null")
            let dead = try await client.call("auth:signIn", #"{"refreshToken":"\#(second.refreshToken)"}"#)
            #expect(dead == #"{"tokens":null}"#)
            let nobody = try await client.call("auth:getCurrentUser", kind: .query)
            #expect(nobody == "null")
            let anonymous = try await client.call("auth:isAuthenticated", kind: .query)
            #expect(anonymous == "false")
        }
    }

    @Test("signing in and out work as mutations too")
    func asMutations() async throws {
        try await AccountsFixture.use { fixture in
            let client = Client(fixture)
            let signedUp = try tokens(try await client.call("auth:signIn", Self.form, kind: .mutation))
            let caller = try await fixture.accounts.sessions.caller(forToken: signedUp.token).caller
            let answer = try await client.call("auth:signOut", as: caller, kind: .mutation)
            #expect(answer == "null")
        }
    }

    @Test("who is not signed in cannot sign out")
    func anonymousSignOut() async throws {
        try await AccountsFixture.use { fixture in
            let error = try await Client(fixture).error("auth:signOut")
            #expect(error?.code == .unauthorized)
        }
    }

    @Test("a code, of which none is ever given out, is refused without an exception")
    func code() async throws {
        try await AccountsFixture.use { fixture in
            let answer = try await Client(fixture).call("auth:signIn", #"{"params":{"code":"12345678"}}"#)
            #expect(answer == #"{"tokens":null}"#)
        }
    }

    @Test(
        "a form that cannot be right is a validation error that leads to the field",
        arguments: [
            (#"{}"#, ".provider", "Cannot sign in: Missing `provider`, `params.code` or `refreshToken`"),
            (#"{"provider":"github"}"#, ".provider", "Provider `github` is not configured"),
            (#"{"provider":"password"}"#, ".params.flow", "Missing `flow` param"),
            (#"{"provider":"password","params":{"flow":"reset","email":"a@b"}}"#, ".params.flow", "Missing `flow` param"),
            (#"{"provider":"password","params":{"flow":"signIn"}}"#, ".params.email", "Missing `email` param"),
            (#"{"provider":"password","params":{"flow":"signIn","email":"a@b"}}"#, ".params.password", "Missing `password` param"),
            (#"{"provider":"password","params":{"flow":"signUp","email":"ab","password":"12345678","name":"A"}}"#, ".params.email", "e-mail"),
            (#"{"provider":"password","params":{"flow":"signUp","email":"a@b","password":"1234567","name":"A"}}"#, ".params.password", "Invalid password"),
            (#"{"provider":"password","params":{"flow":"signUp","email":"a@b","password":"12345678"}}"#, ".params.name", "Missing `name` param"),
            (#"{"provider":"password","params":{"flow":"signUp","email":"a@b","password":"12345678","name":"  "}}"#, ".params.name", "empty"),
            (#"{"provider":"password","params":{"flow":"signUp","email":"a@b","password":"12345678","name":"A","accountType":"doctor"}}"#, ".params.accountType", "literal"),
            (#"{"provider":"password","params":{"flow":"signIn","email":7,"password":"12345678"}}"#, ".params.email", "Value does not match"),
            (#"{"provider":"password","params":"flow"}"#, ".params", "Value does not match"),
            (#"{"provider":"password","surprise":1}"#, ".surprise", "extra field"),
        ])
    func invalid(arguments: String, path: String, text: String) async throws {
        try await AccountsFixture.use { fixture in
            let error = try #require(try await Client(fixture).error("auth:signIn", arguments))
            #expect(error.code == .validationError)
            #expect(error.details["path"] == path)
            #expect(error.message.contains(text))
            let users = try await fixture.count("SELECT count(*) FROM users")
            #expect(users == 0)
        }
    }
}
