import DequeModule
import NIOCore
import NIOPosix

/// The sockets, and what is sent and received on them. All of it belongs to one event loop.
final class Load: @unchecked Sendable {
    // Unchecked: touched on the event loop only, except for the constants.

    let loop: any EventLoop
    private let port: Int
    private var sockets: [SyncSocket] = []
    private var connections: [HTTPConnection] = []
    private var free: [HTTPConnection] = []
    private var queue: Deque<Int> = []

    private var opening: (accounts: ArraySlice<Account>, missing: Int, promise: EventLoopPromise<Void>)?
    private var sends: Sends?
    private var content = ""
    private var fanOut: FanOut?
    private var failure: Failure?
    private(set) var frames = 0
    private(set) var frameBytes = 0

    /// One change that all sockets are to be shown.
    private struct FanOut {
        let marker: Int
        let shown: EventLoopPromise<[UInt64]>
        var times: [UInt64]
        var missing: Int
    }

    init(port: Int, loop: any EventLoop) {
        self.port = port
        self.loop = loop
    }

    // MARK: Coming and going

    /// Opens so many sockets, and waits until each has its query's result.
    func open(_ accounts: [Account]) -> EventLoopFuture<Void> {
        let promise = loop.makePromise(of: Void.self)
        loop.execute { [self] in
            opening = (accounts[...], accounts.count, promise)
            // So many at once: a storm of connections is not what is measured here.
            for _ in 0..<64 { openNext() }
        }
        return promise.futureResult
    }

    private func openNext() {
        guard let account = opening?.accounts.popFirst() else { return }
        let socket = SyncSocket(number: sockets.count, account: account, load: self)
        sockets.append(socket)
        connect(socket, from: sockets.count)
    }

    /// Opens so many connections for HTTP.
    func openConnections(_ count: Int) -> EventLoopFuture<Void> {
        loop.submit { [self] in
            for number in 0..<count {
                let connection = HTTPConnection(load: self)
                connections.append(connection)
                connect(connection, from: number)
            }
        }
    }

    private func connect(_ handler: some ChannelInboundHandler, from number: Int) {
        let bound = NIOLoopBound(handler, eventLoop: loop)
        do {
            // Each local address has ports of its own.
            ClientBootstrap(group: loop)
                .bind(to: try SocketAddress(ipAddress: "127.0.0.\(2 + number % 8)", port: 0))
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(bound.value) }
                }
                .connect(host: "127.0.0.1", port: port)
                .whenFailure { self.fail("cannot connect: \($0)") }
        } catch {
            fail("cannot connect: \(error)")
        }
    }

    func ready(_ socket: SyncSocket) {
        guard opening != nil else { return }
        opening!.missing -= 1
        guard opening!.missing == 0 else { return openNext() }
        opening!.promise.succeed()
        opening = nil
    }

    func ended(_ handler: some ChannelInboundHandler) {
        fail("a connection was closed")
    }

    /// Whatever runs ends with the first failure.
    func fail(_ description: String) {
        let failure = self.failure ?? Failure(description)
        self.failure = failure
        opening?.promise.fail(failure)
        opening = nil
        fanOut?.shown.fail(failure)
        fanOut = nil
    }

    /// Throws what has gone wrong so far.
    func check() throws {
        if let failure = try loop.submit({ self.failure }).wait() { throw failure }
    }

    var socketCount: Int { get throws { try loop.submit { self.sockets.count }.wait() } }

    // MARK: Sending

    /// From now on these sends are the ones that answers and frames are looked for. Those by HTTP or socket are sent from here.
    func begin(_ sends: Sends, content: String, way: Command.Way) {
        loop.execute { [self] in
            self.sends = sends
            self.content = content
            (frames, frameBytes) = (0, 0)
            if way == .http || way == .socket { sendDue(from: 0, way) }
        }
    }

    private func sendDue(from first: Int, _ way: Command.Way) {
        guard let sends else { return }
        var index = first
        while index < sends.count, sends.isDue(index) <= .now() {
            if way == .http {
                queue.append(index)
                sendQueued()
            } else {
                sockets[sends.senders[index]].send(Marker.text(sends.firstMarker + index) + content, index: index)
            }
            index += 1
        }
        guard index < sends.count else { return }
        loop.scheduleTask(deadline: sends.isDue(index)) { [index] in self.sendDue(from: index, way) }
    }

    func isFree(_ connection: HTTPConnection) {
        free.append(connection)
        sendQueued()
    }

    private func sendQueued() {
        guard let sends, !queue.isEmpty, let connection = free.popLast() else { return }
        let index = queue.removeFirst()
        connection.send(
            Marker.text(sends.firstMarker + index) + content, as: sockets[sends.senders[index]].account, index: index)
    }

    // MARK: Receiving

    func answered(_ index: Int) { sends?.answered(index) }

    func count(_ bytes: Int) {
        frames += 1
        frameBytes += bytes
    }

    func shown(_ marker: Int, to socket: SyncSocket) {
        if let sends, let index = sends.index(ofMarker: marker), sends.senders[index] ^ 1 == socket.number {
            sends.shown(index)
        }
        if fanOut?.marker == marker, fanOut!.times[socket.number] == 0 {
            fanOut!.times[socket.number] = NIODeadline.now().uptimeNanoseconds
            fanOut!.missing -= 1
            guard fanOut!.missing == 0 else { return }
            fanOut!.shown.succeed(fanOut!.times)
            fanOut = nil
        }
    }

    /// When each socket was shown the marker.
    func waitUntilAllAreShown(_ marker: Int) -> EventLoopFuture<[UInt64]> {
        let promise = loop.makePromise(of: [UInt64].self)
        loop.execute { [self] in
            (frames, frameBytes) = (0, 0)
            fanOut = FanOut(
                marker: marker, shown: promise, times: Array(repeating: 0, count: sockets.count), missing: sockets.count)
        }
        return promise.futureResult
    }

    /// How many Transitions have come since the last beginning, and how many bytes they had.
    func traffic() throws -> (frames: Int, bytes: Int) {
        try loop.submit { (self.frames, self.frameBytes) }.wait()
    }
}
