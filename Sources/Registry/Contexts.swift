import Accounts
import Domain
import Postgres
import Reporting
import Store
import Synchronization
import Wire

/// Who may call a function; checked before its body runs.
public enum Access: String, Sendable {
    case anyone
    case signedIn
    case admin

    func check(_ caller: Caller) throws(APIError) {
        switch (self, caller) {
        case (.anyone, _), (.signedIn, .user): return
        case (_, .anonymous): throw .unauthorized
        case (.admin, .user(let principal)):
            guard principal.role == .admin else { throw .forbidden("Only administrators may do this.") }
        }
    }
}

/// What a query's body works with: the caller, and reads of one snapshot.
public struct QueryContext: Sendable {
    public let caller: Caller
    let database: any StatementExecutor
    let dependencies: Dependencies
    let cursors: CursorCoder
    /// The journal that the client sent back: where this page ended when it was first run.
    let journal: String?

    /// The caller, in functions whose access rule lets nobody else in.
    public var principal: Principal {
        get throws {
            guard let principal = caller.principal else { throw APIError.unauthorized }
            return principal
        }
    }

    /// Runs a statement, and says which changes alter its rows: the query runs again when a commit touches one of `topics`.
    ///
    /// Every table that the statement reads needs a topic; a test checks that over the whole registry.
    public func rows(_ statement: BoundStatement, reading topics: Topic...) async throws -> QueryResult {
        dependencies.add(topics)
        return try await database.execute(statement)
    }

    /// More topics, for what is known only once the rows are there.
    public func depends(on topics: some Sequence<Topic>) {
        dependencies.add(Array(topics))
    }

    /// The range of the page that `options` asks for.
    ///
    /// - Parameter list: names the list among all lists: the function and what its rows are chosen by. A cursor of another
    ///   list is refused.
    public func pageRange(_ options: PaginationOptions?, of list: String) throws -> PageRange {
        let options = options ?? .standard
        // Clients keep a query's journal when they become somebody else, whose list is another one: then it says nothing.
        let fixedEnd = try journal.flatMap { try cursors.decode(journal: $0, list: list) }
        return PageRange(
            start: try options.cursor.map { try cursors.decode($0, list: list) },
            end: try options.endCursor.map { try cursors.decode($0, list: list) } ?? fixedEnd,
            itemCount: options.itemCount)
    }

    /// Makes the page, and fixes its end for this query's later runs.
    ///
    /// - Parameter isConfidential: who reads very many such rows within a few minutes is reported.
    public func page<Element: ConvexEncodable>(
        _ rows: [(key: ListKey, element: Element)], range: PageRange, of list: String, isConfidential: Bool = false
    ) -> Page<Element> {
        let page = Page(rows: rows, range: range, cursors: cursors, list: list)
        dependencies.setPage(
            journal: page.continueCursor,
            disclosure: isConfidential ? Disclosure(rows: page.elements.count, page: range.hash(in: list)) : nil)
        return page
    }
}

/// What a running query has said it depends on.
final class Dependencies: Sendable {
    private struct State {
        var topics: Set<Topic> = []
        var journal: String?
        var disclosure: Disclosure?
    }
    private let state = Mutex(State())

    func add(_ topics: [Topic]) {
        state.withLock { $0.topics.formUnion(topics) }
    }

    func setPage(journal: String, disclosure: Disclosure?) {
        state.withLock { state in
            state.journal = journal
            state.disclosure = disclosure
        }
    }

    var topics: Set<Topic> { state.withLock { $0.topics } }
    var journal: String? { state.withLock { $0.journal } }
    var disclosure: Disclosure? { state.withLock { $0.disclosure } }
}

/// What a mutation's body works with. All it writes takes effect together, or nothing does.
public struct MutationContext: Sendable {
    /// Where the writes go.
    enum Target: Sendable {
        /// Over HTTP: each call of `run` or `transaction` is a transaction of its own.
        case database(PostgresClient)
        /// Over a socket: the transaction that also records the request, so that it happens once.
        case transaction(Transaction)
    }

    public let caller: Caller
    let target: Target

    /// The caller, in functions whose access rule lets nobody else in.
    public var principal: Principal {
        get throws {
            guard let principal = caller.principal else { throw APIError.unauthorized }
            return principal
        }
    }

    /// Runs one statement that does the whole work: one round trip, committed when this returns.
    ///
    /// A body that writes in more than one statement uses `transaction`. Falling back to one is fine after a statement that
    /// wrote nothing.
    public func run(_ statement: BoundStatement) async throws -> QueryResult {
        switch target {
        case .database(let client): try await client.write(statement)
        case .transaction(let transaction): try await transaction.execute(statement)
        }
    }

    /// Runs several statements as one transaction; nothing is written if `body` throws.
    public func transaction<Value>(_ body: (Transaction) async throws -> Value) async throws -> Value {
        switch target {
        case .database(let client): try await client.withTransaction { try await body($0) }
        case .transaction(let transaction): try await body(transaction)
        }
    }
}

/// What an action's body works with: it may talk to the outside and is not one transaction.
public struct ActionContext: Sendable {
    public let caller: Caller
    public let accounts: Accounts
    public let database: PostgresClient
    /// Where the request came from, for limits and security events.
    public let origin: CallOrigin

    public init(caller: Caller, accounts: Accounts, database: PostgresClient, origin: CallOrigin) {
        self.caller = caller
        self.accounts = accounts
        self.database = database
        self.origin = origin
    }
}
