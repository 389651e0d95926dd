import Domain
import Postgres

#if DEBUG
import Synchronization
#endif

/// What identifies a mutation that came over a socket: the client's session and its counter (convex-protocol.md 3.6).
public struct MutationRequest: Hashable, Sendable {
    public let sessionID: UUIDBits
    public let requestID: UInt32

    public init(sessionID: UUIDBits, requestID: UInt32) {
        self.sessionID = sessionID
        self.requestID = requestID
    }
}

/// Remembers which mutations were committed, and with what result.
public enum MutationRequests {
    public struct Recorded: Sendable {
        /// JSON in Convex's encoding.
        public let result: [UInt8]
        /// This call recorded it; false: an earlier one did.
        public let isNew: Bool

        public init(result: [UInt8], isNew: Bool) {
            self.result = result
            self.isNew = isNew
        }
    }

    /// Runs `body` in a transaction that also records the request with the result that `body` returns.
    ///
    /// If the request has been recorded before, `body` has no effect and the first result is returned. Throws `conflict` when
    /// it was somebody else's. When the connection broke during the commit, finds out what became of it; throws
    /// `connectionLost` only while the database cannot be asked.
    public static func once(
        _ request: MutationRequest, userID: UserID?, in client: PostgresClient, _ body: @escaping @Sendable (Transaction) async throws -> [UInt8]
    ) async throws -> Recorded {
        #if DEBUG
        if Sabotage.deduplication.isOn, ownRequests.withLock({ $0.insert(request).inserted }) {
            return try await client.withTransaction { transaction in
                let result = try await body(transaction)
                _ = try await transaction.execute(
                    recordAgain(request.sessionID, Int(request.requestID), userID, String(decoding: result, as: UTF8.self)))
                return Recorded(result: result, isNew: false)
            }
        }
        #endif
        do {
            return try await client.withTransaction { transaction in
                if let result = try await outcome(of: request, userID: userID, in: transaction) {
                    return Recorded(result: result, isNew: false)
                }
                let result = try await body(transaction)
                _ = try await transaction.execute(
                    record(request.sessionID, Int(request.requestID), userID, String(decoding: result, as: UTF8.self)))
                return Recorded(result: result, isNew: true)
            }
        } catch let error as PostgresError where error.constraint == "mutation_requests_pkey" || error.kind == .connectionLost {
            // Another worker was faster with the same request, or nobody knows whether ours was committed. The table does.
            if let result = try await outcome(of: request, userID: userID, in: client) { return Recorded(result: result, isNew: false) }
            throw error
        } catch let refusal as APIError {
            // Perhaps refused because the same request, sent before, has had its effect meanwhile.
            if let result = try await outcome(of: request, userID: userID, in: client) {
                return Recorded(result: result, isNew: false)
            }
            throw refusal
        }
    }

    private static func outcome(
        of request: MutationRequest, userID: UserID?, in database: some StatementExecutor
    ) async throws -> [UInt8]? {
        guard let row = try await database.execute(find(request.sessionID, Int(request.requestID))).first else { return nil }
        guard try row.decode(0, as: UserID?.self) == userID else {
            throw APIError.conflict("This request was made by somebody else before.")
        }
        return try row.decode(1)
    }

    private static let find = Statement(
        "mutation_requests.find",
        """
        SELECT user_id, convert_to(result, 'UTF8')
        FROM mutation_requests
        WHERE session_id = $1
          AND request_id = $2
        """)

    private static let record = Statement(
        "mutation_requests.record",
        """
        INSERT INTO mutation_requests (session_id, request_id, user_id, result)
        VALUES ($1, $2, $3, $4)
        """)

    /// Those results of a user's mutations that tell of a person: objects, which profiles are, and neither ids nor null.
    static let forgetProfiles = Statement(
        "mutation_requests.forget_profiles",
        """
        DELETE FROM mutation_requests
        WHERE user_id = $1
          AND result LIKE '{%'
        """)

    #if DEBUG
    /// Those that this process has run, for `Sabotage.deduplication`.
    private static let ownRequests = Mutex<Set<MutationRequest>>([])

    private static let recordAgain = Statement(
        "mutation_requests.record_again",
        """
        INSERT INTO mutation_requests (session_id, request_id, user_id, result)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT DO NOTHING
        """)
    #endif
}
