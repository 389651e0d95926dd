import Domain
import Logging
import Metrics
import NIOCore
import NIOPosix
import Postgres
import Synchronization

/// Reads commits through one slot for all workers of a machine that share a folder.
///
/// The worker that gets a lock in the folder is the **holder**: it makes the slot, and relays what the slot's feed says over a
/// Unix socket. The others are **members**. The kernel frees the lock when the holder dies; the members notice that their
/// connections end, one of them gets the lock, and all begin anew. A worker that cannot share, because the holder does not answer
/// or is of another version, makes a slot of its own, and tries again later.
///
/// Why a member may say that it is connected: the holder lets it join between two events. What the member does not get from then
/// on is a commit whose record was written before it joined: one that the holder had been told already, or that stands before the
/// slot. Such a commit need not be visible (it waits for a standby, say). So the member, when it has joined, waits until all
/// transactions are over that have written until then (`waitForTransactionsSoFar`), and says that it is connected afterwards. What
/// it is told meanwhile lies in the socket, and is delivered next. The server that it asks is the one whose commits it gets:
/// holder and member compare its identity, cluster, database and start (`FeedOrigin`), and the member asks for it and waits on one
/// connection.
public struct SharedSlotFeed: ChangeFeed {
    private let connection: ConnectionSettings
    private let folder: String
    private let logger: Logger
    private let slot: LogicalSlotFeed
    private let limits: Limits

    struct Limits {
        /// How long a worker with a slot of its own waits before it looks whether it can share again.
        var secondsAlone = 45.0...90.0
        /// What a member may leave unread.
        var unreadBytes = RelayFrame.maximumBytes
    }

    /// - Parameters:
    ///   - connection: straight to the server: replication does not pass through PgBouncer.
    ///   - folder: the same for all workers that share, in a folder that exists; made if need be.
    public init(connection: ConnectionSettings, folder: String, logger: Logger) {
        self.init(connection: connection, folder: folder, limits: Limits(), logger: logger)
    }

    init(connection: ConnectionSettings, folder: String, limits: Limits, logger: Logger) {
        self.connection = connection
        self.folder = folder
        self.limits = limits
        self.logger = logger
        slot = LogicalSlotFeed(connection: connection, logger: logger)
    }

    public func run(_ receive: @escaping @Sendable (FeedEvent) async -> Void) async {
        Self.ownSlots.record(0)
        // The next attempt does not trust a holder that has fallen silent, whatever it does.
        var isWary = false
        await beginAnewUntilCancelled(logger: logger, receive) {
            do {
                defer { isWary = false }
                try await attempt(isWary: isWary, receive)
            } catch let error as HolderSilent {
                isWary = true
                throw error
            }
        }
    }

    private func attempt(isWary: Bool, _ receive: @escaping @Sendable (FeedEvent) async -> Void) async throws {
        let replication = try await ReplicationConnection.open(connection)
        defer { replication.close() }
        let origin = try await FeedOrigin(of: replication)
        do {
            let place = try RelayPlace(folder: folder, origin: origin)
            switch try await findPart(at: place, isWary: isWary) {
            case .holder(let lock): try await hold(lock, at: place, origin, replication, receive)
            case .member(let holder): try await follow(holder, origin, replication, receive)
            }
        } catch let error as CannotShare {
            try await goAlone(error.reason, origin, replication, receive)
        } catch let error as RelayPlace.Unusable {
            try await goAlone(error.reason, origin, replication, receive)
        }
    }

    // MARK: Which part

    private typealias Holder = NIOAsyncChannel<RelayFrame, Never>

    private enum Part {
        case holder(RelayPlace.Lock)
        case member(Holder)
    }

    /// The slot cannot be shared now. Nothing has been delivered.
    private struct CannotShare: Error {
        let reason: String
    }

