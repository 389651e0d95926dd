import CLibpq

/// A connection in replication mode (`replication=database`), for one logical slot's stream of commits.
///
/// Chapter 55.4 of PostgreSQL's manual, "Streaming Replication Protocol".
public final class ReplicationConnection: Sendable {
    private let connection: Connection
    private let reactor = Reactor.shared

    private init(connection: Connection) {
        self.connection = connection
    }

    public static func open(_ settings: ConnectionSettings) async throws(PostgresError) -> ReplicationConnection {
        let opened = try await settings.connect(isReplication: true)
        let connection = await Reactor.shared.perform {
            Connection(opened, naming: StatementNaming(), reactor: .shared)
        }
        return ReplicationConnection(connection: connection)
    }

    /// Runs a replication command, or SQL, and gives the last result's rows as text.
    ///
    /// Cancelling the task closes the connection: creating a slot can wait for other transactions as long as they please.
    @discardableResult
    public func run(_ command: String, name: String) async throws(PostgresError) -> [[String?]] {
        let outcome: Result<[QueryResult], PostgresError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                reactor.submit { [connection] in
                    connection.runScript(command, name: name) { continuation.resume(returning: $0) }
                }
            }
        } onCancel: {
            close()
        }
        guard let result = try outcome.get().last else { return [] }
        return (0..<result.count).map { row in (0..<result.columnCount).map { result.text(row: row, column: $0) } }
    }

    /// Starts the stream; from then on only `messages` and `confirm` make sense.
    public func startStream(_ command: String) async throws(PostgresError) {
        try await run(command, name: "replication.start")
    }

    /// Waits for the next messages: the bodies of CopyData, at least one. The caller who does not come back for more makes
    /// the server wait, after a few megabytes.
    ///
    /// - Parameter isWorthWaking: messages for which it is false wait for one for which it is true, or until there are
    ///   megabytes of them: the server sends each part of a transaction by itself.
    public func messages(
        until isWorthWaking: @escaping @Sendable ([UInt8]) -> Bool = { _ in true }
    ) async throws(PostgresError) -> [[UInt8]] {
        let outcome: Result<[[UInt8]], PostgresError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                reactor.submit { [connection] in
                    connection.nextReplicationMessages(until: isWorthWaking) { continuation.resume(returning: $0) }
                }
            }
        } onCancel: {
            close()
        }
        return try outcome.get()
    }

    /// Tells the server how far we have come: it may forget the log before `position`.
    ///
    /// - Parameter requestReply: ask for a keepalive message, which says how far the server has come.
    public func confirm(_ position: UInt64, requestReply: Bool = false) {
        var message: [UInt8] = [UInt8(ascii: "r")]
        for _ in 0..<3 { message.appendBigEndian(position) }  // written, flushed, applied
        message.appendBigEndian(Int64(0))  // our clock, which nobody reads
        message.append(requestReply ? 1 : 0)
        reactor.submit { [connection, message] in connection.sendReplicationMessage(message) }
    }

    /// Ends the session; a temporary slot ends with it.
    public func close() {
        reactor.submit { [connection] in connection.close() }
    }

    deinit {
        close()
    }
}
