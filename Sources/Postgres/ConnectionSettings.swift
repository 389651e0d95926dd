import CLibpq
import Dispatch

/// Where and how to connect: everything that libpq understands, in its own words.
public struct ConnectionSettings: Sendable {
    /// A libpq connection string (`host=… dbname=…`) or URI (`postgresql://…`), several hosts and TLS options included.
    public var connectionString: String
    /// Shown in `pg_stat_activity`.
    public var applicationName: String
    /// How long one host may take to answer, unless the connection string says so itself (`connect_timeout`).
    public var connectTimeout: Duration

    public init(connectionString: String, applicationName: String, connectTimeout: Duration = .seconds(5)) {
        self.connectionString = connectionString
        self.applicationName = applicationName
        self.connectTimeout = connectTimeout
    }

    /// Connecting can block (name resolution does, and libpq counts the time-out of each host only when it may block), so
    /// it happens on threads of its own, never on a cooperative one.
    private static let connecting = DispatchQueue(label: "attune.postgres.connect", attributes: .concurrent)

    /// Opens a connection; the caller owns it and ends it with `PQfinish`.
    func connect(isReplication: Bool) async throws(PostgresError) -> OpenedConnection {
        let outcome: Result<OpenedConnection, PostgresError> = await withCheckedContinuation { continuation in
            Self.connecting.async { continuation.resume(returning: connectAndWait(isReplication: isReplication)) }
        }
        return try outcome.get()
    }

    private func connectAndWait(isReplication: Bool) -> Result<OpenedConnection, PostgresError> {
        // Later keywords override earlier ones, and those of the connection string count as standing first, where
        // `dbname` is; so what the operator may override has to stand before it.
        var options: [(String, String)] = [
            ("connect_timeout", String(max(2, connectTimeout.components.seconds))),
            // A server that is gone without a word, with its machine for instance, is noticed within a minute.
            ("tcp_user_timeout", "30000"), ("keepalives_idle", "30"), ("keepalives_interval", "10"), ("keepalives_count", "3"),
            ("fallback_application_name", applicationName),
            ("dbname", connectionString),
            ("client_encoding", "UTF8"),
        ]
        if isReplication { options.append(("replication", "database")) }
        let connection = withCStrings(options.map(\.0)) { keywords in
            withCStrings(options.map(\.1)) { values in PQconnectdbParams(keywords, values, 1) }
        }
        guard let connection else { return .failure(PostgresError(.cannotConnect, serverMessage: "out of memory")) }
        guard PQstatus(connection) == CONNECTION_OK else {
            let message = String(cString: PQerrorMessage(connection))
            PQfinish(connection)
            return .failure(PostgresError(.cannotConnect, serverMessage: message))
        }
        // Notices can quote data; errors carry all that we need.
        PQsetNoticeReceiver(connection, { _, _ in }, nil)
        let isPooled = !isReplication && isPooled(connection)
        PQsetnonblocking(connection, 1)
        return .success(OpenedConnection(pointer: connection, isPooled: isPooled))
    }
}

/// Whether a pooler stands between us and the server. Poolers make up the process id that they tell their clients, since
/// in transaction mode each transaction runs in whichever session is free, and so named statements come and go.
private func isPooled(_ connection: OpaquePointer) -> Bool {
    let result = PQexec(connection, "SELECT pg_backend_pid()")
    defer { PQclear(result) }
    guard PQresultStatus(result) == PGRES_TUPLES_OK, let text = PQgetvalue(result, 0, 0) else { return false }
    return String(cString: text) != String(PQbackendPID(connection))
}

/// A libpq connection on its way to its owner.
struct OpenedConnection: @unchecked Sendable {
    // Unchecked: the pointer is handed over once, and used by one thread at a time.
    let pointer: OpaquePointer
    let isPooled: Bool
}

/// Calls `body` with a NULL-terminated array of C strings, valid during the call.
private func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
) -> Result {
    var bytes: [CChar] = []
    var offsets: [Int] = []
    for string in strings {
        offsets.append(bytes.count)
        bytes.append(contentsOf: string.utf8CString)
    }
    return bytes.withUnsafeBufferPointer { buffer in
        var pointers: [UnsafePointer<CChar>?] = offsets.map { buffer.baseAddress! + $0 }
        pointers.append(nil)
        return pointers.withUnsafeBufferPointer { body($0.baseAddress!) }
    }
}
