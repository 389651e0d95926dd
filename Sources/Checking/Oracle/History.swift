import Domain

/// The states of one row, or of one number, over time: each from the commit at its position on.
struct Versions<Value> {
    private var positions: [LogPosition] = []
    private var values: [Value?] = []

    /// The state after the commits up to `position`; nil when there was none yet, or none any more.
    func at(_ position: LogPosition) -> Value? {
        var (low, high) = (0, positions.count)
        while low < high {
            let middle = (low + high) / 2
            if positions[middle] <= position { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : values[low - 1]
    }

    var latest: Value? { values.last ?? nil }

    /// Positions must not go down. Several changes of one commit make one state.
    mutating func append(_ value: Value?, at position: LogPosition) {
        if positions.last == position {
            values[values.count - 1] = value
        } else {
            positions.append(position)
            values.append(value)
        }
    }
}

struct UserRow {
    var id: UserID
    var email: String?
    var name: String
    var bio: String?
    var avatarURL: String?
    var role: String
    var accountType: String?
    var createdAt: Double
    var isRemoved: Bool
}

struct ConversationRow {
    var id: ConversationID
    var low: UserID
    var high: UserID
    var createdAt: Double

    func hasMember(_ user: UserID) -> Bool { low == user || high == user }
}

struct MessageRow {
    var id: MessageID
    var conversation: ConversationID
    var sender: UserID
    var recipient: UserID
    var content: String
    var isRead: Bool
    var createdAt: Double
}

struct SessionRow {
    var id: SessionID
    var user: UserID
    var hasEnded: Bool
}

/// The messages that a conversation has ever had.
struct MessageList {
    /// Ascending.
    private(set) var ids: [UUIDBits] = []
    private(set) var rows: [UUIDBits: Versions<MessageRow>] = [:]
    /// Every commit that touched one of them, ascending.
    private(set) var changes: [LogPosition] = []

    mutating func append(_ row: MessageRow?, of id: UUIDBits, at position: LogPosition) {
        if rows[id] == nil { ids.insert(id, at: firstIndex(atLeast: id)) }
        rows[id, default: Versions()].append(row, at: position)
        if changes.last != position { changes.append(position) }
    }

    /// The rows in list order, newest first, which runs down from below `upper` to `lower`; at most `limit`.
    func rows(below upper: UUIDBits?, downTo lower: UUIDBits?, limit: Int, at position: LogPosition) -> [MessageRow] {
        var found: [MessageRow] = []
        var index = upper.map { firstIndex(atLeast: $0) } ?? ids.count
        while index > 0, found.count < limit {
            index -= 1
            if let lower, ids[index] < lower { break }
            if let row = rows[ids[index]]?.at(position) { found.append(row) }
        }
        return found
    }

    private func firstIndex(atLeast id: UUIDBits) -> Int {
        var (low, high) = (0, ids.count)
        while low < high {
            let middle = (low + high) / 2
            if ids[middle] < id { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// A mutation over a socket that was committed.
struct CommittedRequest {
    let position: LogPosition
    /// JSON, as the client was sent it.
    let result: String
}

struct RequestKey: Hashable {
    /// The sync client's session, a UUID in lower case.
    let session: String
    let request: UInt32
}

/// All that the database has ever held, by the commits in the order of the log.
final class History {
    private(set) var users: [UserID: Versions<UserRow>] = [:]
    private(set) var conversations: [ConversationID: Versions<ConversationRow>] = [:]
    /// Those that a user has ever been a member of.
    private(set) var conversationsOfUser: [UserID: [ConversationID]] = [:]
    private(set) var messages: [ConversationID: MessageList] = [:]
    private(set) var sessions: [SessionID: Versions<SessionRow>] = [:]
    private(set) var unread: [UnreadKey: Versions<Int>] = [:]
    private(set) var requests: [RequestKey: CommittedRequest] = [:]
    /// The messages that were ever inserted, by content: each content that the load writes is unique.
    private(set) var insertions: [String: [(id: MessageID, position: LogPosition)]] = [:]
    /// Contents that were inserted again, since this was last asked, and whether an earlier message with it was still there.
    private var repeatedContents: [(content: String, wasStillThere: Bool)] = []
    /// Where each message is.
    private var conversationOfMessage: [MessageID: ConversationID] = [:]
    /// Where bios were written: updateProfile's marks.
    private(set) var bios: [String: LogPosition] = [:]
    /// All commits, ascending.
    private(set) var commits: [LogPosition] = []

    struct UnreadKey: Hashable {
        let recipient: UserID
        let conversation: ConversationID
    }

    /// Takes in one transaction's changes.
    func apply(_ changes: [RowChange], at position: LogPosition) throws {
        for change in changes { try apply(change, at: position) }
        commits.append(position)
    }

    private func apply(_ change: RowChange, at position: LogPosition) throws {
        let row = Columns(change)
        switch change.table {
        case "users": try applyUser(row, change.kind, at: position)
        case "conversations": try applyConversation(row, change.kind, at: position)
        case "messages": try applyMessage(row, change.kind, at: position)
        case "sessions": try applySession(row, change.kind, at: position)
        case "mutation_requests" where change.kind == .insert:
            let key = RequestKey(session: try row.text("session_id"), request: UInt32(try row.text("request_id")) ?? .max)
            requests[key] = CommittedRequest(position: position, result: try row.text("result"))
        default: break
        }
    }

    private func applyUser(_ row: Columns, _ kind: RowChange.Kind, at position: LogPosition) throws {
        let id = UserID(try row.uuid("id"))
        guard kind != .delete else {
            users[id, default: Versions()].append(nil, at: position)
            return
        }
        let bio = try row.optional("bio", users[id]?.latest?.bio)
        if let bio, bios[bio] == nil { bios[bio] = position }
        users[id, default: Versions()].append(
            UserRow(
                id: id, email: try row.optional("email"), name: try row.text("name"), bio: bio,
                avatarURL: try row.optional("avatar_url", users[id]?.latest?.avatarURL), role: try row.text("role"),
                accountType: try row.optional("account_type"), createdAt: try row.time("created_at"),
                isRemoved: try row.optional("removed_at") != nil),
            at: position)
    }

    private func applyConversation(_ row: Columns, _ kind: RowChange.Kind, at position: LogPosition) throws {
        let id = ConversationID(try row.uuid("id"))
        guard kind != .delete else {
            conversations[id, default: Versions()].append(nil, at: position)
            return
        }
        let conversation = ConversationRow(
            id: id, low: UserID(try row.uuid("low_user_id")), high: UserID(try row.uuid("high_user_id")),
            createdAt: try row.time("created_at"))
        for member in [conversation.low, conversation.high] where conversationsOfUser[member]?.contains(id) != true {
            conversationsOfUser[member, default: []].append(id)
        }
        conversations[id, default: Versions()].append(conversation, at: position)
    }

    private func applyMessage(_ row: Columns, _ kind: RowChange.Kind, at position: LogPosition) throws {
        let conversation = ConversationID(try row.uuid("conversation_id"))
        let id = try row.uuid("id")
        let old = messages[conversation]?.rows[id]?.latest
        var new: MessageRow?
        if kind != .delete {
            new = MessageRow(
                id: MessageID(id), conversation: conversation, sender: UserID(try row.uuid("sender_id")),
                recipient: UserID(try row.uuid("recipient_id")), content: try row.optional("content", old?.content) ?? "",
                isRead: try row.text("read") == "true", createdAt: try row.time("created_at"))
        }
        messages[conversation, default: MessageList()].append(new, of: id, at: position)
        if let new, kind == .insert {
            if let earlier = insertions[new.content] {
                repeatedContents.append((new.content, earlier.contains { messages[conversation]?.rows[$0.id.uuid]?.latest != nil }))
            }
            insertions[new.content, default: []].append((new.id, position))
            conversationOfMessage[new.id] = conversation
        }
        if let old, !old.isRead { count(-1, old, at: position) }
        if let new, !new.isRead { count(1, new, at: position) }
    }

    private func count(_ difference: Int, _ message: MessageRow, at position: LogPosition) {
        let key = UnreadKey(recipient: message.recipient, conversation: message.conversation)
        unread[key, default: Versions()].append((unread[key]?.latest ?? 0) + difference, at: position)
    }

    /// The message is there and not read.
    func isUnread(_ id: MessageID, at position: LogPosition) -> Bool {
        guard let conversation = conversationOfMessage[id] else { return false }
        return messages[conversation]?.rows[id.uuid]?.at(position).map { !$0.isRead } ?? false
    }

    func takeRepeatedContents() -> [(content: String, wasStillThere: Bool)] {
        defer { repeatedContents = [] }
        return repeatedContents
    }

    private func applySession(_ row: Columns, _ kind: RowChange.Kind, at position: LogPosition) throws {
        let id = SessionID(try row.uuid("id"))
        guard kind != .delete else {
            sessions[id, default: Versions()].append(nil, at: position)
            return
        }
        sessions[id, default: Versions()].append(
            SessionRow(id: id, user: UserID(try row.uuid("user_id")), hasEnded: try row.optional("ended_at") != nil), at: position)
    }
}

/// A changed row's columns, by what they hold.
private struct Columns {
    private let change: RowChange

    init(_ change: RowChange) {
        self.change = change
    }

    func text(_ name: String) throws -> String {
        guard case .some(.some(let text)) = change.columns[name] else {
            throw ChangeText.Malformed(description: "\(change.table) has no \(name)")
        }
        return text
    }

    /// - Parameter old: what it was, for a value that the log leaves out because it has not changed.
    func optional(_ name: String, _ old: String? = nil) throws -> String? {
        guard let value = change.columns[name] else { return old }
        return value
    }

    func uuid(_ name: String) throws -> UUIDBits {
        guard let uuid = UUIDBits(try text(name)) else { throw ChangeText.Malformed(description: "\(name) is no uuid") }
        return uuid
    }

    func time(_ name: String) throws -> Double {
        guard let time = milliseconds(ofTimestamp: try text(name)) else {
            throw ChangeText.Malformed(description: "\(name) is no time")
        }
        return time
    }
}
