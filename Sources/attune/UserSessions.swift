import Accounts
import ArgumentParser
import Development
import Domain
import Foundation
import Store

extension User {
    /// `attune user sessions`
    struct Sessions: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists an account's open sessions, the newest first: id, signed in, last active, expires, separated by tabs.",
            discussion: "Times are in UTC. '-' stands for no activity that attune-metrics knows of.")

        @OptionGroup var place: PlaceOptions
        @Argument var email: String

        func run() async throws {
            try await place.withUser(email) { accounts, user in
                for session in try await accounts.openSessions(of: user.id) {
                    let lastActive = session.lastActiveAt.map(Self.text) ?? "-"
                    Terminal.print(
                        "\(session.id)\t\(Self.text(session.signedInAt))\t\(lastActive)\t\(Self.text(session.expiresAt))")
                }
            }
        }

        private static func text(_ moment: Instant) -> String {
            Date(timeIntervalSince1970: TimeInterval(moment.seconds)).ISO8601Format()
        }
    }

    /// `attune user sign-out`
    struct SignOut: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Ends all sessions of an account, or one session. Its clients are signed out at once.")

        @OptionGroup var place: PlaceOptions
        @Argument(help: "The account's e-mail address.") var email: String?
        @Option(help: "The one session to end, as 'attune user sessions' prints it.") var session: String?

        func validate() throws {
            guard (email == nil) != (session == nil) else { throw ValidationError("name either an account or a --session") }
        }

        func run() async throws {
            if let email {
                try await place.withUser(email) { accounts, user in
                    let count = try await accounts.signOut(user.id)
                    Terminal.print("ended \(count) \(count == 1 ? "session" : "sessions")")
                }
            }
            if let session {
                guard let id = SessionID(session) else {
                    throw DevelopmentError("'\(session)' is no session; 'attune user sessions EMAIL' lists them")
                }
                try await place.withAccounts { try await $0.endSession(id) }
            }
        }
    }
}
