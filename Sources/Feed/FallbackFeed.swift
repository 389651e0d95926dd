import Synchronization

/// One feed, and another that stands in while the first is disconnected for longer than a moment.
///
/// The moment is there because a stand-in that polls is less exact (docs/live-queries.md): a feed that is lost is back
/// within a fraction of a second as a rule, and clients wait so long for what is new.
public struct FallbackFeed: ChangeFeed {
    private let primary: any ChangeFeed
    private let standIn: any ChangeFeed
    private let patience: Duration

    /// - Parameter patience: how long the primary feed may be away before the other stands in.
    public init(_ primary: any ChangeFeed, standIn: any ChangeFeed = PollingFeed(), patience: Duration = .seconds(1)) {
        self.primary = primary
        self.standIn = standIn
        self.patience = patience
    }

    public func run(_ receive: @escaping @Sendable (FeedEvent) async -> Void) async {
        let (connections, connection) = AsyncStream.makeStream(of: Bool.self)
        await withTaskGroup { group in
            group.addTask { [primary] in
                await primary.run { event in
                    switch event {
                    case .connected: connection.yield(true)
                    case .disconnected: connection.yield(false)
                    case .commits, .poll: break
                    }
                    await receive(event)
                }
                connection.finish()
            }
            var wasConnected = false
            var standingIn = standInSoon(receive)
            for await isConnected in connections where isConnected != wasConnected {
                wasConnected = isConnected
                standingIn.cancel()
                if !isConnected { standingIn = standInSoon(receive) }
            }
            standingIn.cancel()
        }
    }

    private func standInSoon(_ receive: @escaping @Sendable (FeedEvent) async -> Void) -> Task<Void, any Error> {
        Task { [standIn, patience] in
            try await Task.sleep(for: patience)
            await standIn.run(receive)
        }
    }
}
