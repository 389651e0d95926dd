import Accounts
import DequeModule
import Domain
import Wire

/// Where a session's messages go: one socket.
public protocol SyncOutbound: Sendable {
    /// Sends one text frame. Returns at once; `pendingFrames` counts what the client has not taken yet.
    func send(_ text: [UInt8])
    /// How many frames wait for the client to read.
    var pendingFrames: Int { get }
    /// Ends the socket.
    func close(_ reason: CloseReason)
}

/// Why the server ends a socket, in words that stock clients know (convex-protocol.md 3.10).
public enum CloseReason: Sendable {
    /// After AuthError and FatalError, which say it themselves.
    case toldAlready
    /// Our trouble, or a protocol violation from which a new connection recovers.
    case internalServerError
    /// More mutations in the queue than one socket may have.
    case tooManyConcurrentMutations
    /// More actions than one socket, or more mutations than all together may have under way.
    case tooManyConcurrentRequests
    /// More queries than one socket, or all together, may watch.
    case tooManyQueries
    /// Too much waits for the client to read, or has waited for too long.
    case clientReadsTooSlowly
    /// This worker stops; another one takes over.
    case workerStops

    /// The client asks for more than it, or all together, may.
    var isLimit: Bool {
        switch self {
        case .tooManyConcurrentMutations, .tooManyConcurrentRequests, .tooManyQueries: true
        case .toldAlready, .internalServerError, .clientReadsTooSlowly, .workerStops: false
        }
    }
}

/// What a client is able to do, as its handshake tells.
public struct ClientKind: Sendable {
    /// Knows TransitionChunk: npm clients from 1.28.0 on (convex-protocol.md 3.9).
    public var knowsChunks: Bool
    /// Asks its application for a new token after an AuthError. Rust and Python clients repeat the old one for ever.
    public var recoversFromAuthError: Bool
    /// Takes a mutation as done when a Transition reaches its timestamp. Rust and Python clients take the next Transition,
    /// whatever its timestamp (convex-protocol.md 3.6).
    public var comparesTimestamps: Bool

    public init(knowsChunks: Bool, recoversFromAuthError: Bool, comparesTimestamps: Bool) {
        self.knowsChunks = knowsChunks
        self.recoversFromAuthError = recoversFromAuthError
        self.comparesTimestamps = comparesTimestamps
    }
}

/// One client's connection: what it watches, as whom, and what it has been shown.
///
/// Belongs to the LiveQueries actor, except for the constants.
final class SyncSession: @unchecked Sendable {
    // Unchecked: variables are touched by the LiveQueries actor only.

    let outbound: any SyncOutbound
    let kind: ClientKind
    let clientAddress: IPAddress
    /// Frames that were received and not yet looked at.
    let inbox: FrameInbox

    /// Nobody has heard of it yet.
    var isNew = true
    var isOpen = true
    var connect: ClientMessage.Connect?
    /// Milliseconds that the client's clock is ahead.
    var clockSkew: Int64?
    var caller = Caller.anonymous
    var tokenExpiresAt: Instant?
    /// The sign-in was found good, but in no tick's snapshot yet.
    var identityIsUnchecked = false
    /// The tick that was the last to have begun when the client last signed in or out. The snapshots of earlier ones may not know
    /// the sign-in yet.
    var identityChangedIn: UInt64 = 0

    /// What has been received.
    var querySetVersion: UInt32 = 0
    var identityVersion: UInt32 = 0
    /// What the client holds.
    var shown = StateVersion()

    struct Subscription {
        /// Where its results come from.
        enum Source {
            case live(LiveQuery)
            /// The request is none: no such function, no such arguments.
            case refused(LiveResult)
        }
        var source: Source
        /// How the query was asked for, to ask again as somebody else.
        let request: QueryRequest
        /// The result that the client has.
        var shown: LiveResult?
        /// When the client asked, as who it is now.
        var askedAt = ContinuousClock.now
        /// That it was answered is known to security events and to whoever counts calls.
        var isReported = false

