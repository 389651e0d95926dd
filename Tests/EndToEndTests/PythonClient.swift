import Development
import Foundation
import StackTestSupport
import TestSupport
import Testing
import Wire

/// The programs in `clients`, which use the stock Python client.
enum PythonClient {
    static func start(_ name: String, _ arguments: [String]) async throws -> Program {
        try await Program.start(python(), [path(name)] + arguments)
    }

    /// Starts a client and lends it to `body`; kills it afterwards.
    static func with(_ name: String, _ arguments: [String], _ body: (Program) async throws -> Void) async throws {
        let program = try await start(name, arguments)
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await body(program)) } catch { outcome = .failure(error) }
        await program.end()
        try outcome.get()
    }

    enum Transport: String { case http, socket }

    enum Kind: String { case query, mutation, action }

    /// Calls a function.
    ///
    /// - Returns: an object with `value`, or with `error` and `data`.
    static func call(
        _ url: String, _ transport: Transport = .http, token: String? = nil, _ kind: Kind, _ path: String, _ arguments: String
    ) async throws -> JSON {
        let result = try await ChildProcess.run(
            python(), [self.path("call"), url, transport.rawValue, token ?? "", kind.rawValue, path, arguments])
        let line = try #require(result.output.split(separator: "\n").last, "call.py wrote nothing")
        return try JSON(parsing: line.utf8)
    }

    private static func python() throws -> String {
        try #require(
            ProcessInfo.processInfo.environment["ATTUNE_TEST_PYTHON"],
            "ATTUNE_TEST_PYTHON is not set to a Python that has the package convex; run the tests with script/test")
    }

    private static func path(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "clients/\(name).py").path()
    }
}

/// Somebody who is signed in.
struct Person {
    let email: String
    let token: String
    let id: String

    /// Makes an account of that name.
    static func signUp(_ name: String, at url: String) async throws -> Person {
        let email = "\(name.lowercased())-\(UUID().uuidString.prefix(8).lowercased())@example.org"
        return try await enter(email, #""flow": "signUp", "password": "correct horse battery", "name": "\#(name)""#, at: url)
    }

    static func signIn(_ email: String, password: String, at url: String) async throws -> Person {
        try await enter(email, #""flow": "signIn", "password": "\#(password)""#, at: url)
    }

    private static func enter(_ email: String, _ params: String, at url: String) async throws -> Person {
        let answer = try await PythonClient.call(
            url, .http, .action, "auth:signIn", #"{"provider": "password", "params": {"email": "\#(email)", \#(params)}}"#)
        let token = try #require(answer["value"]?["tokens"]?["token"]?.stringValue, "\(answer)")
        let user = try await PythonClient.call(url, token: token, .query, "auth:getCurrentUser", "{}")
        return Person(email: email, token: token, id: try #require(user["value"]?["_id"]?.stringValue, "\(user)"))
    }

    /// Sends a message.
    ///
    /// - Returns: its id.
    @discardableResult
    func send(
        _ content: String, to recipient: Person, at url: String, _ transport: PythonClient.Transport = .http
    ) async throws -> String {
        let answer = try await PythonClient.call(
            url, transport, token: token, .mutation, "messages:send",
            #"{"content": "\#(content)", "recipientId": "\#(recipient.id)"}"#)
        return try #require(answer["value"]?.stringValue, "\(answer)")
    }

    /// The id of the conversation with the newest message.
    func conversation(at url: String) async throws -> String {
        let answer = try await PythonClient.call(url, token: token, .query, "messages:listConversations", "{}")
        return try #require(answer["value"]?["page"]?.arrayValue?.first?["_id"]?.stringValue, "\(answer)")
    }
}

extension Program {
    /// What a subscriber has been given for a query so far, oldest first: objects with `value`, or `error` and `data`.
    func results(_ path: String) -> [JSON] {
        records.filter { $0["path"]?.stringValue == path }
    }

    /// The latest page of a subscriber's query.
    func page(_ path: String) -> [JSON] {
        results(path).last?["value"]?["page"]?.arrayValue ?? []
    }

    /// The messages that a subscriber of `messages:list` sees, newest first.
    var contents: [String] {
        page("messages:list").compactMap { $0["content"]?.stringValue }
    }
}
