import Domain
import Foundation
import TestSupport
import Testing
import Wire
import WorkerTestSupport

/// What people see on pages that use `convex/react`. That no Transition covers a mutation before its response is there, and
/// that none is older than what the page has seen on an earlier connection, is what SyncClient checks in every test.
@Suite("Pages of the stock React hooks", .timeLimit(.minutes(3)))
struct ReactPageTests {
    // MARK: Optimistic updates

    @Test("an optimistic update ends in the very step that shows its effect")
    func optimisticUpdates() async throws {
        try await withTestWorker { worker in
            let chat = try await Chat(worker, messages: 2)
            let page = try await ReactClient(worker, as: chat.ann)
            let list = page.list(of: chat, initialNumItems: 20)
            try await page.wait(for: "the list") { list.status == .exhausted }
            let sent = (2..<6).map { page.send("\($0)", in: chat) }
            try await page.wait(for: "an answer") { sent[0].isAnswered }
            #expect(!sent[0].succeeded, "a response alone keeps no promise")
            try await page.wait(for: "all of them") { sent.allSatisfy(\.succeeded) }
            // Since the last one was sent nobody has seen a row twice, or not at all.
            #expect(
                list.history == [
                    [], ["1", "0"], ["2", "1", "0"], ["3", "2", "1", "0"], ["4", "3", "2", "1", "0"], ["5", "4", "3", "2", "1", "0"],
                ])
            let areTheServers = list.results.allSatisfy { $0["_id"] != nil }
            #expect(areTheServers)
        }
    }

    @Test("a refused mutation's optimistic update ends with the refusal, and the ones behind it stay")
    func refusedMutation() async throws {
        try await withTestWorker { worker in
            let chat = try await Chat(worker, messages: 1)
            let page = try await ReactClient(worker, as: chat.ann)
            let list = page.list(of: chat)
            try await page.wait(for: "the list") { list.status == .exhausted }
            let refused = page.send("", in: chat)
            let good = page.send("1", in: chat)
            try await page.wait(for: "both") { refused.failed && good.succeeded }
            #expect(list.history == [[], ["0"], ["", "0"], ["1", "", "0"], ["1", "0"]])
        }
    }

    // MARK: Pages

    @Test("usePaginatedQuery has its first page in one step")
    func firstPage() async throws {
        try await withTestWorker { worker in
            let chat = try await Chat(worker, messages: 4)
            let page = try await ReactClient(worker, as: chat.ben)
            let long = page.list(of: chat, initialNumItems: 3)
            let short = page.list(of: chat, initialNumItems: 4)
            try await page.wait(for: "both") { long.status != .loadingFirstPage && short.status != .loadingFirstPage }
            #expect(long.history == [[], ["3", "2", "1"]])
            #expect(long.status == .canLoadMore)
            #expect(short.history == [[], ["3", "2", "1", "0"]])
            #expect(short.status == .exhausted)
        }
    }

    @Test("loadMore continues where the last page ended, while that stays in view")
    func loadMore() async throws {
        try await withTestWorker { worker in
            let chat = try await Chat(worker, messages: 7)
            let page = try await ReactClient(worker, as: chat.ben)
            let list = page.list(of: chat, initialNumItems: 3)
            try await page.wait(for: "the first page") { list.status == .canLoadMore }
            list.loadMore(2)
            try await page.wait(for: "the second page") { list.status == .canLoadMore }
            list.loadMore(2)
            try await page.wait(for: "the end") { list.status == .exhausted }
            #expect(
                list.renderings.map(\.status) == [.loadingFirstPage, .canLoadMore, .loadingMore, .canLoadMore, .loadingMore, .exhausted])
            #expect(list.history == [[], ["6", "5", "4"], ["6", "5", "4", "3", "2"], ["6", "5", "4", "3", "2", "1", "0"]])
        }
    }

    @Test("rows that come in at the top push nothing out")
    func insertAtTop() async throws {
        try await withTestWorker { worker in
            let chat = try await Chat(worker, messages: 6)
            let page = try await ReactClient(worker, as: chat.ben)
            let list = try await page.loadedList(of: chat)
            try await chat.insert(6..<8)
            try await page.wait(for: "the new rows") { list.contents.first == "7" }
            #expect(list.contents == ["7", "6", "5", "4", "3", "2", "1", "0"])
            #expect(list.neverHasGaps && list.onlyGrows)
        }
    }

    @Test("rows that go on both sides of a page's border go in one step, and nothing moves over it")
    func deletionAcrossBorder() async throws {
        try await withTestWorker { worker in
            let chat = try await Chat(worker, messages: 6)
            let page = try await ReactClient(worker, as: chat.ben)
            let list = try await page.loadedList(of: chat)
            try await chat.delete("3", "2")
            try await page.wait(for: "the deletion") { list.contents.count < 6 }
            #expect(list.history == [[], ["5", "4", "3"], ["5", "4", "3", "2", "1", "0"], ["5", "4", "1", "0"]])
        }
    }

    @Test("a page that has grown is split, again and again, and no row is missing or there twice meanwhile")
    func splitPage() async throws {
        try await withTestWorker { worker in
            let chat = try await Chat(worker, messages: 4)
            let page = try await ReactClient(worker, as: chat.ben)
            let list = page.list(of: chat, initialNumItems: 2)
            try await page.wait(for: "the first page") { list.status == .canLoadMore }
            list.loadMore(2)
            try await page.wait(for: "the end") { list.status == .exhausted }
            // Some arrive one by one, some while halves are loading.
            for number in 4..<8 {
                try await chat.insert(number..<number + 1)
                try await page.wait(for: "the new row") { list.contents.first == "\(number)" }
            }
            try await chat.insert(8..<16)
            try await page.wait(for: "the new rows") { list.contents.first == "15" && list.splitCount >= 2 }
            #expect(list.neverHasGaps && list.onlyGrows)
            #expect(list.contents.count == 16)
            #expect(list.pageCount == 2 + list.splitCount)

            try await chat.delete("9", "6", "5", "1")
            try await page.wait(for: "the deletion") { list.contents.count < 16 }
            let rows = try await chat.rows()
            #expect(list.contents == rows)
        }
    }

    @Test("a list whose cursors are not valid any more begins again, by itself")
    func invalidCursor() async throws {
        try await withTestWorker { first in
            let chat = try await Chat(first, messages: 8)
            // The installation's cursor key is lost; the worker that starts next makes another one.
            try FileManager.default.removeItem(atPath: first.dataFolder + "/keys/cursor.key")
            try await withTestWorker(databaseURL: first.databaseURL, dataFolder: first.dataFolder) { second in
                let page = try await ReactClient(first, as: chat.ben)
                let list = try await page.loadedList(of: chat)
                page.cut()
                page.worker = second
                try await page.wait(for: "the first page") { list.pageCount == 1 && list.status == .canLoadMore }
                list.loadMore(3)
                try await page.wait(for: "the second page") { list.pageCount == 2 && list.status == .canLoadMore }
                let (one, two) = (["7", "6", "5"], ["7", "6", "5", "4", "3", "2"])
                #expect(list.history == [[], one, two, [], one, two])
            }
        }
    }

    // MARK: Identity

    @Test("a page load signs in twice, and shows everything once")
    func pageLoad() async throws {
        try await withTestWorker { worker in
            let chat = try await Chat(worker, messages: 2)
            let page = try await ReactClient(worker, as: chat.ben)
            let user = page.useQuery("auth:getCurrentUser")
            let list = page.list(of: chat)
            try await page.wait(for: "the fresh token") { page.tokenIsConfirmed && list.status == .exhausted }
            #expect(page.isAuthenticated)
            #expect(page.refreshCount == 1)
            #expect(list.history == [[], ["1", "0"]])
            #expect(user.names == [nil, "Ben"])
        }
    }

    @Test("a page that comes back with an expired token gets a new one, and what it asked for happens once")
    func reauthentication() async throws {
        try await withTestWorker { worker in
            let chat = try await Chat(worker, messages: 1)
            let expired = try await worker.expiredToken(of: chat.ann)
            let page = try await ReactClient(worker, as: chat.ann, cachedToken: expired)
            let list = page.list(of: chat)
            let sent = page.send("1", in: chat)
            try await page.wait(for: "the list") { list.status == .exhausted && sent.succeeded }
            #expect(page.isAuthenticated)
            #expect(page.refreshCount == 1)
            #expect(list.history == [[], ["1", "0"]])
            let rows = try await chat.rows()
            #expect(rows == ["1", "0"])
        }
    }

    @Test("signing out makes a page nobody's, and somebody else can sign in on it")
    func signOut() async throws {
        try await withTestWorker { worker in
            let chat = try await Chat(worker, messages: 1)
            let page = try await ReactClient(worker, as: chat.ann)
            let user = page.useQuery("auth:getCurrentUser")
            let list = page.list(of: chat)
            try await page.wait(for: "the list") { list.status == .exhausted && page.tokenIsConfirmed }
            try await page.signOut()
            try await page.wait(for: "nobody") { user.value == .null && list.errorCode == "unauthorized" }
            #expect(!page.isAuthenticated)
            let answer = try await worker.call(.query, "messages:listConversations", token: chat.ann.token)
            #expect(answer.status == 401)

            page.signIn(as: chat.ben)
            try await page.wait(for: "Ben's list") { list.status == .exhausted && page.tokenIsConfirmed }
            #expect(user.names == [nil, "Ann", nil, "Ben"])
        }
    }

    @Test("signing out on one worker makes that session's pages on the others nobody's")
    func signOutElsewhere() async throws {
        try await withTestWorker { first in
            let chat = try await Chat(first, messages: 1)
            try await withTestWorker(databaseURL: first.databaseURL, dataFolder: first.dataFolder) { second in
                let page = try await ReactClient(first, as: chat.ann)
                let other = try await ReactClient(second, as: chat.ann)
                let user = other.useQuery("auth:getCurrentUser")
                let list = other.list(of: chat)
                let bystander = try await ReactClient(second, as: chat.ben)
                let bystandersList = bystander.list(of: chat)
                try await page.wait(for: "the sign-in") { page.tokenIsConfirmed }
                try await other.wait(for: "the list") { list.status == .exhausted && other.tokenIsConfirmed }
                try await bystander.wait(for: "the list") { bystandersList.status == .exhausted && bystander.tokenIsConfirmed }

                try await page.signOut()
                try await other.wait(for: "nobody") { user.value == .null && list.errorCode == "unauthorized" }
                #expect(!other.isAuthenticated)
                try await chat.insert(1..<2)
                try await bystander.wait(for: "life to go on") { bystandersList.contents == ["1", "0"] }
                #expect(bystander.isAuthenticated)
            }
        }
    }

    // MARK: Reconnecting

    @Test("a list of several pages moves between workers while rows come and go, without a gap or an overlap")
    func reconnect() async throws {
        try await withTestWorker { first in
            let chat = try await Chat(first, messages: 10)
            try await withTestWorker(databaseURL: first.databaseURL, dataFolder: first.dataFolder) { second in
                let page = try await ReactClient(first, as: chat.ben)
                let list = try await page.loadedList(of: chat)
                for (number, worker) in [(10, second), (11, first), (12, second)] {
                    page.cut()
                    page.worker = worker
                    // From both pages.
                    try await chat.delete("\(number - 3)", "\(16 - number)")
                    try await chat.insert(number..<number + 1)
                    try await page.wait(for: "the changes") { list.contents.first == "\(number)" }
                }
                #expect(
                    list.history.filter { $0.count > 3 || $0.first == "12" } == [
                        ["9", "8", "7", "6", "5", "4"], ["10", "9", "8", "5", "4"], ["11", "10", "9", "4"], ["12", "11", "10"],
                    ])
                list.loadMore(10)
                try await page.wait(for: "the rest") { list.status == .exhausted }
                #expect(list.contents == ["12", "11", "10", "3", "2", "1", "0"])
            }
        }
    }

    @Test("a mutation that was answered and not shown yet when the connection broke is shown by the next worker, once")
    func answeredMutation() async throws {
        try await withTestWorker { first in
            let chat = try await Chat(first, messages: 1)
            try await withTestWorker(databaseURL: first.databaseURL, dataFolder: first.dataFolder) { second in
                let page = try await ReactClient(first, as: chat.ann)
                let list = page.list(of: chat, initialNumItems: 20)
                try await page.wait(for: "the list") { list.status == .exhausted }
                for (round, worker) in [second, first, second].enumerated() {
                    let sent = page.send("\(round + 1)", in: chat)
                    try await page.wait(for: "the answer") { sent.isAnswered }
                    page.cut()
                    page.worker = worker
                    #expect(sent.outcome == nil)
                    try await page.wait(for: "the effect") { sent.succeeded }
                }
                #expect(list.contents == ["3", "2", "1", "0"])
                #expect(list.neverHasGaps && list.onlyGrows)
                let rows = try await chat.rows()
                #expect(rows == list.contents)
            }
        }
    }

    @Test("mutations whose answers were lost happen once, in order, on whichever worker they are sent again")
    func lostAnswers() async throws {
        try await withTestWorker { first in
            let chat = try await Chat(first, messages: 0)
            try await withTestWorker(databaseURL: first.databaseURL, dataFolder: first.dataFolder) { second in
                for worker in [first, second] {
                    try await eventually("the feeds are connected") { try await worker.health()["feed"] == "connected" }
                }
                let page = try await ReactClient(first, as: chat.ann)
                let list = page.list(of: chat, initialNumItems: 40)
                try await page.wait(for: "the list") { list.status == .exhausted }
                var sent: [ReactClient.Request] = []
                for round in 0..<6 {
                    sent += (0..<4).map { page.send("\(4 * round + $0)", in: chat) }
                    // Some have been answered by then, some have run, and some have not arrived.
                    try await page.wait(for: "some answers") { sent[4 * round + round % 4].isAnswered }
                    page.cut()
                    page.worker = round % 2 == 0 ? second : first
                }
                try await page.wait(for: "all of them") { sent.allSatisfy(\.succeeded) }
                let expected = (0..<24).reversed().map(String.init)
                let rows = try await chat.rows()
                #expect(rows == expected)
                #expect(list.contents == expected)
                #expect(list.onlyGrows, "\(list.history)")
            }
        }
    }
}

