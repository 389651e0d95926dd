import Domain
import Logging
import NIOCore
import NIOPosix

/// The holder's side of a shared slot: tells the members what the slot's feed says.
///
/// A member gets every event from the moment it joins, in order, or its connection is closed. It is closed also when the member
/// leaves more than `unreadBytes` unread, so that one that is slow or stopped costs the holder no more than that.
final class FeedRelay: @unchecked Sendable {
    // Unchecked: what changes is touched on `loop` only.
    /// Of its own: the worker's other loops can be busy with thousands of sockets.
    private let group: MultiThreadedEventLoopGroup
    private let loop: any EventLoop
    private let greeting: ByteBuffer
    private let unreadBytes: Int
    private let logger: Logger
    private var members: [ObjectIdentifier: Member] = [:]
    /// How far the slot's feed has come; nil: it does not deliver yet.
    private var position: LogPosition?
    private var server: (any Channel)?
    private var heartbeat: RepeatedTask?

    private final class Member {
        let channel: any Channel
        var unreadBytes = 0

        init(_ channel: any Channel) {
            self.channel = channel
        }
    }

    private init(greeting: RelayFrame, unreadBytes: Int, logger: Logger) {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        loop = group.next()
        self.greeting = Self.bytes(of: greeting)
        self.unreadBytes = unreadBytes
        self.logger = logger
    }

    /// Listens on the socket; the caller has the lock.
    ///
    /// - Parameter unreadBytes: at most `RelayFrame.maximumBytes`, so that no longer frame is ever sent.
    static func open(at place: RelayPlace, greeting: RelayFrame, unreadBytes: Int, logger: Logger) async throws -> FeedRelay {
        let relay = FeedRelay(greeting: greeting, unreadBytes: unreadBytes, logger: logger)
        do {
            try await relay.listen(on: place.socketPath)
        } catch {
            await relay.close()
            throw error
        }
        return relay
    }

    private func listen(on path: String) async throws {
        let server = try await ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: 64)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(MemberHandler(relay: self)) }
            }
            .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true)
            .get()
        try await loop.submit { [self] in
            self.server = server
            let interval = Self.heartbeatInterval
            heartbeat = loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { [weak self] _ in
                self?.sendToAll(.alive)
            }
        }.get()
    }

    /// Passes an event of the slot's feed on. Does not wait.
    func send(_ event: FeedEvent) {
        loop.execute { [self] in
            switch event {
            case .connected:
                position = .zero
                sendToAll(.connected(upTo: .zero))
            case .commits(let commits, let end):
                position = end
                sendToAll(.commits(commits, upTo: end))
            case .disconnected, .poll:
                // The slot is lost, and the relay ends with it.
                break
            }
        }
    }

    /// Leaves all members, who notice at once.
    func close() async {
        do {
            try await loop.submit { [self] in
                heartbeat?.cancel()
                server?.close(promise: nil)
                server = nil
                for member in members.values { member.channel.close(promise: nil) }
            }.get()
            try await group.shutdownGracefully()
        } catch {
            logger.warning("the feed's relay did not close cleanly", metadata: ["error": "\(error)"])
        }
    }

    fileprivate func join(_ channel: any Channel) {
        let member = Member(channel)
        members[ObjectIdentifier(channel)] = member
        write(greeting, to: member)
        if let position { write(Self.bytes(of: .connected(upTo: position)), to: member) }
    }

    fileprivate func leave(_ channel: any Channel) {
        members[ObjectIdentifier(channel)] = nil
    }

    private func sendToAll(_ frame: RelayFrame) {
        guard !members.isEmpty else { return }
        let bytes = Self.bytes(of: frame)
        for member in members.values { write(bytes, to: member) }
    }

    private func write(_ bytes: ByteBuffer, to member: Member) {
        let count = bytes.readableBytes
        guard member.unreadBytes + count <= unreadBytes else {
            logger.warning("a worker does not read the feed that it shares, and has to begin anew")
            // What it has not read would be followed by a gap: nothing more is written.
            return member.channel.close(promise: nil)
        }
        member.unreadBytes += count
        member.channel.writeAndFlush(bytes).assumeIsolated().whenComplete { _ in member.unreadBytes -= count }
    }

    private static func bytes(of frame: RelayFrame) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeRelayFrame(frame)
        return buffer
    }

    /// A member that has missed three leaves.
    private static let heartbeatInterval = TimeAmount.seconds(1)
}

/// One member's connection.
private final class MemberHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let relay: FeedRelay

    init(relay: FeedRelay) {
        self.relay = relay
    }

    func channelActive(context: ChannelHandlerContext) { relay.join(context.channel) }

    func channelInactive(context: ChannelHandlerContext) { relay.leave(context.channel) }

    /// Members have nothing to say.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.close(promise: nil) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
