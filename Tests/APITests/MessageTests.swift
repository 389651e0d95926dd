import Domain
import Registry
import TestSupport
import Testing
import Wire
import WorkerTestSupport

@Suite("Messages")
struct MessageTests {
    private static func contents(_ page: JSON) -> [String] {
        (page["page"]?.arrayValue ?? []).map { $0["content"]?.stringValue ?? "" }
    }

    @Test("a message appears in both people's lists, newest first, with the data model's fields")
    func sendAndList() async throws {
        try await withTestWorker { worker in
            let (ana, ben) = (try await worker.signUp("Ana"), try await worker.signUp("Ben"))
            try await worker.send("one", from: ana, to: ben)
            try await worker.send("two", from: ben, to: ana)
            let last = try await worker.send("three\n\"é😀\"", from: ana, to: ben)
            let conversation = try await worker.conversation(ana, ben)
            let seenByAna = try await worker.value("messages:list", ["conversationId": "\(conversation)"], as: ana)
            let seenByBen = try await worker.value("messages:list", ["conversationId": "\(conversation)"], as: ben)
            #expect(seenByAna == seenByBen)
            #expect(Self.contents(seenByAna) == ["three\n\"é😀\"", "two", "one"])
            #expect(seenByAna["isDone"] == true)
            #expect(seenByAna["continueCursor"]?.stringValue != nil)
            let message = try #require(seenByAna["page"]?[0])
            #expect(message.keys == ["_id", "content", "senderId", "recipientId", "conversationId", "read", "createdAt"])
            #expect(message["_id"] == "\(last)")
            #expect(message["senderId"] == "\(ana.id)")
            #expect(message["recipientId"] == "\(ben.id)")
            #expect(message["conversationId"] == "\(conversation)")
            #expect(message["read"] == false)
            #expect(message["createdAt"]?.numberValue ?? 0 > 1.6e12)
        }
    }

    @Test("conversations come latest first, with the other user, the last message and the unread count")
    func conversations() async throws {
        try await withTestWorker { worker in
            let (ana, ben, cleo) = (try await worker.signUp("Ana"), try await worker.signUp("Ben", accountType: .therapist), try await worker.signUp("Cleo"))
            let empty = try await worker.value("messages:listConversations", as: ana)
            #expect(empty["page"] == [])
            try await worker.send("from Ben 1", from: ben, to: ana)
            try await worker.send("from Ben 2", from: ben, to: ana)
            try await worker.send("from Cleo", from: cleo, to: ana)
            try await worker.send("to Ben", from: ana, to: ben)
            let inbox = try await worker.value("messages:listConversations", as: ana)
            let (first, second) = (inbox["page"]?[0], inbox["page"]?[1])
            #expect(inbox["page"]?.arrayValue?.count == 2)
            #expect(first?["otherUser"]?["_id"] == "\(ben.id)")
            #expect(first?["otherUser"]?["name"] == "Ben")
            #expect(first?["otherUser"]?["accountType"] == "therapist")
            #expect(first?["otherUser"]?["email"] == nil)
            #expect(first?["lastMessage"]?["content"] == "to Ben")
            #expect(first?["unreadCount"] == 2)
            #expect(second?["otherUser"]?["name"] == "Cleo")
            #expect(second?["unreadCount"] == 1)
            let bensInbox = try await worker.value("messages:listConversations", as: ben)
            #expect(bensInbox["page"]?[0]?["unreadCount"] == 1)
            #expect(bensInbox["page"]?[0]?["otherUser"]?["name"] == "Ana")
        }
    }

    @Test("marking as read counts for the recipient, and can be repeated")
    func markAsRead() async throws {
        try await withTestWorker { worker in
            let (ana, ben) = (try await worker.signUp("Ana"), try await worker.signUp("Ben"))
            var ids: [MessageID] = []
            for number in 0..<3 { ids.append(try await worker.send("\(number)", from: ben, to: ana)) }
            func unread() async throws -> JSON? {
                try await worker.value("messages:listConversations", as: ana)["page"]?[0]?["unreadCount"]
            }
            func mark(_ ids: [MessageID]) async throws -> HTTPAnswer {
                try await worker.call(.mutation, "messages:markAsRead", ["messageIds": .array(ids.map { "\($0)" })], token: ana.token)
            }
            var answers = [try await mark([])]
            var counts = [try await unread()]
            answers.append(try await mark([ids[0], ids[0]]))
            counts.append(try await unread())
            answers.append(try await mark([ids[0], ids[2]]))
            counts.append(try await unread())
            answers.append(try await mark(ids))
            counts.append(try await unread())
            #expect(answers.map(\.value) == [.null, .null, .null, .null])
            #expect(counts == [3, 2, 1, 0])
            let page = try await worker.value("messages:list", ["conversationId": "\(try await worker.conversation(ana, ben))"], as: ben)
            #expect(page["page"]?.arrayValue?.map { $0["read"] } == [true, true, true])
        }
    }