extension ReactClient {
    /// A component with the conversation's messages.
    fileprivate func list(of chat: Chat, initialNumItems: Int = 3) -> ReactPaginatedQuery {
        usePaginatedQuery("messages:list", ["conversationId": chat.conversation.json], initialNumItems: initialNumItems)
    }

    /// The same with its first two pages, of three rows each.
    fileprivate func loadedList(of chat: Chat) async throws -> ReactPaginatedQuery {
        let list = list(of: chat)
        try await wait(for: "the first page") { list.status == .canLoadMore }
        list.loadMore(3)
        try await wait(for: "the second page") { list.status != .loadingMore }
        return list
    }

    /// Ann says something to Ben, and sees it at once.
    fileprivate func send(_ content: String, in chat: Chat) -> Request {
        mutate("messages:send", ["content": .string(content), "recipientId": chat.ben.id.json]) { store in
            store.insertAtTop(of: "messages:list", ["content": .string(content)])
        }
    }
}

extension ReactPaginatedQuery {
    fileprivate var contents: [String] { Self.contents(of: results) }

    /// The contents of what was shown, each differing from the one before.
    fileprivate var history: [[String]] {
        renderings.map { Self.contents(of: $0.results) }.reduce(into: []) { if $0.last != $1 { $0.append($1) } }
    }

    private static func contents(of rows: [JSON]) -> [String] { rows.map { $0["content"]?.stringValue ?? "" } }

    /// Whatever was shown were messages in a row, for tests in which none is deleted.
    fileprivate var neverHasGaps: Bool {
        history.allSatisfy { shown in
            let numbers = shown.compactMap { Int($0) }
            return zip(numbers, numbers.dropFirst()).allSatisfy { $0 == $1 + 1 }
        }
    }

    /// What was shown once was shown from then on. Moments of loading do not count: a page has one when the server takes the
    /// identity of a new connection before its queries arrive (convex-protocol.md 3.5).
    fileprivate var onlyGrows: Bool {
        let shown = history.filter { !$0.isEmpty }
        return zip(shown, shown.dropFirst()).allSatisfy { Set($0).isSubset(of: $1) }
    }
}

extension ReactQuery {
    /// The names of the users that were shown, each differing from the one before; nil for nobody and while loading.
    fileprivate var names: [String?] {
        renderings.map { $0?["name"]?.stringValue }.reduce(into: []) { if $0.isEmpty || $0.last != $1 { $0.append($1) } }
    }
}
