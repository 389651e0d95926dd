import Development
import Domain
import Foundation
import Logging
import Postgres
import Synchronization
import TestSupport
import Testing

@testable import Feed

@Suite("One slot for the workers of a machine", .scratchDatabase, .timeLimit(.minutes(3)))
struct SharedSlotTests {
    private static func makeFeed(_ folder: String, limits: SharedSlotFeed.Limits = .init()) -> SharedSlotFeed {
        SharedSlotFeed(
            connection: ConnectionSettings(connectionString: ScratchDatabase.current.url, applicationName: "attune tests feed"),
            folder: folder, limits: limits, logger: .quiet)
    }

    /// Runs several feeds in one folder, the first of them as the holder.
    private func withFeeds(
        _ count: Int, limits: SharedSlotFeed.Limits = .init(),
        _ body: (_ folder: String, _ feeds: [RunningFeed], _ database: PostgresClient) async throws -> Void
    ) async throws {
        try await withFolder { folder in
            var feeds: [RunningFeed] = []
            let outcome: Result<Void, any Error>
            do {
                for _ in 0..<count {
                    let feed = RunningFeed(Self.makeFeed(folder, limits: limits))
                    feeds.append(feed)
                    try await eventually("the feed is connected") { feed.listener.isConnected }
                }
                outcome = .success(try await body(folder, feeds, ScratchDatabase.current.makeClient()))
            } catch {
                outcome = .failure(error)
            }
            for feed in feeds { await feed.stop() }
            try outcome.get()
        }
    }