        var query: LiveQuery? { if case .live(let query) = source { query } else { nil } }
        var result: LiveResult? {
            switch source {
            case .live(let query): query.result
            case .refused(let result): result
            }
        }
    }
    var subscriptions: [UInt32: Subscription] = [:]
    /// Removed by the client, and not confirmed by a Transition yet.
    var removals: Set<UInt32> = []

    /// A Transition is due even if no result has changed: the client has changed its query set or identity, or waits for one
    /// that covers its mutation.
    var owesTransition = false
    /// Every Transition has to be at least of this moment: the client has seen it, perhaps through another worker.
    var earliest = LogPosition.zero
    /// A Transition of at least this moment is due: a mutation was committed there.
    var owedPosition = LogPosition.zero
    /// The tick that was the last to have begun when query set or identity last changed; later ones take that in.
    var changedIn: UInt64 = 0
    /// When that was.
    var changedAt = ContinuousClock.now
    /// Since when a Transition cannot be sent because `earliest` has not been reached.
    var waitingSince: ContinuousClock.Instant?

    /// The worker stops: the socket is closed as soon as the client has been told all that it waits for.
    var isDraining = false
    /// How many actions were received and not answered yet.
    var actions = 0
    /// The mutations that were received and not answered yet.
    var mutations: [UInt32: PendingMutation] = [:]

    struct PendingMutation {
        /// The feed's epoch when it began to run; nil while it waits for those before it.
        var beganIn: UInt64?
        /// Where it was committed, once the feed has told; zero while that is being asked for.
        var position: LogPosition?
        /// Its result, which is sent when the feed tells where it was committed, and who wants to know whether it was.
        var waiter: (result: [UInt8], isAnswered: CheckedContinuation<Bool, Never>)?
    }

    /// The mutations that wait for their turn.
    var mutationQueue: Deque<LiveQueries.MutationJob> = []
    /// Somebody takes mutations off the queue.
    var runsMutations = false

    /// The feed will not tell where mutations were committed, or there is nobody to be told.
    func releaseWaiters(isAnswered: Bool) {
        for (requestID, mutation) in mutations {
            mutations[requestID]?.waiter = nil
            mutation.waiter?.isAnswered.resume(returning: isAnswered)
        }
    }

    init(outbound: any SyncOutbound, kind: ClientKind, clientAddress: IPAddress, inbox: FrameInbox) {
        self.outbound = outbound
        self.kind = kind
        self.clientAddress = clientAddress
        self.inbox = inbox
    }

    /// A mutation of this client is in the tables, or may be, but its response is not out yet. A Transition now would show its
    /// effect beside the client's optimistic one (convex-protocol.md 3.6 c).
    ///
    /// - Parameter feedEpoch: under which the feed tells of each commit; nil while it tells of none.
    func awaitsResponse(feedEpoch: UInt64?) -> Bool {
        mutations.values.contains { mutation in
            mutation.position != nil || (mutation.beganIn != nil && mutation.beganIn != feedEpoch)
        }
    }
}

/// One `Add` of a query set.
struct QueryRequest: Sendable {
    let path: String
    let arguments: JSON
    let journal: String?
}

extension [ObjectIdentifier: SyncSession] {
    mutating func insert(_ session: SyncSession) { self[ObjectIdentifier(session)] = session }
    mutating func remove(_ session: SyncSession) { self[ObjectIdentifier(session)] = nil }
}

/// Sessions by something that several can have in common.
struct SessionIndex<Key: Hashable> {
    private var sessions: [Key: [ObjectIdentifier: SyncSession]] = [:]

    subscript(_ key: Key) -> [ObjectIdentifier: SyncSession] { sessions[key] ?? [:] }

    mutating func insert(_ session: SyncSession, at key: Key) { sessions[key, default: [:]].insert(session) }

    mutating func remove(_ session: SyncSession, at key: Key) {
        sessions[key]?.remove(session)
        if sessions[key]?.isEmpty == true { sessions[key] = nil }
    }
}
