import Domain
import Synchronization
import TestSupport
import Testing

@testable import Feed

@Suite("A feed with another that stands in for it", .timeLimit(.minutes(1)))
struct FallbackFeedTests {
    /// Says what it is told to say.
    private struct Scripted: ChangeFeed {
        let events: AsyncStream<FeedEvent>

        func run(_ receive: @escaping @Sendable (FeedEvent) async -> Void) async {
            for await event in events { await receive(event) }
        }
    }

    /// Polls, and shows whether it does.
    private final class StandIn: ChangeFeed {
        let isRunning = Atomic(false)

        func run(_ receive: @escaping @Sendable (FeedEvent) async -> Void) async {
            isRunning.store(true, ordering: .relaxed)
            await PollingFeed(interval: .milliseconds(1)).run(receive)
            isRunning.store(false, ordering: .relaxed)
        }
    }

    @Test("polls while the first is away, and not while it is connected")
    func polls() async throws {
        let (events, tell) = AsyncStream.makeStream(of: FeedEvent.self)
        let standIn = StandIn()
        let feed = RunningFeed(FallbackFeed(Scripted(events: events), standIn: standIn, patience: .zero))
        try await eventually("it polls before the first is connected") { feed.listener.polls > 2 }
        for _ in 1...2 {
            tell.yield(.connected)
            tell.yield(.commits([], upTo: LogPosition(5)))
            try await eventually("it does not poll") { !standIn.isRunning.load(ordering: .relaxed) }
            let polls = feed.listener.polls
            tell.yield(.disconnected)
            try await eventually("it polls again") { feed.listener.polls > polls + 2 }
        }
        #expect(feed.listener.events.count == 6)
        tell.finish()
        await feed.stop()
    }

    @Test("does not stand in for one that is back in time")
    func patience() async throws {
        let (events, tell) = AsyncStream.makeStream(of: FeedEvent.self)
        let feed = RunningFeed(FallbackFeed(Scripted(events: events), patience: .seconds(3600)))
        for event in [FeedEvent.connected, .disconnected, .connected, .commits([], upTo: LogPosition(5))] { tell.yield(event) }
        try await eventually("all has come through") { feed.listener.events.count == 4 }
        #expect(feed.listener.polls == 0)
        tell.finish()
        await feed.stop()
    }
}
