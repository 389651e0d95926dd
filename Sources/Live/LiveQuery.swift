import Domain
import Registry
import Wire

/// One distinct query that somebody watches. However many clients do, it runs once a tick at most.
///
/// Belongs to the LiveQueries actor; nothing of it is touched elsewhere.
final class LiveQuery {
    /// What makes two clients' queries one: function, arguments, who asks, and for pages the range that was fixed.
    struct Key: Hashable {
        let path: FunctionPath
        /// As JSON with sorted fields.
        let arguments: [UInt8]
        /// Results may depend on the user and their role, not on which of their sessions asks.
        let user: UserID?
        let role: Role?
        let journal: String?

        func with(journal: String?) -> Key {
            Key(path: path, arguments: arguments, user: user, role: role, journal: journal)
        }
    }

    var key: Key
    let function: FunctionDefinition
    let arguments: ConvexValue
    /// Any of those who ask: they are alike in what matters.
    let caller: Caller
    /// Nil until the first run.
    var result: LiveResult?
    var topics: Set<Topic> = []
    /// The tick that was the last to have begun when this query was first asked for; later ones answer it.
    let createdIn: UInt64
    var watchers: [ObjectIdentifier: SyncSession] = [:]

    init(key: Key, function: FunctionDefinition, arguments: ConvexValue, caller: Caller, createdIn: UInt64) {
        self.key = key
        self.function = function
        self.arguments = arguments
        self.caller = caller
        self.createdIn = createdIn
    }
}

/// What a query came to, ready to be sent to any number of clients. Immutable; a changed result is another object.
final class LiveResult: Sendable {
    let body: ServerMessage.QueryOutcomeBody
    /// For security events; nil without a run.
    let callOutcome: CallOutcome?
    /// What has to differ for clients to be told of a failure: not the request id. Nil for values.
    private let failure: [UInt8]?
    private let journal: String?

    init(_ run: FunctionRunner.QueryRun) {
        journal = run.journal
        callOutcome = run.callOutcome
        switch run.outcome {
        case .success(let value):
            body = .updated(value: value, journal: run.journal)
            failure = nil
        case .failure(let failure):
            body = .failed(message: failure.message, errorData: failure.errorData, journal: run.journal)
            self.failure = failure.error.code == .internalError ? Array("internal".utf8) : failure.errorData
        }
    }

    /// A failure that needs no run: unknown functions, arguments that are none.
    init(_ failure: FunctionFailure) {
        journal = nil
        callOutcome = nil
        body = .failed(message: failure.message, errorData: failure.errorData, journal: nil)
        self.failure = failure.errorData
    }

    func isSame(as other: LiveResult) -> Bool {
        if self === other { return true }
        guard failure == other.failure else { return false }
        return failure == nil ? body == other.body : journal == other.journal
    }
}
