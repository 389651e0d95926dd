import Domain
import Wire
import WorkerTestSupport

/// Ann's conversation with Ben, with messages "0", "1", "2" and so on from Ann.
struct Chat {
    let worker: TestWorker
    let ann: TestUser
    let ben: TestUser
    let conversation: ConversationID

    init(_ worker: TestWorker, messages: Int) async throws {
        self.worker = worker
        ann = try await worker.signUp("Ann")
        ben = try await worker.signUp("Ben")
        conversation = try await worker.conversation(ann, ben)
        try await insert(0..<messages)
    }

    /// Messages by plain SQL.
    func insert(_ numbers: Range<Int>) async throws {
        for number in numbers { try await worker.insertMessage("\(number)", from: ann, to: ben) }
    }

    /// Deletes messages in one commit.
    func delete(_ contents: String...) async throws {
        try await worker.sql("DELETE FROM messages WHERE content IN (\(contents.map { "'\($0)'" }.joined(separator: ", ")))")
    }

    /// What is in the table, newest first.
    func rows() async throws -> [String] {
        try await worker.sql("SELECT content FROM messages ORDER BY id DESC").map { try $0.decode(0, as: String.self) }
    }

    /// Arguments of messages:list.
    func page(_ cursor: JSON?, count: Int = 3, end: JSON? = nil) -> JSON {
        let options: JSON = ["numItems": .number(Double(count)), "cursor": cursor ?? .null, "id": 1]
        return ["conversationId": conversation.json, "paginationOpts": end.map { options.setting("endCursor", to: $0) } ?? options]
    }
}
