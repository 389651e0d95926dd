import Domain

/// The version of what a client holds: how many of its query-set changes and sign-ins are in it, and of which moment it is.
public struct StateVersion: Hashable, Sendable {
    public var querySet: UInt32
    public var identity: UInt32
    public var timestamp: LogPosition

    public init(querySet: UInt32 = 0, identity: UInt32 = 0, timestamp: LogPosition = .zero) {
        self.querySet = querySet
        self.identity = identity
        self.timestamp = timestamp
    }

    fileprivate func encode(into writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("querySet")
        writer.integer(querySet)
        writer.key("identity")
        writer.integer(identity)
        writer.key("ts")
        writer.base64(littleEndian: timestamp.rawValue)
        writer.endObject()
    }
}

/// Messages of the sync protocol, server to client, as JSON text (convex-protocol.md 3.3).
public enum ServerMessage {
    /// What became of one query.
    public enum QueryChange: Sendable {
        /// `body`: the rest of a QueryUpdated or QueryFailed, from `queryUpdated` or `queryFailed`. Many clients share it.
        case result(queryID: UInt32, body: QueryOutcomeBody)
        case removed(queryID: UInt32)
    }

    /// A QueryUpdated or QueryFailed without its `queryId`: the fields behind it.
    public struct QueryOutcomeBody: Equatable, Sendable {
        fileprivate enum Kind: String {
            case updated = "QueryUpdated"
            case failed = "QueryFailed"
        }

        fileprivate let kind: Kind
        fileprivate let fields: [UInt8]

        public static func updated(value: [UInt8], journal: String?) -> QueryOutcomeBody {
            QueryOutcomeBody(
                kind: .updated,
                fields: fields(capacity: value.count + 64) { writer in
                    writer.key("value")
                    writer.raw(value)
                    writer.encodeLogLines()
                    writer.encodeJournal(journal)
                })
        }

        public static func failed(message: String, errorData: [UInt8]?, journal: String?) -> QueryOutcomeBody {
            QueryOutcomeBody(
                kind: .failed,
                fields: fields(capacity: 256) { writer in
                    writer.key("errorMessage")
                    writer.string(message)
                    writer.encodeLogLines()
                    writer.encodeJournal(journal)
                    writer.encodeErrorData(errorData)
                })
        }

        /// The fields that `write` produces, without the braces around them.
        private static func fields(capacity: Int, _ write: (inout JSONWriter) -> Void) -> [UInt8] {
            JSONWriter.bytes(capacity: capacity, write)
        }
    }

    public static func transition(
        from start: StateVersion, to end: StateVersion, changes: [QueryChange], clockSkewMilliseconds: Int64?, serverNanoseconds: Int64
    ) -> [UInt8] {
        let size = changes.reduce(320) { size, change in
            if case .result(_, let body) = change { size + body.fields.count + 64 } else { size + 64 }
        }
        return JSONWriter.bytes(capacity: size) { writer in
            writer.beginObject()
            writer.key("type")
            writer.string("Transition")
            writer.key("startVersion")
            start.encode(into: &writer)
            writer.key("endVersion")
            end.encode(into: &writer)
            writer.key("modifications")
            writer.beginArray()
            for change in changes {
                writer.beginObject()
                writer.key("type")
                switch change {
                case .result(let queryID, let body):
                    writer.string(body.kind.rawValue)
                    writer.key("queryId")
                    writer.integer(queryID)
                    writer.raw(body.fields)
                case .removed(let queryID):
                    writer.string("QueryRemoved")
                    writer.key("queryId")
                    writer.integer(queryID)
                }
                writer.endObject()
            }
            writer.endArray()
            if let clockSkewMilliseconds {
                writer.key("clientClockSkew")
                writer.integer(clockSkewMilliseconds)
            }
            writer.key("serverTs")
            writer.integer(serverNanoseconds)
            writer.endObject()
        }
    }

