import API
import Domain
import TestSupport
import Testing
import Wire
import WorkerTestSupport

/// What a worker counts of the calls that it serves, from the call to the tables.
@Suite("A worker's count of calls and activity", .timeLimit(.minutes(3)))
struct UsageTests {
    @Test("calls over HTTP and a socket count, a subscription once; only who is signed in is active")
    func calls() async throws {
        try await withTestWorker(configure: { $0.usagePeriod = .milliseconds(10) }) { worker in
            let ann = try await worker.signUp("Ann")
            let ben = try await worker.signUp("Ben")
            let cid = try await worker.signUp("Cid")
            let conversation: JSON = ["conversationId": "\(try await worker.conversation(ann, ben))"]
            _ = try await worker.call(.query, "messages:list", conversation, token: ann.token)
            _ = try await worker.call(.query, "messages:listConversations")
            _ = try await worker.call(.query, "messages:nothing", token: cid.token)

            let client = try await worker.connect(as: ben)
            let query = client.add("messages:list", conversation)
            try await client.wait(for: "the first answer") { $0.contents(query) }
            for count in 1...3 {
                try await worker.send("\(count)", from: ann, to: ben)
                try await client.wait(for: "a new message") { $0.contents(query)?.count == count ? true : nil }
            }
            let ids = try #require(client.state.value(query)?["page"]?.arrayValue?.compactMap { $0["_id"] })
            let request = client.mutate("messages:markAsRead", ["messageIds": .array(ids)])
            try await client.wait(for: "the response") { $0.responses[request] }

            let expected = ["messages:list 2 0", "messages:listConversations 1 0", "messages:markAsRead 1 0", "messages:send 3 0"]
            try await eventually("all calls are stored") { try await worker.calls("messages:%") == expected }
            let active = Set([ann, ben].map { "\($0.sessionID.uuid)" })
            try await eventually("both are active") { try await worker.activeSessions() == active }
        }
    }

    @Test("a call is a failed one if that is our fault")
    func failures() async throws {
        try await withTestWorker(configure: { $0.usagePeriod = .milliseconds(10) }) { worker in
            let ann = try await worker.signUp("Ann")
            _ = try await worker.call(.query, "users:getProfile", ["userId": "nobody"], token: ann.token)
            _ = try await worker.call(.query, "messages:listConversations", token: ann.token)
            try await worker.sql("ALTER TABLE conversations RENAME TO hidden")
            let answer = try await worker.call(.query, "messages:listConversations", token: ann.token)
            #expect(answer.errorCode == "internal_error")
            let client = try await worker.connect(as: ann)
            let query = client.add("messages:listConversations")
            try await client.wait(for: "the failure") { $0.results[query] }
            let expected = ["messages:listConversations 3 2", "users:getProfile 1 0"]
            try await eventually("all calls are stored") { try await worker.calls("%") == expected }
        }
    }

    @Test("what was called shortly before a worker stops is stored")
    func shutdown() async throws {
        try await withTestWorker { first in
            let ann = try await first.signUp("Ann")
            try await withTestWorker(
                databaseURL: first.databaseURL, dataFolder: first.dataFolder, configure: { $0.usagePeriod = .seconds(3600) }
            ) { second in
                _ = try await second.call(.query, "messages:listConversations", token: ann.token)
                let client = try await second.connect(as: ann)
                let query = client.add("messages:listConversations")
                try await client.wait(for: "the answer") { $0.value(query) }
            }
            let calls = try await first.calls("messages:listConversations")
            let sessions = try await first.activeSessions()
            #expect(calls == ["messages:listConversations 2 0"])
            #expect(sessions == ["\(ann.sessionID.uuid)"])
        }
    }
}

extension TestWorker {
    /// Functions by a pattern of LIKE, with their calls and failed calls: `messages:list 2 0`.
    fileprivate func calls(_ pattern: String) async throws -> [String] {
        try await sql(
            """
            SELECT concat_ws(' ', function, sum(calls), sum(failed_calls)) FROM function_calls
            WHERE function LIKE '\(pattern)' GROUP BY function ORDER BY function
            """
        ).map { try $0.decode(0) }
    }

    fileprivate func activeSessions() async throws -> Set<String> {
        Set(try await sql("SELECT session_id::text FROM session_activity").map { try $0.decode(0) })
    }
}
