import Domain
import NIOCore

/// What all clients share: where the server is, who has accounts, and where to tell what was seen. Used on the clients' event loop
/// only.
final class World: @unchecked Sendable {
    // Unchecked: touched on the loop only.

    struct Account {
        let id: UserID
        let email: String
        let password: String
        var isRemoved = false
    }

    /// A token, and the session for which it stands.
    struct SignIn: Sendable {
        let user: UserID
        let session: SessionID
        let token: String
    }

    let loop: any EventLoop
    /// Of the proxy.
    let port: Int
    let findings: Findings
    let statistics: Statistics
    let report: @Sendable (Report) -> Void
    var accounts: [Account] = []
    var conversations: [(id: ConversationID, members: [UserID])] = []
    let identityLosses: IdentityLosses
    /// No more mutations and changes of subscriptions: the end of the run.
    var isQuiet = false
    /// How many clients' actions a second there are, of all clients together.
    var pace = 20.0

    init(
        loop: any EventLoop, port: Int, findings: Findings, statistics: Statistics, report: @escaping @Sendable (Report) -> Void
    ) {
        self.loop = loop
        self.port = port
        self.findings = findings
        self.statistics = statistics
        identityLosses = IdentityLosses(statistics: statistics)
        self.report = report
    }

    var livingAccounts: [Account] { accounts.filter { !$0.isRemoved } }

    func markRemoved(_ user: UserID) {
        for index in accounts.indices where accounts[index].id == user { accounts[index].isRemoved = true }
    }
}
