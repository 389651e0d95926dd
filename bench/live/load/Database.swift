import CLibpq
import Foundation
import NIOCore
import Synchronization

/// A connection to PostgreSQL that blocks its thread, as most programs' do.
final class Database {
    private let connection: OpaquePointer

    init(_ connectionString: String) throws {
        connection = PQconnectdb(connectionString)
        guard PQstatus(connection) == CONNECTION_OK else { throw failure }
    }

    deinit { PQfinish(connection) }

    func prepare(_ name: String, _ sql: String) throws {
        try check(PQprepare(connection, name, sql, 0, nil))
    }

    func execute(_ sql: String) throws {
        try check(PQexec(connection, sql))
    }

    func execute(prepared name: String, _ parameters: [String]) throws {
        let texts = parameters.map { strdup($0) }
        defer { for text in texts { free(text) } }
        let values = texts.map { UnsafePointer($0) }
        try check(PQexecPrepared(connection, name, Int32(values.count), values, nil, nil, 0))
    }

    private var failure: Failure { Failure(String(cString: PQerrorMessage(connection))) }

    private func check(_ result: OpaquePointer?) throws {
        defer { PQclear(result) }
        let status = PQresultStatus(result)
        guard status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK else { throw failure }
    }

    /// Waits for notifications for a moment, and calls `body` with the payload of each.
    func receiveNotifications(_ body: (UnsafeRawBufferPointer) -> Void) throws {
        var waiting = pollfd(fd: PQsocket(connection), events: Int16(POLLIN), revents: 0)
        poll(&waiting, 1, 50)
        guard PQconsumeInput(connection) == 1 else { throw failure }
        while let notification = PQnotifies(connection) {
            let payload = notification.pointee.extra!
            body(UnsafeRawBufferPointer(start: payload, count: strlen(payload)))
            PQfreemem(notification)
        }
    }
}

/// Sends messages by plain SQL: threads with a connection each take turns, so that a slow commit delays only its own.
final class SQLWriters: Sendable {
    private let connectionString: String

    /// More than are ever busy at the rates of this benchmark.
    private static let threads = 16

    init(_ connectionString: String) {
        self.connectionString = connectionString
    }

    /// Begins; `sends.missing` says when it is over.
    ///
    /// - Parameter accounts: of the sockets, in their order.
    func begin(_ sends: Sends, accounts: [Account], content: String, onFailure: @escaping @Sendable (any Error) -> Void) {
        for first in 0..<Self.threads {
            Thread { [connectionString] in
                do {
                    let database = try Database(connectionString)
                    try database.prepare(
                        "send",
                        "INSERT INTO messages (conversation_id, sender_id, recipient_id, content) VALUES ($1, $2, $3, $4)")
                    for index in stride(from: first, to: sends.count, by: Self.threads) {
                        sleep(until: sends.isDue(index))
                        let account = accounts[sends.senders[index]]
                        let marked = Marker.text(sends.firstMarker + index) + content
                        try database.execute(
                            prepared: "send", [account.conversation, account.user, account.recipient, marked])
                        sends.answered(index)
                    }
                } catch {
                    onFailure(error)
                }
            }.start()
        }
    }
}

/// Hears of messages by `LISTEN`.
final class Listener: Sendable {
    private let isStopped = Atomic(false)

    /// Listens from when this returns until `stop()`.
    init(
        _ connectionString: String, onFailure: @escaping @Sendable (any Error) -> Void, onMarker: @escaping @Sendable (Int) -> Void
    ) throws {
        let database = try Database(connectionString)
        try database.execute("LISTEN bench")
        nonisolated(unsafe) let ours = database
        Thread { [self] in
            do {
                while !isStopped.load(ordering: .relaxed) {
                    try ours.receiveNotifications { Marker.forEach(in: $0, onMarker) }
                }
            } catch {
                onFailure(error)
            }
        }.start()
    }

    func stop() { isStopped.store(true, ordering: .relaxed) }
}

func sleep(until time: NIODeadline) {
    var moment = timespec(
        tv_sec: Int(time.uptimeNanoseconds / 1_000_000_000), tv_nsec: Int(time.uptimeNanoseconds % 1_000_000_000))
    while clock_nanosleep(CLOCK_MONOTONIC, Int32(TIMER_ABSTIME), &moment, nil) == EINTR {}
}
