import Domain
import Wire

/// Who a query is asked by, at one moment.
enum Asker: Hashable {
    case anonymous
    case user(UserID, isAdmin: Bool)
}

/// A query as a client asks it.
enum Query: Hashable {
    case currentUser
    case isAuthenticated
    case profile(UserID)
    case search(String)
    case messages(ConversationID, PageRequest?)
    case conversations(PageRequest?)

    /// `paginationOpts`.
    struct PageRequest: Hashable {
        var count: Int
        var cursor: String?
        var endCursor: String?
        /// What makes two lists of one client different ones.
        var id: Int
    }

    var path: String {
        switch self {
        case .currentUser: "auth:getCurrentUser"
        case .isAuthenticated: "auth:isAuthenticated"
        case .profile: "users:getProfile"
        case .search: "users:search"
        case .messages: "messages:list"
        case .conversations: "messages:listConversations"
        }
    }

    var arguments: JSON {
        switch self {
        case .currentUser, .isAuthenticated: .object([])
        case .profile(let user): .record(["userId": .string(user.description)])
        case .search(let text): .record(["query": .string(text)])
        case .messages(let conversation, let page):
            .object(
                [.init(key: "conversationId", value: .string(conversation.description))]
                    + (page.map { [.init(key: "paginationOpts", value: $0.json)] } ?? []))
        case .conversations(let page):
            .object(page.map { [.init(key: "paginationOpts", value: $0.json)] } ?? [])
        }
    }

    var page: PageRequest? {
        switch self {
        case .messages(_, let page), .conversations(let page): page
        default: nil
        }
    }

    var isPaged: Bool {
        switch self {
        case .messages, .conversations: true
        default: false
        }
    }
}

extension Query.PageRequest {
    fileprivate var json: JSON {
        var members: [JSON.Member] = [
            .init(key: "cursor", value: cursor.map { .string($0) } ?? .null), .init(key: "id", value: .number(Double(id))),
            .init(key: "numItems", value: .number(Double(count))),
        ]
        if let endCursor { members.append(.init(key: "endCursor", value: .string(endCursor))) }
        return .object(members)
    }
}

/// What a client was shown of a query.
enum Shown {
    case value(JSON)
    /// `code` and `paginationError` of the ApiError, and the whole text.
    case failure(code: String, paginationError: String?, message: String)

    var text: String {
        switch self {
        case .value(let json): json.text
        case .failure(let code, let paginationError, let message):
            "failed with \(code)\(paginationError.map { " (\($0))" } ?? ""): \(message)"
        }
    }
}

/// Why a query fails, by the contract.
struct Refusal: Error {
    let code: String
    var paginationError: String?

    static let unauthorized = Refusal(code: "unauthorized")
    static let invalidCursor = Refusal(code: "validation_error", paginationError: "InvalidCursor")
}

/// The queries' meanings, written again from the contract (design.md and the functions' descriptions): what each has to show to an
/// asker after the commits up to a position.
struct Contract {
    let history: History
    let position: LogPosition

    /// For queries without pages; see `Pages` for the others.
    func value(of query: Query, for asker: Asker) throws(Refusal) -> JSON {
        switch query {
        case .currentUser:
            guard case .user(let id, _) = asker, let user = user(id), !user.isRemoved else { return .null }
            return Self.account(user, showsEmail: true)
        case .isAuthenticated:
            return .bool(asker != .anonymous)
        case .profile(let id):
            guard case .user = asker else { throw .unauthorized }
            guard let user = user(id) else { throw Refusal(code: "not_found") }
            return profile(user, for: asker)
        case .search(let text):
            guard case .user = asker else { throw .unauthorized }
            return .array(search(text).map { profile($0, for: asker) })
        case .messages, .conversations:
            preconditionFailure("pages are judged by Pages")
        }
    }

    func user(_ id: UserID) -> UserRow? { history.users[id]?.at(position) }

    // MARK: Accounts

    private func profile(_ user: UserRow, for asker: Asker) -> JSON {
        guard case .user(let id, let isAdmin) = asker else { return Self.account(user, showsEmail: false) }
        return Self.account(user, showsEmail: id == user.id || isAdmin)
    }

    private static func account(_ user: UserRow, showsEmail: Bool) -> JSON {
        var members: [JSON.Member] = [
            .init(key: "_id", value: .string(user.id.description)), .init(key: "name", value: .string(user.name)),
            .init(key: "role", value: .string(user.role)), .init(key: "createdAt", value: .number(user.createdAt)),
        ]
        for (key, value) in [
            ("email", showsEmail ? user.email : nil), ("avatarUrl", user.avatarURL), ("bio", user.bio), ("accountType", user.accountType),
        ] {
            if let value { members.append(.init(key: key, value: .string(value))) }
        }
        if user.isRemoved { members.append(.init(key: "isRemoved", value: .bool(true))) }
        return .object(members)
    }

