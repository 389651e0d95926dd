import Domain
import Wire

/// A place in a list that runs from high keys to low ones.
enum ListPlace: Hashable {
    case after(UUIDBits)
    case end
}

/// Where a page of a subscription ends. The first run fixes it, and it holds for as long as the client has the page's journal.
///
/// Belongs to the judge; the client only keeps it with the subscription.
final class PageMemory: @unchecked Sendable {
    // Unchecked: the judge alone looks inside.
    fileprivate var list: String?
    fileprivate var end: ListPlace?
}

/// Judges pages: that each shows exactly the rows of its range, and that the next one goes on where it ends.
///
/// Cursors are opaque. What a cursor means is learned when a page is first shown: the end of a fresh page is where `numItems` rows
/// ended when it was first run. From then on the same cursor has to mean the same place, for every client.
struct Pages {
    /// By list, then cursor.
    private var places: [String: [String: ListPlace]] = [:]

    /// How far back a page's first run may lie behind the Transition that first shows it, in changes of the list.
    private static let maximumCandidates = 500

    enum Verdict {
        /// And what is to be learned from it, if it is a page.
        case right(Lesson?)
        /// What it should have been.
        case wrong(String)
    }

    /// What a page has shown of its end and its cursors.
    struct Lesson {
        fileprivate let memory: PageMemory
        fileprivate let list: String
        fileprivate let end: ListPlace
        fileprivate let cursors: [(String, ListPlace)]
    }

    /// - Parameter since: the page's first run happened after this position.
    func judge(
        _ shown: Shown, of query: Query, memory: PageMemory, for asker: Asker, contract: Contract, since: LogPosition
    ) -> Verdict {
        do {
            return try judgePage(shown, of: query, memory: memory, for: asker, contract: contract, since: since)
        } catch {
            if case .failure(let code, let paginationError, _) = shown, code == error.code, paginationError == error.paginationError {
                return .right(nil)
            }
            return .wrong("an error \(error.code)\(error.paginationError.map { " (\($0))" } ?? "")")
        }
    }

    mutating func learn(_ lesson: Lesson) {
        lesson.memory.list = lesson.list
        lesson.memory.end = lesson.end
        for (cursor, place) in lesson.cursors { places[lesson.list, default: [:]][cursor] = place }
    }

    private func judgePage(
        _ shown: Shown, of query: Query, memory: PageMemory, for asker: Asker, contract: Contract, since: LogPosition
    ) throws(Refusal) -> Verdict {
        guard case .user(let user, _) = asker else { throw .unauthorized }
        let list = List(query, asker: asker, user: user)
        let request = query.page ?? Query.PageRequest(count: 50, id: 0)
        let start = try request.cursor.map { cursor throws(Refusal) in try place(of: cursor, in: list.name) }
        var end = try request.endCursor.map { cursor throws(Refusal) in try place(of: cursor, in: list.name) }
        if end == nil, memory.list == list.name { end = memory.end }
        try list.checkAccess(contract)

        guard case .value(let value) = shown, let page = value["page"]?.arrayValue, let isDone = value["isDone"]?.boolValue,
            let cursor = value["continueCursor"]?.stringValue
        else { return .wrong("a page") }
        let known = places[list.name]?[cursor]
        var mismatch: String?
        for candidate in end.map({ [$0] }) ?? freshEnds(of: list, start: start, count: request.count, contract, since: since) {
            let rows = list.rows(from: start, to: candidate, limit: .max, contract)
            let problem =
                difference(between: page, and: rows.map(\.json))
                ?? (isDone == (candidate == .end) ? nil : "isDone \(candidate == .end)")
                ?? (known == nil || known == candidate ? nil : "a cursor for \(candidate), but this one was given out for \(known!)")
                ?? splitDifference(value, rows.map(\.key), request.count, list.name)
            guard let problem else {
                var cursors = [(cursor, candidate)]
                if let split = value["splitCursor"]?.stringValue { cursors.append((split, .after(rows[rows.count / 2].key))) }
                return .right(Lesson(memory: memory, list: list.name, end: candidate, cursors: cursors))
            }
            mismatch = mismatch ?? problem
        }
        return .wrong(mismatch ?? "a page")
    }