    /// A holder listens a moment after it has taken the lock.
    private func findPart(at place: RelayPlace, isWary: Bool = false) async throws -> Part {
        let deadline = ContinuousClock.now + .seconds(2)
        while true {
            if let lock = try place.takeLock() { return .holder(lock) }
            guard !isWary else { throw CannotShare(reason: "\(HolderSilent())") }
            do {
                return .member(try await connect(to: place))
            } catch {
                guard ContinuousClock.now < deadline else {
                    throw CannotShare(reason: "the worker that has the lock does not listen: \(error)")
                }
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    private func connect(to place: RelayPlace) async throws -> Holder {
        try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(unixDomainSocketPath: place.socketPath) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ByteToMessageHandler(RelayFrameDecoder()))
                    return try Holder(wrappingChannelSynchronously: channel)
                }
            }
    }

    // MARK: The holder

    private func hold(
        _ lock: RelayPlace.Lock, at place: RelayPlace, _ origin: FeedOrigin, _ replication: ReplicationConnection,
        _ receive: @escaping @Sendable (FeedEvent) async -> Void
    ) async throws {
        let relay: FeedRelay
        do {
            relay = try await FeedRelay.open(
                at: place, greeting: .greeting(of: origin), unreadBytes: limits.unreadBytes, logger: logger)
        } catch {
            throw CannotShare(reason: "cannot listen on \(place.socketPath): \(error)")
        }
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await relayEvents(to: relay, replication, receive)) } catch { outcome = .failure(error) }
        await relay.close()
        // Until here: the next holder must not find this one's socket in its place.
        withExtendedLifetime(lock) {}
        try outcome.get()
    }

    /// Our own receiver gets its events through a queue, so that the members do not wait for it.
    private func relayEvents(
        to relay: FeedRelay, _ replication: ReplicationConnection, _ receive: @escaping @Sendable (FeedEvent) async -> Void
    ) async throws {
        let (events, queue) = AsyncStream.makeStream(of: FeedEvent.self)
        let length = QueueLength()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await event in events {
                    await receive(event)
                    length.value.subtract(1, ordering: .relaxed)
                }
            }
            defer { queue.finish() }
            logger.info("this worker's slot is for all workers of the machine")
            try await stream(replication) { event in
                relay.send(event)
                queue.yield(event)
                length.value.add(1, ordering: .relaxed)
                // Then the server waits, and with it the members.
                while length.value.load(ordering: .relaxed) > Self.longestQueue, !Task.isCancelled {
                    try? await Task.sleep(for: .milliseconds(1))
                }
            }
        }
    }

    /// Some seconds' worth. Whoever is behind so far has other worries.
    private static let longestQueue = 4096

    private final class QueueLength: Sendable {
        let value = Atomic(0)
    }

    private func stream(_ replication: ReplicationConnection, _ receive: (FeedEvent) async -> Void) async throws {
        Self.ownSlots.record(1)
        defer { Self.ownSlots.record(0) }
        try await slot.stream(through: replication, receive)
    }

    /// 1 or 0: whether this worker has a slot. Over the workers of a machine the sum is 1, if they share.
    private static let ownSlots = Gauge(label: "attune_feed_slots")

    // MARK: A member

    private func follow(
        _ holder: Holder, _ origin: FeedOrigin, _ replication: ReplicationConnection,
        _ receive: @escaping @Sendable (FeedEvent) async -> Void
    ) async throws {
        try await holder.executeThenClose { frames in
            let hearing = Hearing()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await watch(holder.channel, hearing) }
                defer { group.cancelAll() }
                var iterator = frames.makeAsyncIterator()
                try await awaitGreeting(of: origin, from: &iterator, hearing)
                func next() async throws -> RelayFrame {
                    if let frame = try await hearing.listening({ try await iterator.next() }) { return frame }
                    throw hearing.isSilent ? HolderSilent() : HolderLost() as any Error
                }

                // The holder may have to wait for its slot.
                var start: LogPosition?
                while start == nil {
                    switch try await next() {
                    case .connected(let position): start = position
                    case .alive: break
                    case .greeting, .commits: throw MalformedFrame()
                    }
                }
                try await replication.waitForTransactionsSoFar {
                    guard holder.channel.isActive else { throw HolderLost() }
                }
                replication.close()
                await receive(.connected)
                if let start { await receive(.commits([], upTo: start)) }
                logger.info("the change feed is connected through another worker's slot")
                while true {
                    switch try await next() {
                    case .commits(let commits, let position): await receive(.commits(commits, upTo: position))
                    case .alive: break
                    case .greeting, .connected: throw MalformedFrame()
                    }
                }
            }
        }
    }

    /// The holder has died, has lost its slot, or has closed the connection to a member that does not read.
    private struct HolderLost: Error, CustomStringConvertible {
        var description: String { "the worker that holds the slot has left" }
    }

    /// The holder is stopped, or hangs.
    private struct HolderSilent: Error, CustomStringConvertible {
        var description: String { "the worker that holds the slot has fallen silent" }
    }

    private func awaitGreeting(
        of origin: FeedOrigin, from frames: inout NIOAsyncChannelInboundStream<RelayFrame>.AsyncIterator, _ hearing: Hearing
    ) async throws {
        let first: RelayFrame?
        do {
            first = try await hearing.listening { try await frames.next() }
        } catch is MalformedFrame {
            throw CannotShare(reason: "the worker that has the lock speaks another language")
        }
        guard let first else {
            throw hearing.isSilent ? CannotShare(reason: "\(HolderSilent())") : HolderLost() as any Error
        }
        guard first == .greeting(of: origin) else {
            throw CannotShare(reason: "the worker that has the lock is of another version, or reads from another run of the server")
        }
    }

    /// Leaves a holder that says nothing.
    private func watch(_ channel: any Channel, _ hearing: Hearing) async throws {
        while !hearing.isSilent {
            try await Task.sleep(for: .seconds(1))
            hearing.countSecond()
        }
        try await channel.close()
    }

    /// How long we have listened in vain.
    private final class Hearing: Sendable {
        private let state = Mutex((isListening: false, seconds: 0, patience: 2))

        /// - Returns: what `next` gives; there is more patience from then on.
        func listening(_ next: () async throws -> RelayFrame?) async throws -> RelayFrame? {
            state.withLock { ($0.isListening, $0.seconds) = (true, 0) }
            let frame = try await next()
            state.withLock {
                $0.isListening = false
                if frame != nil { $0.patience = 4 }
            }
            return frame
        }

        func countSecond() {
            state.withLock { if $0.isListening { $0.seconds += 1 } }
        }

        var isSilent: Bool { state.withLock { $0.seconds >= $0.patience } }
    }

    // MARK: Alone

    private func goAlone(
        _ reason: String, _ origin: FeedOrigin, _ replication: ReplicationConnection,
        _ receive: @escaping @Sendable (FeedEvent) async -> Void
    ) async throws {
        logger.notice("this worker has a slot of its own, since it cannot share one", metadata: ["reason": "\(reason)"])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await stream(replication, receive) }
            group.addTask {
                try await waitUntilSharingIsPossible(origin)
                logger.notice("a slot can be shared again; beginning anew")
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func waitUntilSharingIsPossible(_ origin: FeedOrigin) async throws {
        while true {
            try await Task.sleep(for: .seconds(Double.random(in: limits.secondsAlone)))
            do {
                let place = try RelayPlace(folder: folder, origin: origin)
                switch try await findPart(at: place) {
                case .holder: return
                case .member(let holder):
                    try await holder.executeThenClose { frames in
                        let hearing = Hearing()
                        try await withThrowingTaskGroup(of: Void.self) { group in
                            group.addTask { try await watch(holder.channel, hearing) }
                            defer { group.cancelAll() }
                            var iterator = frames.makeAsyncIterator()
                            try await awaitGreeting(of: origin, from: &iterator, hearing)
                        }
                    }
                    return
                }
            } catch {
                try Task.checkCancellation()
                logger.debug("still cannot share a slot", metadata: ["error": "\(error)"])
            }
        }
    }
}
