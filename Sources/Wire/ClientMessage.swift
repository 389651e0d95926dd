import Domain

/// A message of the sync protocol, client to server (convex-protocol.md 3.2).
public enum ClientMessage: Equatable, Sendable {
    case connect(Connect)
    case modifyQuerySet(baseVersion: UInt32, newVersion: UInt32, modifications: [QuerySetModification])
    case mutation(FunctionCall)
    case action(FunctionCall)
    case authenticate(baseVersion: UInt32, token: Token)
    /// Telemetry of the client; ignored.
    case event

    public struct Connect: Equatable, Sendable {
        /// The client's own session, a UUID: the first half of a mutation's identity.
        public var sessionID: UUIDBits
        public var connectionCount: UInt32
        public var lastCloseReason: String?
        /// The client's clock, in milliseconds since 1970; 0 from Rust.
        public var clientMilliseconds: Double?
        /// The largest timestamp the client has seen, on any connection.
        public var maxObservedTimestamp: LogPosition?
    }

    public struct FunctionCall: Equatable, Sendable {
        public var requestID: UInt32
        public var path: String
        public var arguments: JSON
    }

    public enum QuerySetModification: Equatable, Sendable {
        case add(queryID: UInt32, path: String, arguments: JSON, journal: String?)
        case remove(queryID: UInt32)
    }

    public enum Token: Equatable, Sendable {
        case user(String)
        case admin
        case none
    }
}

/// A message that does not follow the protocol.
public struct ProtocolViolation: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}

extension ClientMessage {
    /// Reads one text frame.
    public init(parsing text: some Sequence<UInt8>) throws(ProtocolViolation) {
        let json: JSON
        do {
            json = try JSON(parsing: text)
        } catch {
            throw ProtocolViolation("Received invalid JSON: \(error)")
        }
        try self.init(json)
    }

    private init(_ json: JSON) throws(ProtocolViolation) {
        guard let type = json["type"]?.stringValue else { throw ProtocolViolation("Received a message without a type") }
        func counter(_ name: String) throws(ProtocolViolation) -> UInt32 {
            guard let value = json[name]?.counterValue else { throw ProtocolViolation("\(type) needs a whole number `\(name)`") }
            return value
        }
        switch type {
        case "Connect":
            self = .connect(try Connect(json))
        case "ModifyQuerySet":
            guard let list = json["modifications"]?.arrayValue else {
                throw ProtocolViolation("ModifyQuerySet needs an array `modifications`")
            }
            var modifications: [QuerySetModification] = []
            for item in list { modifications.append(try QuerySetModification(item)) }
            self = .modifyQuerySet(
                baseVersion: try counter("baseVersion"), newVersion: try counter("newVersion"), modifications: modifications)
        case "Mutation", "Action":
            guard let path = json["udfPath"]?.stringValue, let arguments = json["args"] else {
                throw ProtocolViolation("\(type) needs `udfPath` and `args`")
            }
            let call = FunctionCall(requestID: try counter("requestId"), path: path, arguments: arguments)
            self = type == "Mutation" ? .mutation(call) : .action(call)
        case "Authenticate":
            self = .authenticate(baseVersion: try counter("baseVersion"), token: try Token(json))
        case "Event":
            self = .event
        default:
            throw ProtocolViolation("Received a message of unknown type")
        }
    }
}

extension ClientMessage.Connect {
    fileprivate init(_ json: JSON) throws(ProtocolViolation) {
        guard let text = json["sessionId"]?.stringValue, let sessionID = UUIDBits(text) else {
            throw ProtocolViolation("Connect needs a UUID `sessionId`")
        }
        var observed: LogPosition?
        if let value = json["maxObservedTimestamp"], value != .null {
            guard let text = value.stringValue, let bits = Base64.decode(littleEndian: text) else {
                throw ProtocolViolation("Connect has a malformed `maxObservedTimestamp`")
            }
            observed = LogPosition(bits)
        }
        var clock: Double?
        if case .number(let value) = json["clientTs"] { clock = value }
        self.init(
            sessionID: sessionID, connectionCount: json["connectionCount"]?.counterValue ?? 0,
            lastCloseReason: json["lastCloseReason"]?.stringValue, clientMilliseconds: clock, maxObservedTimestamp: observed)
    }
}

extension ClientMessage.QuerySetModification {
    fileprivate init(_ json: JSON) throws(ProtocolViolation) {
        guard let queryID = json["queryId"]?.counterValue else { throw ProtocolViolation("A modification needs a `queryId`") }
        switch json["type"]?.stringValue {
        case "Add":
            guard let path = json["udfPath"]?.stringValue, let arguments = json["args"] else {
                throw ProtocolViolation("Add needs `udfPath` and `args`")
            }
            self = .add(queryID: queryID, path: path, arguments: arguments, journal: json["journal"]?.stringValue)
        case "Remove":
            self = .remove(queryID: queryID)
        default:
            throw ProtocolViolation("Received a modification of unknown type")
        }
    }
}

extension ClientMessage.Token {
    fileprivate init(_ json: JSON) throws(ProtocolViolation) {
        switch json["tokenType"]?.stringValue {
        case "User":
            guard let value = json["value"]?.stringValue else { throw ProtocolViolation("Authenticate needs a `value`") }
            self = .user(value)
        case "Admin": self = .admin
        case "None": self = .none
        default: throw ProtocolViolation("Authenticate has an unknown `tokenType`")
        }
    }
}