    private func place(of cursor: String, in list: String) throws(Refusal) -> ListPlace {
        guard let place = places[list]?[cursor] else { throw .invalidCursor }
        return place
    }

    /// Where the page may have ended when it was first run: now, or at an earlier change, as it may have run before it was shown.
    private func freshEnds(
        of list: List, start: ListPlace?, count: Int, _ contract: Contract, since: LogPosition
    ) -> [ListPlace] {
        var ends: [ListPlace] = []
        let earlier = list.changes(contract).reversed().drop { $0 > contract.position }.prefix { $0 > since }
        for position in [contract.position] + earlier.prefix(Self.maximumCandidates).map({ LogPosition($0.rawValue - 1) }) {
            let then = Contract(history: contract.history, position: position)
            let rows = list.rows(from: start, to: .end, limit: count + 1, then)
            let end = rows.count > count ? ListPlace.after(rows[count - 1].key) : .end
            if !ends.contains(end) { ends.append(end) }
        }
        return ends
    }

    /// A page that has grown beyond what was asked for offers the place of its middle.
    private func splitDifference(_ page: JSON, _ keys: [UUIDBits], _ count: Int, _ list: String) -> String? {
        let cursor = page["splitCursor"]?.stringValue
        guard keys.count > max(2, count) else { return cursor == nil ? nil : "no splitCursor" }
        guard let cursor else { return "a splitCursor" }
        let place = ListPlace.after(keys[keys.count / 2])
        if let known = places[list]?[cursor], known != place { return "a splitCursor for \(place), but this one means \(known)" }
        return nil
    }

    private func difference(between shown: [JSON], and expected: [JSON]) -> String? {
        let common = zip(shown, expected).prefix { $0.isSame(as: $1) }.count
        if common == shown.count, common == expected.count { return nil }
        let should = common < expected.count ? expected[common].text : "no row"
        let has = common < shown.count ? shown[common].text : "no row"
        return "\(expected.count) rows (there are \(shown.count)), with row \(common) being \(should) and not \(has)"
    }
}

/// One of the lists that are shown in pages.
private enum List {
    case messages(ConversationID, reader: UserID)
    case inbox(UserID, Asker)

    init(_ query: Query, asker: Asker, user: UserID) {
        switch query {
        case .messages(let conversation, _): self = .messages(conversation, reader: user)
        case .conversations: self = .inbox(user, asker)
        default: preconditionFailure("\(query.path) has no pages")
        }
    }

    /// What cursors are good for.
    var name: String {
        switch self {
        case .messages(let conversation, _): conversation.description
        case .inbox(let user, _): user.description
        }
    }

    func checkAccess(_ contract: Contract) throws(Refusal) {
        guard case .messages(let id, let reader) = self else { return }
        guard let conversation = contract.history.conversations[id]?.at(contract.position) else { throw Refusal(code: "not_found") }
        guard conversation.hasMember(reader) else { throw Refusal(code: "forbidden") }
    }

    /// The commits that may have changed the list, ascending.
    func changes(_ contract: Contract) -> [LogPosition] {
        switch self {
        case .messages(let id, _): contract.history.messages[id]?.changes ?? []
        case .inbox(let user, _):
            (contract.history.conversationsOfUser[user] ?? []).flatMap { contract.history.messages[$0]?.changes ?? [] }.sorted()
        }
    }

    func rows(from start: ListPlace?, to end: ListPlace, limit: Int, _ contract: Contract) -> [(key: UUIDBits, json: JSON)] {
        if start == .end { return [] }
        var upper: UUIDBits?
        if case .after(let key) = start { upper = key }
        var lower: UUIDBits?
        if case .after(let key) = end { lower = key }
        switch self {
        case .messages(let id, _):
            let rows = contract.history.messages[id]?.rows(below: upper, downTo: lower, limit: limit, at: contract.position) ?? []
            return rows.map { ($0.id.uuid, Contract.message($0)) }
        case .inbox(let user, let asker):
            return contract.inbox(of: user).lazy
                .filter { entry in (upper.map { entry.key < $0 } ?? true) && (lower.map { entry.key >= $0 } ?? true) }
                .prefix(limit).map { ($0.key, contract.summary($0, for: asker, user: user)) }
        }
    }
}
