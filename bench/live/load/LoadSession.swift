import Foundation
import NIOCore
import NIOPosix

/// What the benchmark asks for.
struct Command: Decodable {
    enum Kind: String, Decodable {
        /// Opens `count` more sockets, for the next accounts of the file, and waits until all have their query's result.
        case open
        /// Sends `rate` messages a second for `seconds`, with random accounts of the sockets' ones, by `way`.
        case send
        /// Executes `statement`, whose `$1` is a text that all sockets are to be shown, and waits until they are.
        case fanOut
        /// Listens to the channel `bench` until the program ends.
        case listen
    }

    enum Way: String, Decodable {
        /// Calls of `messages:send`.
        case http
        /// The same as mutations on the sockets.
        case socket
        /// Inserts into `messages`.
        case sql
        /// Inserts, which a client is told of that listens to the channel `bench`; the sockets do not matter.
        case notify
    }

    let command: Kind
    var count: Int?
    var way: Way?
    var rate: Double?
    var seconds: Double?
    var content: String?
    var statement: String?
}

/// Times are in milliseconds.
struct Answer: Encodable {
    var failure: String?
    var sendToAnswer: Percentiles?
    var sendToFrame: Percentiles?
    var answerToFrame: Percentiles?
    /// Transitions that came, and their bytes.
    var frames: Int?
    var frameBytes: Int?
}

/// Does what it is told, one command after the other.
final class LoadSession {
    private let port: Int
    private let connectionString: String
    private let accounts: [Account]
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let load: Load
    private var hasConnections = false
    private var nextMarker = 1

    /// Connections for HTTP.
    private static let connections = 64
    /// For what was sent to arrive, after the last send.
    private static let patience = TimeAmount.seconds(20)

    init(port: Int, connectionString: String, accounts: [Account]) {
        self.port = port
        self.connectionString = connectionString
        self.accounts = accounts
        load = Load(port: port, loop: group.next())
    }

    func run(_ command: Command) throws -> Answer {
        switch command.command {
        case .open: try open(command.count ?? accounts.count)
        case .send:
            try send(
                by: command.way ?? .http, rate: command.rate ?? 100, seconds: command.seconds ?? 1, content: command.content ?? "")
        case .fanOut: try fanOut(command.statement ?? "")
        case .listen: try listen()
        }
    }

    private func open(_ count: Int) throws -> Answer {
        let opened = try load.socketCount
        guard opened + count <= accounts.count else { throw Failure("there are only \(accounts.count) accounts") }
        try load.open(Array(accounts[opened..<opened + count])).wait()
        return Answer()
    }

    private func listen() throws -> Answer {
        _ = try Listener(connectionString, onFailure: fail) { _ in }
        return Answer()
    }

    private func send(by way: Command.Way, rate: Double, seconds: Double, content: String) throws -> Answer {
        if way == .http, !hasConnections {
            hasConnections = true
            try load.openConnections(Self.connections).wait()
        }
        let sockets = way == .notify ? accounts.count : try load.socketCount
        let sends = Sends(count: Int(rate * seconds), rate: rate, sockets: sockets, firstMarker: nextMarker)
        nextMarker += sends.count
        let listener = way == .notify ? try listener(for: sends) : nil
        load.begin(sends, content: content, way: way)
        if way == .sql || way == .notify {
            SQLWriters(connectionString).begin(sends, accounts: accounts, content: content, onFailure: fail)
        }
        let deadline = sends.isDue(sends.count) + Self.patience
        while sends.missing.load(ordering: .acquiring) > 0 {
            try load.check()
            guard .now() < deadline else {
                throw Failure("\(sends.missing.load(ordering: .relaxed)) answers and frames did not come")
            }
            Thread.sleep(forTimeInterval: 0.02)
        }
        listener?.stop()
        let times = sends.times()
        let (frames, bytes) = try load.traffic()
        return Answer(
            sendToAnswer: times.sendToAnswer, sendToFrame: times.sendToFrame, answerToFrame: times.answerToFrame, frames: frames,
            frameBytes: bytes)
    }

    private func listener(for sends: Sends) throws -> Listener {
        try Listener(connectionString, onFailure: fail) { marker in sends.index(ofMarker: marker).map(sends.shown) }
    }

    private var fail: @Sendable (any Error) -> Void {
        { [load] error in load.loop.execute { load.fail("\(error)") } }
    }

    private func fanOut(_ statement: String) throws -> Answer {
        let database = try Database(connectionString)
        try database.prepare("change", statement)
        let marker = nextMarker
        nextMarker += 1
        let shown = load.waitUntilAllAreShown(marker)
        let start = NIODeadline.now()
        try database.execute(prepared: "change", [Marker.text(marker)])
        let committed = NIODeadline.now()
        let times = try shown.wait()
        let (frames, bytes) = try load.traffic()
        func percentiles(since moment: NIODeadline) -> Percentiles {
            Percentiles(times.map { Double(Int64($0) - Int64(moment.uptimeNanoseconds)) / 1e6 })
        }
        return Answer(
            sendToAnswer: Percentiles([Double((committed - start).nanoseconds) / 1e6]), sendToFrame: percentiles(since: start),
            answerToFrame: percentiles(since: committed), frames: frames, frameBytes: bytes)
    }
}