    /// What a function came to, as its response tells it.
    public enum Outcome: Sendable {
        /// The result as JSON in Convex's encoding.
        case success([UInt8])
        case failure(message: String, errorData: [UInt8]?)
    }

    /// - Parameter timestamp: of the commit; nil for a failure.
    public static func mutationResponse(requestID: UInt32, outcome: Outcome, timestamp: LogPosition?) -> [UInt8] {
        response("MutationResponse", requestID: requestID, outcome: outcome) { writer in
            writer.key("ts")
            if let timestamp { writer.base64(littleEndian: timestamp.rawValue) } else { writer.null() }
        }
    }

    public static func actionResponse(requestID: UInt32, outcome: Outcome) -> [UInt8] {
        response("ActionResponse", requestID: requestID, outcome: outcome) { _ in }
    }

    private static func response(
        _ type: String, requestID: UInt32, outcome: Outcome, _ more: (inout JSONWriter) -> Void
    ) -> [UInt8] {
        JSONWriter.bytes { writer in
            writer.beginObject()
            writer.key("type")
            writer.string(type)
            writer.key("requestId")
            writer.integer(requestID)
            switch outcome {
            case .success(let value):
                writer.key("success")
                writer.bool(true)
                writer.key("result")
                writer.raw(value)
                writer.encodeLogLines()
            case .failure(let message, let errorData):
                writer.key("success")
                writer.bool(false)
                writer.key("result")
                writer.string(message)
                writer.encodeLogLines()
                writer.encodeErrorData(errorData)
            }
            more(&writer)
            writer.endObject()
        }
    }

    /// - Parameter baseVersion: the identity of the last Transition.
    public static func authError(_ message: String, baseVersion: UInt32, authUpdateAttempted: Bool) -> [UInt8] {
        JSONWriter.bytes { writer in
            writer.beginObject()
            writer.key("type")
            writer.string("AuthError")
            writer.key("error")
            writer.string(message)
            writer.key("baseVersion")
            writer.integer(baseVersion)
            writer.key("authUpdateAttempted")
            writer.bool(authUpdateAttempted)
            writer.endObject()
        }
    }

    public static let ping = Array(#"{"type":"Ping"}"#.utf8)

    /// A large Transition in pieces, for clients that know them (convex-protocol.md 3.9).
    public static func chunks(of transition: [UInt8], maximumBytes: Int) -> [[UInt8]] {
        var pieces: [ArraySlice<UInt8>] = []
        var start = 0
        while start < transition.count {
            var end = min(start + maximumBytes, transition.count)
            // Not inside a character: continuation bytes are 10xxxxxx.
            while end < transition.count, transition[end] & 0xC0 == 0x80 { end -= 1 }
            pieces.append(transition[start..<end])
            start = end
        }
        return pieces.enumerated().map { number, piece in
            JSONWriter.bytes(capacity: piece.count + piece.count / 8) { writer in
                writer.beginObject()
                writer.key("type")
                writer.string("TransitionChunk")
                writer.key("chunk")
                writer.string(String(decoding: piece, as: UTF8.self))
                writer.key("partNumber")
                writer.integer(number)
                writer.key("totalParts")
                writer.integer(pieces.count)
                writer.key("transitionId")
                writer.string(String(transition.count))
                writer.endObject()
            }
        }
    }
}

extension JSONWriter {
    /// Functions here do not log to their callers, but clients count on the array.
    fileprivate mutating func encodeLogLines() {
        key("logLines")
        beginArray()
        endArray()
    }

    fileprivate mutating func encodeJournal(_ journal: String?) {
        key("journal")
        if let journal { string(journal) } else { null() }
    }

    /// Absent unless the function failed with an application error: `null` would make one of any failure.
    fileprivate mutating func encodeErrorData(_ data: [UInt8]?) {
        guard let data else { return }
        key("errorData")
        raw(data)
    }
}