    @Test("all workers get all commits, in order, through one slot")
    func everyCommit() async throws {
        try await withFeeds(4) { _, feeds, database in
            #expect(try await database.slots() == 1)
            let written = try await withThrowingTaskGroup(of: [UInt32].self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        var ids: [UInt32] = []
                        for _ in 0..<50 { ids.append(try await database.commitSomething()) }
                        return ids
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            for feed in feeds {
                try await eventually("all commits are delivered") { feed.listener.commits.count >= written.count }
                let commits = feed.listener.commits
                #expect(Set(commits.map(\.transactionID)) == Set(written))
                #expect(commits.count == written.count)
                #expect(commits == feeds[0].listener.commits)
                #expect(commits.map(\.position) == commits.map(\.position).sorted())
                #expect(commits.allSatisfy { $0.wholeTables == [.messages] })
                #expect(feed.listener.connections == 1)
            }
        }
    }

    @Test("when the holder leaves, another worker makes a slot, and all begin anew")
    func handOver() async throws {
        try await withFeeds(3) { _, feeds, database in
            await feeds[0].stop()
            for feed in feeds.dropFirst() {
                try await eventually("the feed is connected again") { feed.listener.connections == 2 && feed.listener.isConnected }
            }
            try await eventually("the old slot is gone") { try await database.slots() == 1 }
            let written = try await database.commitSomething()
            for feed in feeds.dropFirst() {
                try await eventually("the commit is delivered") { feed.listener.hasHeard(of: written) }
            }
        }
    }

    @Test("when the slot is lost, all begin anew with another")
    func lostSlot() async throws {
        try await withFeeds(3) { _, feeds, database in
            try await database.script(
                "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = current_database()")
            for feed in feeds {
                try await eventually("the feed is connected again") { feed.listener.connections == 2 && feed.listener.isConnected }
            }
            #expect(try await database.slots() == 1)
            let written = try await database.commitSomething()
            for feed in feeds { try await eventually("the commit is delivered") { feed.listener.hasHeard(of: written) } }
        }
    }

    @Test("a worker that does not read is left behind, begins anew, and the others do not notice")
    func slowMember() async throws {
        var limits = SharedSlotFeed.Limits()
        limits.unreadBytes = 512 << 10
        try await withFeeds(3, limits: limits) { _, feeds, database in
            feeds[2].listener.isHeld = true
            // Together more than the kernel's buffers for a socket hold, and those of the feed.
            let commits = 5000
            try await database.script("ALTER DATABASE \"\(try await database.name())\" SET synchronous_commit = off")
            let writer = ScratchDatabase.current.makeClient()
            for round in 1...15 {
                try await writer.script(
                    """
                    DO $$ BEGIN
                        FOR i IN 1..\(commits) LOOP
                            PERFORM pg_logical_emit_message(true, 'attune.topics', 'messages');
                            COMMIT;
                        END LOOP;
                    END $$
                    """)
                for feed in feeds.prefix(2) {
                    try await eventually("all commits are delivered") { feed.listener.commits.count >= round * commits }
                }
            }
            let connections = feeds.map(\.listener.connections)
            #expect(connections == [1, 1, 1])
            feeds[2].listener.isHeld = false
            try await eventually("the slow one has begun anew") {
                feeds[2].listener.connections == 2 && feeds[2].listener.isConnected
            }
            let written = try await database.commitSomething()
            for feed in feeds { try await eventually("the commit is delivered") { feed.listener.hasHeard(of: written) } }
        }
    }

    @Test("a holder that is silent, of another version or broken is not waited for; sharing is tried again", arguments: [
        ImpostorSays.nothing, .greetingOnly, .connectedOnly, .otherVersion, .nonsense, .connectedThenNonsense,
    ])
    func impostor(says: ImpostorSays) async throws {
        try await withFolder { folder in
            let connection = ConnectionSettings(connectionString: ScratchDatabase.current.url, applicationName: "attune tests feed")
            let replication = try await ReplicationConnection.open(connection)
            let origin = try await FeedOrigin(of: replication)
            replication.close()
            let database = ScratchDatabase.current.makeClient()
            let impostor = try Impostor(at: RelayPlace(folder: folder, origin: origin), says.bytes(origin))
            var limits = SharedSlotFeed.Limits()
            limits.secondsAlone = 0.1...0.2
            let feeds = (0..<2).map { _ in RunningFeed(Self.makeFeed(folder, limits: limits)) }
            do {
                if says == .connectedThenNonsense {
                    // It keeps the right to speak, and so they come back to it as often as it lets them.
                    for feed in feeds { try await eventually("the feed begins anew") { feed.listener.connections > 1 } }
                } else {
                    // Each in its turn: they keep trying to share, and are connected for a moment in between.
                    for feed in feeds { try await eventuallyDelivered(to: [feed], of: database) }
                }
                impostor.leave()
                try await eventuallyDelivered(to: feeds, of: database)
                try await eventually("the slot is shared") { try await database.slots() == 1 }
                try await eventuallyDelivered(to: feeds, of: database)
            } catch {
                for feed in feeds { await feed.stop() }
                throw error
            }
            for feed in feeds { await feed.stop() }
        }
    }

    @Test("the lock of a process that was killed is free")
    func killedProcess() async throws {
        try await withFolder { folder in
            let connection = ConnectionSettings(connectionString: ScratchDatabase.current.url, applicationName: "attune tests feed")
            let replication = try await ReplicationConnection.open(connection)
            let place = try RelayPlace(folder: folder, origin: try await FeedOrigin(of: replication))
            replication.close()
            let process = try await ChildProcess.start(
                Command("/usr/bin/flock", ["--no-fork", place.lockPath, "/usr/bin/sleep", "600"], output: .lines { _ in }))
            defer { process.stop(SIGKILL, grace: .zero) }
            try await eventually("the process has the lock") { try place.takeLock() == nil }
            process.stop(SIGKILL, grace: .zero)
            _ = await process.wait()
            #expect(try place.takeLock() != nil)
        }
    }

    /// Commits until one is delivered to all: those that come while a feed changes over are not.
    private func eventuallyDelivered(to feeds: [RunningFeed], of database: PostgresClient) async throws {
        var written: [UInt32] = []
        try await eventually("a commit is delivered to all") {
            written.append(try await database.commitSomething())
            return written.contains { id in feeds.allSatisfy { $0.listener.hasHeard(of: id) } }
        }
    }

    @Test("where no socket can be, each worker has its own slot")
    func longPath() async throws {
        try await withFolder { folder in
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let feeds = (0..<2).map { _ in RunningFeed(Self.makeFeed(folder + "/" + String(repeating: "x", count: 80))) }
            let database = ScratchDatabase.current.makeClient()
            for feed in feeds { try await eventually("the feed is connected") { feed.listener.isConnected } }
            #expect(try await database.slots() == 2)
            for feed in feeds { await feed.stop() }
        }
    }

    @Test("who says something to the holder is shown the door, and the others do not notice")
    func talkativeMember() async throws {
        try await withFeeds(2) { folder, feeds, database in
            let socket = try FileManager.default.contentsOfDirectory(atPath: folder).first { $0.hasSuffix(".socket") }!
            let intruder = try UnixSocket.connect(to: folder + "/" + socket)
            intruder.write(Array("GET / HTTP/1.1\r\n\r\n".utf8))
            try await eventually("it is closed") { intruder.hasEnded }
            let written = try await database.commitSomething()
            for feed in feeds {
                try await eventually("the commit is delivered") { feed.listener.hasHeard(of: written) }
                #expect(feed.listener.connections == 1)
            }
            let mode = try FileManager.default.attributesOfItem(atPath: folder)[.posixPermissions] as? Int
            #expect(mode == 0o700)
        }
    }
}
