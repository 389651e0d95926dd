import Accounts
import ArgumentParser
import Development
import Domain
import Foundation
import Store

/// `attune user`
struct User: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Looks after accounts.",
        subcommands: [
            Create.self, Promote.self, Demote.self, Remove.self, List.self, Sessions.self, SignOut.self,
        ])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes an account, and prints its password if it had to make one up.")

        @OptionGroup var place: PlaceOptions
        @Argument(help: "The e-mail address to sign in with.") var email: String
        @Option(help: "The name that others see; default: the address up to the @.") var name: String?
        @Option(help: "One of therapist, client.") var accountType: AccountType?
        @Flag(help: "Make an administrator.") var admin = false
        @Flag(help: "Read the password from standard input, one line.") var passwordStdin = false

        func run() async throws {
            try await place.withAccounts { accounts in
                let address = try EmailAddress(email, path: "email")
                let text = passwordStdin ? readLine() ?? "" : Self.makePassword()
                let displayName = if let name { try DisplayName(name, path: "name") } else { try address.defaultName }
                let id = try await accounts.createUser(
                    email: address, name: displayName, role: admin ? .admin : .user,
                    accountType: accountType, password: Password(new: text, path: "password"))
                Terminal.print(passwordStdin ? "\(id)" : "\(id) password: \(text)")
            }
        }

        /// 20 letters and digits: 103 bits.
        private static func makePassword() -> String {
            let digits = Array("abcdefghijkmnopqrstuvwxyz23456789ABCDEFGHJKLMNPQRSTUVWXYZ")
            return String((0..<20).map { _ in digits.randomElement()! })
        }
    }

    struct Promote: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Makes an account an administrator.")

        @OptionGroup var place: PlaceOptions
        @Argument var email: String

        func run() async throws { try await place.withUser(email) { try await $0.setRole(.admin, of: $1.id) } }
    }

    struct Demote: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Makes an administrator an ordinary account.")

        @OptionGroup var place: PlaceOptions
        @Argument var email: String

        func run() async throws { try await place.withUser(email) { try await $0.setRole(.user, of: $1.id) } }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Removes an account for good: its sessions end, and its messages stay for those who wrote with it.",
            discussion: "Asks before it does so, unless standard input is no terminal.")

        @OptionGroup var place: PlaceOptions
        @Argument var email: String
        @Flag(help: "Do not ask.") var yes = false

        func run() async throws {
            try await place.withUser(email) { accounts, user in
                guard yes || isatty(STDIN_FILENO) != 1 || Self.confirms(user) else {
                    throw DevelopmentError("nothing was removed")
                }
                try await accounts.removeUser(user.id)
            }
        }

        private static func confirms(_ user: UserRecord) -> Bool {
            Terminal.note(
                """
                \(user.name) (\(user.email ?? "-"), \(user.role.rawValue)) will be signed out everywhere. Name, address, profile \
                and password are deleted for good; others keep what they wrote to each other. Remove the account? [y/N]
                """)
            return ["y", "yes"].contains(readLine()?.trimmingBlanks().lowercased())
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists accounts, oldest first: id, role, account type, address and name, separated by tabs.")

        @OptionGroup var place: PlaceOptions

        func run() async throws {
            try await place.withAccounts { accounts in
                var last: UserID?
                while true {
                    let users = try await accounts.users(after: last)
                    for user in users {
                        let type = user.accountType?.rawValue ?? "-"
                        Terminal.print("\(user.id)\t\(user.role.rawValue)\t\(type)\t\(user.email ?? "-")\t\(user.name)")
                    }
                    guard let id = users.last?.id else { return }
                    last = id
                }
            }
        }
    }
}

extension AccountType: ExpressibleByArgument {}

extension EmailAddress {
    /// What stands before the @. Others see names, and not addresses.
    var defaultName: DisplayName {
        get throws { try DisplayName(String(text.prefix { $0 != "@" }.prefix(200)), path: "name") }
    }
}

extension PlaceOptions {
    /// Runs `body` with the account of that address.
    func withUser(_ email: String, _ body: (Accounts, UserRecord) async throws -> Void) async throws {
        try await withAccounts { accounts in
            let address = try EmailAddress(email, path: "email")
            guard let user = try await accounts.user(address) else {
                throw DevelopmentError("there is no account \(address.text); 'attune user list' shows them all")
            }
            try await body(accounts, user)
        }
    }
}
