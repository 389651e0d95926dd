import Functions
import Testing
import WorkerTestSupport

@Suite("The functions of docs/adding-a-function.md")
struct UnreadCountTests {
    private let functions = allFunctions + [CountUnread.function, MarkConversationAsRead.function]

    @Test("the count is live: messages raise it, reading or deleting them lowers it")
    func live() async throws {
        try await withTestWorker(functions: functions) { worker in
            let (thea, cleo, carl) = try await (worker.signUp("Thea"), worker.signUp("Cleo"), worker.signUp("Carl"))
            let socket = try await worker.connect(as: thea)
            let unread = socket.add("messages:unreadCount")
            try await socket.wait(for: "no unread messages") { $0.value(unread) == 0 ? true : nil }

            try await worker.insertMessage("Hello", from: cleo, to: thea)
            try await worker.insertMessage("Are you there?", from: cleo, to: thea)
            try await worker.insertMessage("Good morning", from: carl, to: thea)
            try await socket.wait(for: "three unread messages") { $0.value(unread) == 3 ? true : nil }

            let conversation = try await worker.conversation(thea, cleo)
            let marking = socket.mutate(
                "messages:markConversationAsRead", ["conversationId": .string(conversation.description)])
            let response = try await socket.wait(for: "the response") { $0.responses[marking] }
            #expect(response["success"] == true)
            try await socket.wait(for: "Carl's message alone") { $0.value(unread) == 1 ? true : nil }

            try await worker.sql("DELETE FROM messages WHERE content = 'Good morning'")
            try await socket.wait(for: "no message left") { $0.value(unread) == 0 ? true : nil }
        }
    }

    @Test("over HTTP: who may call them, and with what")
    func http() async throws {
        try await withTestWorker(functions: functions) { worker in
            let (thea, cleo, carl) = try await (worker.signUp("Thea"), worker.signUp("Cleo"), worker.signUp("Carl"))
            try await worker.insertMessage("Hello", from: cleo, to: thea)
            let conversation = try await worker.conversation(thea, cleo)

            func count(_ user: TestUser?) async throws -> HTTPAnswer {
                try await worker.call(.query, "messages:unreadCount", token: user?.token)
            }
            func mark(_ id: String, as user: TestUser?) async throws -> HTTPAnswer {
                try await worker.call(
                    .mutation, "messages:markConversationAsRead", ["conversationId": .string(id)], token: user?.token)
            }
            #expect(try await count(nil).errorCode == "unauthorized")
            #expect(try await count(thea).value == 1)
            #expect(try await count(cleo).value == 0)

            let id = conversation.description
            #expect(try await mark(id, as: nil).errorCode == "unauthorized")
            #expect(try await mark(id, as: carl).errorCode == "forbidden")
            #expect(try await mark(thea.id.description, as: thea).errorCode == "validation_error")
            let otherID = try await worker.conversation(cleo, carl).description
            try await worker.sql("DELETE FROM conversations WHERE id = '\(worker.conversation(cleo, carl).uuid)'")
            #expect(try await mark(otherID, as: cleo).errorCode == "not_found")
            #expect(try await count(thea).value == 1)

            #expect(try await mark(id, as: thea).value == .null)
            #expect(try await count(thea).value == 0)
        }
    }
}
