/// Knows nothing about commits, and says now and then that it is time to look at a snapshot.
///
/// For the time in which no slot can be made, and for servers without logical decoding.
public struct PollingFeed: ChangeFeed {
    private let interval: Duration

    public init(interval: Duration = .milliseconds(250)) {
        self.interval = interval
    }

    public func run(_ receive: @escaping @Sendable (FeedEvent) async -> Void) async {
        while !Task.isCancelled {
            await receive(.poll)
            try? await Task.sleep(for: interval)
        }
    }
}
