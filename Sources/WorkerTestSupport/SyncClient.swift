import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket
import Synchronization
import Wire

/// A sync socket's other end, as bare as a test needs it: says what it is told to, and keeps all that comes.
///
/// It checks by itself what every client counts on: that each Transition starts where the last one ended, that timestamps
/// never go down, also from one connection to the next, that no Transition covers a mutation whose response is not there yet, and that pieces of a Transition come
/// without a gap. What it finds is in `State.violations`, and becomes an issue of the test.
public final class SyncClient: Sendable {
    /// How the socket is asked for, which is how the server knows the client (convex-protocol.md 3.1).
    public enum Handshake: Sendable {
        /// `/api/<version>/sync`.
        case javaScript(String)
        /// `/api/sync`, and the client's name in a header.
        case named(String)
        /// Python's client, of today.
        public static let python = Handshake.named("python-0.8.1")
    }

    public struct Version: Equatable, Sendable {
        public var querySet: UInt32 = 0
        public var identity: UInt32 = 0
        public var timestamp: UInt64 = 0

        init() {}

        /// Nil when it is none.
        public init?(_ json: JSON?) {
            guard let querySet = json?["querySet"]?.counterValue, let identity = json?["identity"]?.counterValue,
                let text = json?["ts"]?.stringValue, let timestamp = Base64.decode(littleEndian: text)
            else { return nil }
            (self.querySet, self.identity, self.timestamp) = (querySet, identity, timestamp)
        }
    }

    /// What has come so far.
    public struct State: Sendable {
        /// Every text message, in order.
        public fileprivate(set) var messages: [JSON] = []
        /// Every Transition, put together if it came in pieces.
        public fileprivate(set) var transitions: [JSON] = []
        /// What the client holds: the last QueryUpdated or QueryFailed of each query.
        public fileprivate(set) var results: [UInt32: JSON] = [:]
        public fileprivate(set) var version = Version()
        /// MutationResponses and ActionResponses.
        public fileprivate(set) var responses: [UInt32: JSON] = [:]
        /// Code and reason of the server's close frame.
        public fileprivate(set) var closeFrame: (code: UInt16?, reason: String)?
        /// The connection is gone.
        public fileprivate(set) var isClosed = false
        public fileprivate(set) var violations: [String] = []
        /// What the client has seen on other connections.
        fileprivate var maxObserved: UInt64 = 0
        fileprivate var chunks: [JSON] = []
        /// Mutations without a response, and whether each was asked for before, on another connection.
        fileprivate var owed: [UInt32: Bool] = [:]

        /// The newest message of a type.
        public func last(_ type: String) -> JSON? { messages.last { $0["type"]?.stringValue == type } }

        /// A query's value; nil while there is none, and when it has failed.
        public func value(_ query: UInt32) -> JSON? { results[query]?["value"] }

        /// `code` of a failed query's ApiError.
        public func errorCode(_ query: UInt32) -> String? { results[query]?["errorData"]?["code"]?.stringValue }

        /// The contents of a page of messages, newest first.
        public func contents(_ query: UInt32) -> [String]? {
            value(query)?["page"]?.arrayValue?.map { $0["content"]?.stringValue ?? "" }
        }

        /// Where a successful mutation was committed.
        public func commit(_ request: UInt32) -> UInt64? {
            responses[request]?["ts"]?.stringValue.flatMap { Base64.decode(littleEndian: $0) }
        }
    }

    private struct Log {
        var state = State()
        var waiters: [Int: @Sendable () -> Void] = [:]
        var nextWaiter = 0
        var isHoldingBack = false
        var querySet: UInt32 = 0
        var identity: UInt32 = 0
        var nextQuery: UInt32 = 0
        var nextRequest: UInt32 = 0
    }

    private let channel: any Channel
    private let log: LogBox

    private final class LogBox: Sendable {
        let value = Mutex(Log())

        func change(_ body: (inout State) -> Void) {
            let waiters = value.withLock { log in
                body(&log.state)
                defer { log.waiters = [:] }
                return log.waiters.values
            }
            for waiter in waiters { waiter() }
        }
    }

    private init(channel: any Channel, log: LogBox) {
        self.channel = channel
        self.log = log
    }

    /// The server answered the upgrade with something else.
    public struct UpgradeRefused: Error {}

