import CLibpq

/// What can go wrong between us and PostgreSQL.
///
/// `description` holds no data: no values, no message text of the server, no connection string. Those are in
/// `debugDescription`, which belongs in no log.
public struct PostgresError: Error, Sendable {
    public enum Kind: Hashable, Sendable {
        /// The server refused a statement; `sqlState` says why. The statement had no effect.
        case server
        /// No connection could be made. Nothing was sent.
        case cannotConnect
        /// The connection broke while the statement was under way. It may or may not have had its effect.
        case connectionLost
        /// Too many statements are waiting already. Nothing was sent.
        case overloaded
        /// The statement ran longer than its limit and was cancelled. It had no effect.
        case timedOut
        /// The calling task was cancelled, and the statement with it.
        case cancelled
        /// A column does not hold what the code expects.
        case unexpectedResult
        /// The client was closed, perhaps while the statement was under way.
        case closed
    }

    public let kind: Kind
    /// Five characters, from PostgreSQL's appendix A; nil unless the server spoke.
    public let sqlState: SQLState?
    /// The violated constraint's name, when there is one.
    public let constraint: String?
    public let table: String?
    /// The name of the statement that failed.
    public let statement: String?
    /// The server's function that raised the error: `RevalidateCachedQuery`.
    let serverFunction: String?
    /// The server's words. They can contain data.
    let serverMessage: String

    init(
        _ kind: Kind, sqlState: SQLState? = nil, constraint: String? = nil, table: String? = nil, statement: String? = nil,
        serverFunction: String? = nil, serverMessage: String = ""
    ) {
        self.kind = kind
        self.sqlState = sqlState
        self.constraint = constraint
        self.table = table
        self.statement = statement
        self.serverFunction = serverFunction
        self.serverMessage = serverMessage
    }

    /// From a result whose status is an error. The result stays the caller's.
    init(result: OpaquePointer, statement: String?) {
        func field(_ code: Int32) -> String? { PQresultErrorField(result, code).map { String(cString: $0) } }
        // The codes of postgres_ext.h are macros of character constants, which Swift does not import.
        let state = field(Int32(UInt8(ascii: "C"))).map(SQLState.init(rawValue:))
        self.init(
            state == .queryCanceled ? .timedOut : (state?.isConnectionFailure ?? true) ? .connectionLost : .server,
            sqlState: state, constraint: field(Int32(UInt8(ascii: "n"))), table: field(Int32(UInt8(ascii: "t"))), statement: statement,
            serverFunction: field(Int32(UInt8(ascii: "R"))), serverMessage: String(cString: PQresultErrorMessage(result)))
    }

    func named(_ statement: String?) -> PostgresError {
        PostgresError(
            kind, sqlState: sqlState, constraint: constraint, table: table, statement: self.statement ?? statement,
            serverFunction: serverFunction, serverMessage: serverMessage)
    }

    /// Nothing reached the server, or the server took it back: running it again is safe.
    public var hadNoEffect: Bool {
        switch kind {
        case .server, .cannotConnect, .overloaded, .timedOut, .cancelled: true
        case .connectionLost, .closed, .unexpectedResult: false
        }
    }

    /// The database could not be asked; the same call may succeed in a moment.
    public var isUnavailability: Bool {
        switch kind {
        case .cannotConnect, .connectionLost, .overloaded, .timedOut, .closed: true
        case .server, .cancelled, .unexpectedResult: false
        }
    }
}

extension PostgresError: CustomStringConvertible, CustomDebugStringConvertible {
    public var description: String {
        var parts = ["\(kind)"]
        if let sqlState { parts.append("SQLSTATE \(sqlState.rawValue)") }
        if let constraint { parts.append("constraint \(constraint)") }
        if let table { parts.append("table \(table)") }
        if let statement { parts.append("in \(statement)") }
        return "PostgreSQL: " + parts.joined(separator: ", ")
    }

    public var debugDescription: String {
        serverMessage.isEmpty ? description : description + ": " + serverMessage
    }
}

/// A five-character error code, from PostgreSQL's appendix A.
public struct SQLState: RawRepresentable, Hashable, Sendable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    public static let uniqueViolation = SQLState(rawValue: "23505")
    public static let foreignKeyViolation = SQLState(rawValue: "23503")
    public static let checkViolation = SQLState(rawValue: "23514")
    public static let notNullViolation = SQLState(rawValue: "23502")
    public static let serializationFailure = SQLState(rawValue: "40001")
    public static let deadlockDetected = SQLState(rawValue: "40P01")
    public static let queryCanceled = SQLState(rawValue: "57014")
    public static let undefinedTable = SQLState(rawValue: "42P01")
    public static let duplicateTable = SQLState(rawValue: "42P07")
    public static let undefinedObject = SQLState(rawValue: "42704")
    public static let lockNotAvailable = SQLState(rawValue: "55P03")
    public static let featureNotSupported = SQLState(rawValue: "0A000")
    public static let invalidStatementName = SQLState(rawValue: "26000")
    public static let duplicatePreparedStatement = SQLState(rawValue: "42P05")
    public static let inFailedTransaction = SQLState(rawValue: "25P02")

    /// Class 08, and the shutdown codes with which a server ends its sessions.
    var isConnectionFailure: Bool { rawValue.hasPrefix("08") || ["57P01", "57P02", "57P03"].contains(rawValue) }
}
