import Foundation

/// One line of the accounts' file: who a socket is, what it watches, and whom it writes to.
///
/// Sockets 2n and 2n + 1 are the two members of a conversation.
struct Account {
    let token: String
    /// The query that it watches, and its argument as JSON.
    let query: String
    let arguments: String
    /// The conversation and its members, for SQL; empty where nothing is sent.
    let conversation: String
    let user: String
    let recipient: String
    /// The recipient as the API names it.
    let recipientID: String

    /// - Parameter path: lines of seven fields, separated by tabs.
    static func read(_ path: String) throws -> [Account] {
        try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map { line in
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 7 else { throw Failure("a line of \(path) has \(fields.count) fields") }
            return Account(
                token: fields[0], query: fields[1], arguments: fields[2], conversation: fields[3], user: fields[4],
                recipient: fields[5], recipientID: fields[6])
        }
    }
}

/// Why the figures would mean nothing.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