    static func open(host: String, port: Int, _ handshake: Handshake, headers more: HTTPHeaders) async throws -> SyncClient {
        let log = LogBox()
        var headers: HTTPHeaders = ["Host": "\(host):\(port)"]
        headers.add(contentsOf: more)
        let uri: String
        switch handshake {
        case .javaScript(let version): uri = "/api/\(version)/sync"
        case .named(let name):
            uri = "/api/sync"
            headers.add(name: "Convex-Client", value: name)
        }
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: uri, headers: headers)
        let upgrade = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: host, port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let upgrader = NIOTypedWebSocketClientUpgrader<(any Channel)?>(maxFrameSize: 1 << 27) { channel, _ in
                        channel.eventLoop.makeCompletedFuture {
                            try channel.pipeline.syncOperations.addHandler(Receiver(log: log))
                            return channel
                        }
                    }
                    let configuration = NIOTypedHTTPClientUpgradeConfiguration<(any Channel)?>(
                        upgradeRequestHead: head, upgraders: [upgrader]
                    ) { channel in channel.eventLoop.makeSucceededFuture(nil) }
                    return try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(
                        configuration: .init(upgradeConfiguration: configuration))
                }
            }
        guard let channel = try? await upgrade.get() else { throw UpgradeRefused() }
        return SyncClient(channel: channel, log: log)
    }

    public var state: State { log.value.withLock { $0.state } }

    // MARK: Saying something

    public func send(_ message: JSON) { send(text: message.text) }

    /// Any text, JSON or not.
    public func send(text: String) { send(.text, ByteBuffer(string: text)) }

    public func sendBinary(_ bytes: [UInt8]) { send(.binary, ByteBuffer(bytes: bytes)) }

    /// Says good-bye as browsers do.
    public func sendClose(code: UInt16 = 1000) {
        send(.connectionClose, ByteBuffer(integer: code))
    }

    private func send(_ opcode: WebSocketOpcode, _ data: ByteBuffer) {
        let frame = WebSocketFrame(fin: true, opcode: opcode, maskKey: .random(), data: data)
        if log.value.withLock({ $0.isHoldingBack }) {
            channel.write(frame, promise: nil)
        } else {
            channel.writeAndFlush(frame, promise: nil)
        }
    }

    /// Sends all that `body` says together, so that the server has it at once.
    public func together(_ body: () -> Void) {
        log.value.withLock { $0.isHoldingBack = true }
        body()
        log.value.withLock { $0.isHoldingBack = false }
        channel.flush()
    }

    /// Ends the connection without a word.
    public func cut() { channel.close(promise: nil) }

    /// Stops and starts taking what the server sends.
    public func setReads(_ reads: Bool) async throws {
        try await channel.setOption(ChannelOptions.autoRead, value: reads).get()
        if reads { channel.read() }
    }

    public func connect(sessionID: String, connectionCount: Int = 0, maxObserved: UInt64? = nil) {
        var message: JSON = [
            "type": "Connect", "sessionId": .string(sessionID), "connectionCount": .number(Double(connectionCount)), "lastCloseReason": .null,
            "clientTs": .number((Date().timeIntervalSince1970 * 1000).rounded()),
        ]
        if let maxObserved {
            message = message.setting("maxObservedTimestamp", to: .string(Self.encode(maxObserved)))
            log.change { $0.maxObserved = maxObserved }
        }
        send(message)
    }

    /// A timestamp as the protocol writes it.
    public static func encode(_ timestamp: UInt64) -> String {
        String(decoding: Base64.encode(littleEndian: timestamp), as: UTF8.self)
    }

    /// Signs in, or with nil out.
    public func authenticate(_ token: String?) {
        let base = log.value.withLock { log in
            defer { log.identity += 1 }
            return log.identity
        }
        if let token {
            send(["type": "Authenticate", "baseVersion": .number(Double(base)), "tokenType": "User", "value": .string(token)])
        } else {
            send(["type": "Authenticate", "baseVersion": .number(Double(base)), "tokenType": "None"])
        }
    }

    /// Sends one ModifyQuerySet, and gives the version that it makes.
    @discardableResult
    public func modify(_ modifications: [JSON]) -> UInt32 {
        let base = log.value.withLock { log in
            defer { log.querySet += 1 }
            return log.querySet
        }
        send([
            "type": "ModifyQuerySet", "baseVersion": .number(Double(base)), "newVersion": .number(Double(base + 1)),
            "modifications": .array(modifications),
        ])
        return base + 1
    }

    /// An id for a query, for `Add`s of one's own.
    public func newQueryID() -> UInt32 {
        log.value.withLock { log in
            defer { log.nextQuery += 1 }
            return log.nextQuery
        }
    }

    public static func add(_ id: UInt32, _ path: String, _ arguments: JSON, journal: String? = nil) -> JSON {
        [
            "type": "Add", "queryId": .number(Double(id)), "udfPath": .string(path), "args": [arguments],
            "journal": journal.map { .string($0) } ?? .null,
        ]
    }

    /// Subscribes to a query with a ModifyQuerySet of its own, and gives its id.
    public func add(_ path: String, _ arguments: JSON = [:], journal: String? = nil) -> UInt32 {
        let id = newQueryID()
        modify([Self.add(id, path, arguments, journal: journal)])
        return id
    }

    public func remove(_ id: UInt32) {
        modify([["type": "Remove", "queryId": .number(Double(id))]])
    }

    /// Asks for a mutation, and gives the request's id.
    ///
    /// - Parameters:
    ///   - requestID: nil for the next one of this connection.
    ///   - isRepeat: whether another connection may have asked for it; nil if that is so for all with a `requestID`. A Transition
    ///     may come before the response to a repeat.
    @discardableResult
    public func mutate(_ path: String, _ arguments: JSON, requestID: UInt32? = nil, isRepeat: Bool? = nil) -> UInt32 {
        call("Mutation", path, arguments, requestID, isRepeat: isRepeat)
    }

    @discardableResult
    public func act(_ path: String, _ arguments: JSON, requestID: UInt32? = nil) -> UInt32 {
        call("Action", path, arguments, requestID)
    }

    private func call(
        _ type: String, _ path: String, _ arguments: JSON, _ requestID: UInt32?, isRepeat: Bool? = nil
    ) -> UInt32 {
        let id = log.value.withLock { log in
            let id = requestID ?? log.nextRequest
            log.nextRequest = max(log.nextRequest, id + 1)
            if type == "Mutation" { log.state.owed[id] = isRepeat ?? (requestID != nil) }
            return id
        }
        send(["type": .string(type), "requestId": .number(Double(id)), "udfPath": .string(path), "args": [arguments]])
        return id
    }

    // MARK: Waiting

    /// Waits until `condition` gives something for what has come so far. Throws when the connection ends first, or after a
    /// minute.
    @discardableResult
    public func wait<Value: Sendable>(for what: String, _ condition: (State) -> Value?) async throws -> Value {
        let deadline = NIODeadline.now() + .seconds(60)
        while true {
            let (state, ticket) = log.value.withLock { log in
                log.nextWaiter += 1
                return (log.state, log.nextWaiter)
            }
            if let value = condition(state) { return value }
            guard !state.isClosed, NIODeadline.now() < deadline else {
                throw InVain(what: what, isClosed: state.isClosed, last: state.messages.last?.text, violations: state.violations)
            }
            await change(since: state.messages.count, ticket, deadline)
        }
    }

    /// Waits until the server has ended the connection.
    public func waitForClose() async throws {
        try await wait(for: "the server to close the connection") { $0.isClosed ? true : nil }
    }

    private func change(since count: Int, _ ticket: Int, _ deadline: NIODeadline) async {
        let promise = channel.eventLoop.makePromise(of: Void.self)
        let mayWait = log.value.withLock { log in
            guard log.state.messages.count == count, !log.state.isClosed else { return false }
            log.waiters[ticket] = { promise.succeed() }
            return true
        }
        guard mayWait else { return promise.succeed() }
        let overdue = channel.eventLoop.scheduleTask(deadline: deadline) { promise.succeed() }
        try? await promise.futureResult.get()
        overdue.cancel()
    }

    /// What a test waited for did not come.
    public struct InVain: Error, CustomStringConvertible {
        let what: String
        let isClosed: Bool
        let last: String?
        let violations: [String]
        public var description: String {
            "waited in vain for \(what); the connection is \(isClosed ? "closed" : "open"); last message: \(last?.prefix(2000) ?? "none"); \(violations)"
        }
    }

    // MARK: Receiving

    private final class Receiver: ChannelInboundHandler {
        typealias InboundIn = WebSocketFrame
        typealias OutboundOut = WebSocketFrame

        private let log: LogBox
        private var message: [UInt8] = []

        init(log: LogBox) {
            self.log = log
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let frame = unwrapInboundIn(data)
            switch frame.opcode {
            case .text, .continuation:
                message.append(contentsOf: frame.unmaskedData.readableBytesView)
                guard frame.fin else { return }
                let text = message
                message = []
                log.change { $0.receive(text) }
            case .ping:
                let pong = WebSocketFrame(fin: true, opcode: .pong, maskKey: .random(), data: frame.unmaskedData)
                context.writeAndFlush(wrapOutboundOut(pong), promise: nil)
            case .connectionClose:
                var data = frame.unmaskedData
                let code = data.readInteger(as: UInt16.self)
                let reason = String(buffer: data)
                log.change { state in
                    if state.closeFrame != nil { state.violations.append("a second close frame") }
                    state.closeFrame = (code, reason)
                }
                context.writeAndFlush(
                    wrapOutboundOut(WebSocketFrame(fin: true, opcode: .connectionClose, maskKey: .random(), data: ByteBuffer())), promise: nil)
            default:
                break
            }
        }

        func channelInactive(context: ChannelHandlerContext) {
            log.change { $0.isClosed = true }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }
}

