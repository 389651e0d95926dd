import Testing
import Wire
import WorkerTestSupport

@Suite(.timeLimit(.minutes(3)))
struct BrokenQueryTests {
    @Test("a query that PostgreSQL refuses fails for who watches it, and all others go on", arguments: [true, false])
    func refused(runsEverything: Bool) async throws {
        try await withTestWorker(configure: { if !runsEverything { $0.live.missedInvalidation = nil } }) { worker in
            let ann = try await worker.signUp("Ann")
            let client = try await worker.connect(as: ann)
            let profile = client.add("users:getProfile", ["userId": "\(ann.id)"])
            try await client.wait(for: "the profile") { $0.value(profile) }
            try await worker.sql("ALTER TABLE conversations RENAME TO hidden")
            let inbox = client.add("messages:listConversations")
            try await client.wait(for: "the failure") { $0.results[inbox] }
            try await worker.sql("UPDATE users SET name = 'Anna' WHERE id = '\(ann.id.uuid)'")
            try await client.wait(for: "the new name") { $0.value(profile)?["name"] == "Anna" ? true : nil }
            let shown = client.state.value(inbox)
            #expect(shown == nil)
        }
    }
}
