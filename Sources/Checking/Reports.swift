import Domain
import Wire

/// `{querySet, identity, ts}`.
struct SyncVersion: Equatable, Sendable, CustomStringConvertible {
    var querySet: UInt32 = 0
    var identity: UInt32 = 0
    var timestamp = LogPosition.zero

    init() {}

    init?(_ json: JSON?) {
        guard let querySet = json?["querySet"]?.counterValue, let identity = json?["identity"]?.counterValue,
            let text = json?["ts"]?.stringValue, let timestamp = Base64.decode(littleEndian: text)
        else { return nil }
        (self.querySet, self.identity, self.timestamp) = (querySet, identity, LogPosition(timestamp))
    }

    var description: String { "{querySet \(querySet), identity \(identity), ts \(timestamp)}" }
}

/// What a client tells the judge. In the order in which it happened, for each client.
enum Report: Sendable {
    case transition(TransitionReport)
    case answer(MutationAnswer)
    /// A mutation was sent again, for the second time or more.
    case repetition(ClientName, Effect, sends: Int)
    case refusal(IdentityRefusal)
}

/// The server has said that a sign-in does not hold any more.
struct IdentityRefusal: Sendable {
    let client: ClientName
    let signIn: World.SignIn
    let message: String
    let receivedAt = ContinuousClock.now
}

/// A Transition that has come, with all that the client holds after it.
struct TransitionReport: Sendable {
    let client: ClientName
    let connection: Int
    let worker: String
    let start: SyncVersion
    let end: SyncVersion
    /// The sign-in whose token the last counted Authenticate had; nil: none.
    let session: SessionID?
    let held: [UInt32: HeldResult]
    /// The queries that this Transition has modified.
    let modified: Set<UInt32>
    /// As it came.
    let message: JSON
    /// By the server's clock, in nanoseconds since 1970.
    let sentAt: Int64
    let receivedAt: ContinuousClock.Instant
}

/// A query's result as a client holds it.
struct HeldResult: Sendable {
    let query: Query
    let shown: Shown
    let memory: PageMemory
    /// When this connection asked for it.
    let askedAt: ContinuousClock.Instant
}

/// A client, by name, and what it can do.
struct ClientName: Sendable {
    let name: String
    /// Stock clients in JavaScript: an ended session closes their sockets, while those of others go on as anonymous.
    let isJavaScript: Bool
    let history: ClientHistory
}


/// A mutation's effect, by which its traces are found in the tables.
enum Effect: Sendable {
    /// A message with this content, which no other mutation writes, and which begins with its uniqueness.
    case message(content: String)
    case read([MessageID])
    /// A profile with this bio, which no other mutation writes.
    case bio(String)
}

/// The response to a mutation.
struct MutationAnswer: Sendable {
    let client: ClientName
    /// Of the socket that was answered; nil: over HTTP.
    let request: RequestKey?
    let effect: Effect
    let outcome: Outcome
    /// How often it was sent until now.
    let sends: Int

    enum Outcome: Sendable {
        /// Over HTTP there is no timestamp.
        case success(JSON, timestamp: LogPosition?)
        case failure(code: String)
    }
}

/// What makes a message one, however often it is sent. Contents begin with it.
enum Uniqueness: String {
    /// The client's session and request.
    case request
    /// Its `clientMessageId`, for as long as the message is there.
    case name
    /// Nothing: sent again it comes again.
    case none

    init(of content: String) {
        self = content.split(separator: " ").first.flatMap { Uniqueness(rawValue: String($0)) } ?? Uniqueness.none
    }
}