extension SyncClient.State {
    fileprivate mutating func receive(_ text: [UInt8]) {
        guard let message = try? JSON(parsing: text) else {
            violations.append("not JSON: \(String(decoding: text.prefix(200), as: UTF8.self))")
            return
        }
        messages.append(message)
        let type = message["type"]?.stringValue
        if !chunks.isEmpty, type != "TransitionChunk", type != "Ping" { violations.append("\(type ?? "?") between two chunks") }
        switch type {
        case "Transition": take(message)
        case "TransitionChunk": takeChunk(message)
        case "MutationResponse", "ActionResponse": takeResponse(message)
        case "Ping", "AuthError", "FatalError": break
        default: violations.append("unknown type: \(message.text.prefix(200))")
        }
    }

    private mutating func take(_ transition: JSON) {
        guard let start = SyncClient.Version(transition["startVersion"]), let end = SyncClient.Version(transition["endVersion"]),
            let modifications = transition["modifications"]?.arrayValue
        else { return violations.append("malformed Transition: \(transition.text.prefix(200))") }
        if start != version { violations.append("a Transition starts at \(start), but the last one ended at \(version)") }
        if end.timestamp < start.timestamp { violations.append("the timestamp goes down: \(start) → \(end)") }
        if end.timestamp >= 1 << 63 { violations.append("the timestamp has the highest bit: \(end)") }
        if end.timestamp < maxObserved { violations.append("a Transition at \(end.timestamp), but \(maxObserved) has been seen") }
        transitions.append(transition)
        version = end
        var seen: Set<UInt32> = []
        for modification in modifications {
            guard let id = modification["queryId"]?.counterValue, seen.insert(id).inserted else {
                violations.append("a modification without queryId, or the second one of its query: \(modification.text.prefix(200))")
                continue
            }
            switch modification["type"]?.stringValue {
            case "QueryUpdated":
                if modification["value"] == nil || modification["logLines"]?.arrayValue == nil || modification["journal"] == nil {
                    violations.append("incomplete QueryUpdated: \(modification.text.prefix(200))")
                }
                results[id] = modification
            case "QueryFailed":
                if modification["errorMessage"]?.stringValue == nil || modification["logLines"]?.arrayValue == nil {
                    violations.append("incomplete QueryFailed: \(modification.text.prefix(200))")
                }
                results[id] = modification
            case "QueryRemoved": results[id] = nil
            default: violations.append("unknown modification: \(modification.text.prefix(200))")
            }
        }
    }