    /// Names that hold the text, case and accents aside: those that begin with it, then those of which a word does, then by
    /// similarity, then by name; at most 20.
    private func search(_ text: String) -> [UserRow] {
        let wanted = SearchText.key(String(text.trimmingBlanks()))
        guard !wanted.isEmpty else { return [] }
        let wantedTrigrams = SearchText.trigrams(of: wanted)
        var found: [(user: UserRow, begins: Bool, wordBegins: Bool, similarity: Float)] = []
        for versions in history.users.values {
            guard let user = versions.at(position), !user.isRemoved else { continue }
            let key = SearchText.key(user.name)
            guard SearchText.contains(key, wanted) else { continue }
            found.append(
                (
                    user, key.utf8.starts(with: wanted.utf8), SearchText.contains(key, " " + wanted),
                    SearchText.similarity(SearchText.trigrams(of: key), wantedTrigrams)
                ))
        }
        found.sort { left, right in
            if left.begins != right.begins { return left.begins }
            if left.wordBegins != right.wordBegins { return left.wordBegins }
            if left.similarity != right.similarity { return left.similarity > right.similarity }
            if left.user.name != right.user.name {
                return left.user.name.utf8.lexicographicallyPrecedes(right.user.name.utf8)
            }
            return left.user.id < right.user.id
        }
        return found.prefix(20).map(\.user)
    }

    // MARK: Lists

    static func message(_ message: MessageRow) -> JSON {
        .record([
            "_id": .string(message.id.description), "content": .string(message.content), "senderId": .string(message.sender.description),
            "recipientId": .string(message.recipient.description), "conversationId": .string(message.conversation.description),
            "read": .bool(message.isRead), "createdAt": .number(message.createdAt),
        ])
    }

    /// The conversations of a user that have a message, the latest first, by the last message's id.
    func inbox(of user: UserID) -> [(key: UUIDBits, conversation: ConversationRow, last: MessageRow)] {
        var entries: [(key: UUIDBits, conversation: ConversationRow, last: MessageRow)] = []
        for id in history.conversationsOfUser[user] ?? [] {
            guard let conversation = history.conversations[id]?.at(position), conversation.hasMember(user),
                let last = history.messages[id]?.rows(below: nil, downTo: nil, limit: 1, at: position).first
            else { continue }
            entries.append((last.id.uuid, conversation, last))
        }
        return entries.sorted { $0.key > $1.key }
    }

    func summary(_ entry: (key: UUIDBits, conversation: ConversationRow, last: MessageRow), for asker: Asker, user: UserID) -> JSON {
        let other = entry.conversation.low == user ? entry.conversation.high : entry.conversation.low
        let key = History.UnreadKey(recipient: user, conversation: entry.conversation.id)
        return .record([
            "_id": .string(entry.conversation.id.description),
            "otherUser": self.user(other).map { profile($0, for: asker) } ?? .null,
            "lastMessage": Self.message(entry.last), "unreadCount": .number(Double(history.unread[key]?.at(position) ?? 0)),
            "createdAt": .number(entry.conversation.createdAt),
        ])
    }
}

/// How names are compared in search. The load uses only letters for which this is all there is to it.
enum SearchText {
    private static let accents: [Character: String] = [
        "á": "a", "à": "a", "ä": "a", "â": "a", "å": "a", "é": "e", "è": "e", "ë": "e", "ê": "e", "í": "i", "ï": "i", "ó": "o",
        "ö": "o", "ô": "o", "ú": "u", "ü": "u", "ñ": "n", "ç": "c", "Á": "A", "Ä": "A", "Å": "A", "É": "E", "Ö": "O", "Ü": "U", "Ñ": "N",
    ]

    static func key(_ text: String) -> String {
        text.map { accents[$0] ?? String($0) }.joined().lowercased()
    }

    static func contains(_ text: String, _ part: String) -> Bool {
        let (text, part) = (Array(text.utf8), Array(part.utf8))
        guard text.count >= part.count else { return false }
        return (0...(text.count - part.count)).contains { text[$0...].starts(with: part) }
    }

    /// As pg_trgm makes them: of each word, with two blanks before and one behind.
    static func trigrams(of text: String) -> Set<String> {
        var trigrams: Set<String> = []
        for word in text.split(whereSeparator: { !$0.isLetter && !$0.isNumber }) {
            let padded = Array("  \(word) ")
            for start in 0...(padded.count - 3) { trigrams.insert(String(padded[start..<(start + 3)])) }
        }
        return trigrams
    }

    static func similarity(_ left: Set<String>, _ right: Set<String>) -> Float {
        let common = left.intersection(right).count
        let all = left.count + right.count - common
        return all == 0 ? 0 : Float(common) / Float(all)
    }
}