    @Test("one foreign message among those to be marked leaves all of them unread")
    func allOrNothing() async throws {
        try await withTestWorker { worker in
            let scene = try await Scene(worker)
            let own = try await worker.send("mine", from: scene.owner, to: scene.participant)
            for other in [scene.foreign, own, MessageID(.v7(milliseconds: 0))] {
                let answer = try await worker.call(
                    .mutation, "messages:markAsRead", ["messageIds": ["\(scene.received)", "\(other)"]], token: scene.owner.token)
                #expect(answer.json?["status"] == "error", "\(answer.text)")
            }
            let read = try await worker.sql("SELECT count(*)::text FROM messages WHERE read")
            #expect(try read[0].decode(0, as: String.self) == "0")
        }
    }

    @Test("a repeated clientMessageId gives the first message's id, over HTTP and the socket alike; another sender's is another's")
    func clientMessageID() async throws {
        try await withTestWorker { worker in
            let (ana, ben, cleo) = (try await worker.signUp("Ana"), try await worker.signUp("Ben"), try await worker.signUp("Cleo"))
            func send(_ content: String, from sender: TestUser, to recipient: TestUser) async throws -> JSON? {
                try await worker.call(
                    .mutation, "messages:send",
                    ["content": .string(content), "recipientId": "\(recipient.id)", "clientMessageId": "draft-1"], token: sender.token
                ).value
            }
            let first = try await send("hello", from: ana, to: ben)
            let repeated = try await send("hello", from: ana, to: ben)
            let changed = try await send("hello again", from: ana, to: cleo)
            let others = try await send("hello", from: ben, to: ana)
            #expect(first != nil)
            #expect(repeated == first)
            #expect(changed == first)
            #expect(others != nil && others != first)
            let client = try await worker.connect(as: ana)
            let request = client.mutate("messages:send", ["content": "hello", "recipientId": "\(ben.id)", "clientMessageId": "draft-1"])
            let response = try await client.wait(for: "the response") { $0.responses[request] }
            #expect(response["result"] == first)
            let count = try await worker.sql("SELECT count(*)::text FROM messages")
            #expect(try count[0].decode(0, as: String.self) == "2")
        }
    }

    @Test("fifty first messages at once, from both sides, make one conversation and fifty messages")
    func firstMessagesAtOnce() async throws {
        try await withTestWorker { worker in
            let (ana, ben) = (try await worker.signUp("Ana"), try await worker.signUp("Ben"))
            let ids = try await withThrowingTaskGroup(of: MessageID.self) { group in
                for number in 0..<50 {
                    group.addTask {
                        number.isMultiple(of: 2)
                            ? try await worker.send("\(number)", from: ana, to: ben) : try await worker.send("\(number)", from: ben, to: ana)
                    }
                }
                return try await group.reduce(into: Set<MessageID>()) { $0.insert($1) }
            }
            #expect(ids.count == 50)
            let counts = try await worker.sql("SELECT (SELECT count(*) FROM conversations)::text, (SELECT count(*) FROM messages)::text")
            #expect(try counts[0].decode(0, as: String.self) == "1")
            #expect(try counts[0].decode(1, as: String.self) == "50")
        }
    }

    @Test("the same clientMessageId sent many times at once, over HTTP and sockets, makes one message")
    func sameMessageAtOnce() async throws {
        try await withTestWorker { worker in
            let (ana, ben) = (try await worker.signUp("Ana"), try await worker.signUp("Ben"))
            let arguments: JSON = ["content": "hello", "recipientId": "\(ben.id)", "clientMessageId": "draft-1"]
            let results = try await withThrowingTaskGroup(of: JSON?.self) { group in
                for number in 0..<40 {
                    group.addTask {
                        if number.isMultiple(of: 2) {
                            return try await worker.call(.mutation, "messages:send", arguments, token: ana.token).value
                        }
                        let client = try await worker.connect(as: ana)
                        let request = client.mutate("messages:send", arguments)
                        return try await client.wait(for: "the response") { $0.responses[request] }["result"]
                    }
                }
                return try await group.reduce(into: [JSON?]()) { $0.append($1) }
            }
            #expect(results.count == 40)
            #expect(results[0]?.stringValue.flatMap { MessageID($0) } != nil)
            let distinct = Set(results.map { $0?.text ?? "none" })
            #expect(distinct.count == 1, "\(distinct)")
            let counts = try await worker.sql("SELECT (SELECT count(*) FROM conversations)::text, (SELECT count(*) FROM messages)::text")
            #expect(try counts[0].decode(0, as: String.self) == "1")
            #expect(try counts[0].decode(1, as: String.self) == "1")
        }
    }