    private mutating func takeChunk(_ chunk: JSON) {
        chunks.append(chunk)
        guard let number = chunk["partNumber"]?.counterValue, let total = chunk["totalParts"]?.counterValue, number == chunks.count - 1,
            chunk["transitionId"] == chunks[0]["transitionId"], chunk["totalParts"] == chunks[0]["totalParts"]
        else { return violations.append("a chunk does not continue the one before") }
        guard chunks.count == Int(total) else { return }
        let text = chunks.map { $0["chunk"]?.stringValue ?? "" }.joined()
        chunks = []
        guard let transition = try? JSON(parsing: text.utf8) else { return violations.append("the chunks are no Transition") }
        take(transition)
    }

    private mutating func takeResponse(_ response: JSON) {
        guard let id = response["requestId"]?.counterValue, let succeeded = response["success"]?.boolValue,
            response["logLines"]?.arrayValue != nil, response["result"] != nil
        else { return violations.append("malformed response: \(response.text.prefix(200))") }
        if responses[id] != nil { violations.append("a second response to request \(id)") }
        responses[id] = response
        guard response["type"] == "MutationResponse" else { return }
        let isRepeat = owed.removeValue(forKey: id)
        if isRepeat == nil { violations.append("a response to request \(id), which was not made on this connection") }
        guard succeeded else {
            if response["result"]?.stringValue == nil { violations.append("a failure without a text: \(response.text.prefix(200))") }
            return
        }
        guard let commit = commit(id) else { return violations.append("a success without ts: \(response.text.prefix(200))") }
        if isRepeat == false, version.timestamp >= commit {
            violations.append("a Transition at \(version.timestamp) came before the response to the mutation at \(commit)")
        }
    }
}
