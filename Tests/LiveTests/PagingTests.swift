import Domain
import Foundation
import TestSupport
import Testing
import Wire
import WorkerTestSupport

/// What a list makes of its arguments. What people see while rows come and go is in ReactPageTests.
@Suite("Live pages", .timeLimit(.minutes(3)))
struct PagingTests {
    // 31
    @Test("a page with an end cursor is the whole range, and can be split in two")
    func endAndSplit() async throws {
        try await withTestWorker { worker in
            let chat = try await Chat(worker, messages: 8)
            let client = try await worker.connect(as: chat.ben)
            let short = client.add("messages:list", chat.page(nil, count: 6))
            let end = try await client.wait(for: "the page") { $0.value(short) }["continueCursor"]!
            let ranged = client.add("messages:list", chat.page(nil, count: 1, end: end))
            let whole = try await client.wait(for: "the range") { $0.value(ranged) }
            #expect(client.state.contents(ranged) == ["7", "6", "5", "4", "3", "2"])
            #expect(whole["continueCursor"] == end)
            let split = whole["splitCursor"]
            let upper = client.add("messages:list", chat.page(nil, count: 1, end: split))
            let lower = client.add("messages:list", chat.page(split, count: 1, end: end))
            let state = try await client.wait(for: "the halves") { $0.value(upper) != nil && $0.value(lower) != nil ? $0 : nil }
            #expect((state.contents(upper) ?? []) + (state.contents(lower) ?? []) == state.contents(ranged))
        }
    }

    // 32
    @Test("a cursor that is not this list's is InvalidCursor, and the socket stays open")
    func invalidCursors() async throws {
        try await withTestWorker { worker in
            let chat = try await Chat(worker, messages: 4)
            let client = try await worker.connect(as: chat.ben)
            let conversations = client.add("messages:listConversations", ["paginationOpts": ["numItems": 1, "cursor": .null]])
            let list = client.add("messages:list", chat.page(nil))
            let state = try await client.wait(for: "both lists") { $0.results.count == 2 ? $0 : nil }
            let foreign = state.value(conversations)?["continueCursor"] ?? .null
            var tampered = state.value(list)?["continueCursor"]?.stringValue ?? ""
            tampered = (tampered.hasPrefix("A") ? "B" : "A") + tampered.dropFirst()
            let bad = [
                client.add("messages:list", chat.page(foreign)), client.add("messages:list", chat.page(.string(tampered))),
                client.add("messages:list", chat.page("")), client.add("messages:list", chat.page(nil), journal: "nonsense"),
            ]
            let failures = try await client.wait(for: "the refusals") { state in
                bad.allSatisfy { state.results[$0] != nil } ? bad.compactMap { state.results[$0] } : nil
            }
            for failure in failures {
                #expect(failure["type"] == "QueryFailed")
                #expect(failure["errorMessage"]?.stringValue?.contains("InvalidCursor") == true)
                #expect(failure["errorData"]?["isConvexSystemError"] == true)
                #expect(failure["errorData"]?["paginationError"] == "InvalidCursor")
            }
            try await worker.insertMessage("more", from: chat.ann, to: chat.ben)
            try await client.wait(for: "life to go on") { $0.contents(list)?.first == "more" ? true : nil }
        }
    }

    @Test("two clients whose pages came to the same range share one query, and both stay live")
    func sharedRange() async throws {
        try await withTestWorker(configure: { $0.live.missedInvalidation = nil }) { worker in
            let chat = try await Chat(worker, messages: 4)
            var clients: [(SyncClient, UInt32)] = []
            for _ in 0..<4 {
                let client = try await worker.connect(as: chat.ben)
                clients.append((client, client.add("messages:list", chat.page(nil))))
            }
            for (client, list) in clients { try await client.wait(for: "the page") { $0.value(list) } }
            try await eventually("one query is left") { try await worker.liveQueries() == 1 }
            try await worker.insertMessage("new", from: chat.ann, to: chat.ben)
            for (client, list) in clients { try await client.wait(for: "the message") { $0.contents(list)?.first == "new" ? true : nil } }
        }
    }
}

extension TestWorker {
    /// What the worker says of itself.
    func health() async throws -> JSON { try await request(.GET, "/health/ready").json ?? .null }

    /// How many distinct queries are watched.
    func liveQueries() async throws -> Int { try await Int(health()["liveQueries"]?.numberValue ?? -1) }
}