    @Test("pages to the end have every message once and in order, while new ones arrive")
    func pages() async throws {
        try await withTestWorker { worker in
            let (ana, ben) = (try await worker.signUp("Ana"), try await worker.signUp("Ben"))
            for number in 0..<25 { try await worker.send("\(number)", from: ana, to: ben) }
            let conversation = try await worker.conversation(ana, ben)
            var seen: [String] = []
            var pages: [Int] = []
            var cursor: JSON = .null
            var isDone = false
            while !isDone {
                let page = try await worker.value(
                    "messages:list", ["conversationId": "\(conversation)", "paginationOpts": ["numItems": 4, "cursor": cursor]], as: ben)
                seen += Self.contents(page)
                pages.append(Self.contents(page).count)
                cursor = try #require(page["continueCursor"])
                isDone = try #require(page["isDone"]?.boolValue)
                try await worker.send("new", from: ben, to: ana)
            }
            #expect(seen == (0..<25).reversed().map(String.init))
            #expect(pages == [4, 4, 4, 4, 4, 4, 1])
            // Behind the end there is nothing, also later.
            let behind = try await worker.value(
                "messages:list", ["conversationId": "\(conversation)", "paginationOpts": ["numItems": 4, "cursor": cursor]], as: ben)
            #expect(behind["page"] == [])
            #expect(behind["isDone"] == true)
        }
    }

    @Test("a page up to an end cursor is the whole range, and grows with it")
    func endCursor() async throws {
        try await withTestWorker { worker in
            let (ana, ben) = (try await worker.signUp("Ana"), try await worker.signUp("Ben"))
            for number in 0..<6 { try await worker.send("\(number)", from: ana, to: ben) }
            let conversation = try await worker.conversation(ana, ben)
            func page(_ options: JSON) async throws -> JSON {
                try await worker.value("messages:list", ["conversationId": "\(conversation)", "paginationOpts": options], as: ben)
            }
            let first = try await page(["numItems": 3, "cursor": .null])
            let end = try #require(first["continueCursor"])
            try await worker.send("new", from: ana, to: ben)
            let again = try await page(["numItems": 3, "cursor": .null, "endCursor": end, "id": 1])
            let next = try await page(["numItems": 3, "cursor": end])
            #expect(Self.contents(again) == ["new", "5", "4", "3"])
            #expect(again["continueCursor"] == end)
            #expect(Self.contents(next) == ["2", "1", "0"])
            #expect(next["isDone"] == true)
        }
    }

    @Test("conversations page to the end without gaps")
    func conversationPages() async throws {
        try await withTestWorker { worker in
            let ana = try await worker.signUp("Ana")
            for number in 0..<7 {
                let friend = try await worker.signUp("Friend \(number)")
                try await worker.send("\(number)", from: friend, to: ana)
            }
            var names: [String] = []
            var cursor: JSON = .null
            var isDone = false
            while !isDone {
                let page = try await worker.value("messages:listConversations", ["paginationOpts": ["numItems": 3, "cursor": cursor]], as: ana)
                names += page["page"]?.arrayValue?.map { $0["otherUser"]?["name"]?.stringValue ?? "" } ?? []
                cursor = try #require(page["continueCursor"])
                isDone = try #require(page["isDone"]?.boolValue)
            }
            #expect(names == (0..<7).reversed().map { "Friend \($0)" })
        }
    }

    @Test("the messages of a removed account stay readable for the other side")
    func removedAccount() async throws {
        try await withTestWorker { worker in
            let (ana, ben) = (try await worker.signUp("Ana"), try await worker.signUp("Ben"))
            try await worker.send("hello", from: ben, to: ana)
            try await worker.accounts.removeUser(ben.id)
            let inbox = try await worker.value("messages:listConversations", as: ana)
            #expect(inbox["page"]?[0]?["lastMessage"]?["content"] == "hello")
            let answer = try await worker.call(
                .mutation, "messages:send", ["content": "are you there?", "recipientId": "\(ben.id)"], token: ana.token)
            #expect(answer.errorCode == "not_found")
        }
    }
}
