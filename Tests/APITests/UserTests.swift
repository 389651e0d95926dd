import Domain
import Registry
import TestSupport
import Testing
import Wire
import WorkerTestSupport

@Suite("Users")
struct UserTests {
    @Test("the current user is one's own account, and null for nobody")
    func currentUser() async throws {
        try await withTestWorker { worker in
            let ana = try await worker.signUp("Ana", role: .admin, accountType: .client)
            let own = try await worker.value("auth:getCurrentUser", as: ana)
            #expect(own.keys == ["_id", "name", "email", "role", "accountType", "createdAt"])
            #expect(own["_id"] == "\(ana.id)")
            #expect(own["email"]?.stringValue == ana.email)
            #expect(own["role"] == "admin")
            #expect(own["accountType"] == "client")
            let nobody = try await worker.call(.query, "auth:getCurrentUser")
            #expect(nobody.value == .null)
        }
    }

    @Test("an e-mail address is seen by its owner and administrators alone, wherever profiles are shown")
    func emailAddresses() async throws {
        try await withTestWorker { worker in
            let (ana, ben) = (try await worker.signUp("Ana"), try await worker.signUp("Ben"))
            let admin = try await worker.signUp("Admin", role: .admin)
            try await worker.send("hello", from: ben, to: ana)
            try await worker.send("hello", from: ben, to: admin)
            func profile(as viewer: TestUser) async throws -> JSON? {
                try await worker.value("users:getProfile", ["userId": "\(ben.id)"], as: viewer)["email"]
            }
            func found(as viewer: TestUser) async throws -> JSON? {
                try await worker.value("users:search", ["query": "Ben"], as: viewer)[0]?["email"]
            }
            func partner(as viewer: TestUser) async throws -> JSON? {
                try await worker.value("messages:listConversations", as: viewer)["page"]?[0]?["otherUser"]?["email"]
            }
            let email = JSON.string(ben.email)
            let seenByAna = [try await profile(as: ana), try await found(as: ana), try await partner(as: ana)]
            let seenByAdmin = [try await profile(as: admin), try await found(as: admin), try await partner(as: admin)]
            let seenByBen = [try await profile(as: ben), try await found(as: ben)]
            #expect(seenByAna == [nil, nil, nil])
            #expect(seenByAdmin == [email, email, email])
            #expect(seenByBen == [email, email])
        }
    }

    @Test("a profile changes in the fields that are given; an empty text removes one")
    func updateProfile() async throws {
        try await withTestWorker { worker in
            let ana = try await worker.signUp("Ana")
            func update(_ fields: JSON) async throws -> JSON? {
                try await worker.call(.mutation, "users:updateProfile", fields, token: ana.token).value
            }
            let named = try await update(["name": "  Ána B.  ", "bio": "hello"])
            #expect(named?["name"] == "Ána B.")
            #expect(named?["bio"] == "hello")
            #expect(named?["email"]?.stringValue == ana.email)
            let pictured = try await update(["avatarUrl": "https://example.org/a.png"])
            #expect(pictured?["name"] == "Ána B.")
            #expect(pictured?["bio"] == "hello")
            #expect(pictured?["avatarUrl"] == "https://example.org/a.png")
            let emptied = try await update(["bio": "", "avatarUrl": ""])
            #expect(emptied?.keys == ["_id", "name", "email", "role", "createdAt"])
            let unchanged = try await update([:])
            #expect(unchanged == emptied)
            let other = try await worker.signUp("Ben")
            let seen = try await worker.value("users:getProfile", ["userId": "\(ana.id)"], as: other)
            #expect(seen["name"] == "Ána B.")
        }
    }

    // MARK: Search

    private static func names(_ query: String, on worker: TestWorker, as user: TestUser) async throws -> [String] {
        let found = try await worker.value("users:search", ["query": .string(query)], as: user)
        return found.arrayValue?.map { $0["name"]?.stringValue ?? "" } ?? []
    }

    @Test("search finds by a part of the name, case and accents aside, the best match first")
    func search() async throws {
        try await withTestWorker { worker in
            let searcher = try await worker.signUp("Zoltan Searcher")
            for name in ["José García", "Josephine Baker", "Mary Jo Sellers", "Benjósef Lang", "Łukasz Żółć", "Юлия Сергеевна", "Groß"] {
                _ = try await worker.signUp(name)
            }
            func search(_ query: String) async throws -> [String] { try await Self.names(query, on: worker, as: searcher) }
            // Names that begin with it, then those with a word that does, then the rest.
            let josé = try await search("jos")
            let jo = try await search("jo")
            #expect(josé == ["José García", "Josephine Baker", "Benjósef Lang"])
            #expect(Set(jo.prefix(2)) == ["José García", "Josephine Baker"])
            #expect(jo.dropFirst(2) == ["Mary Jo Sellers", "Benjósef Lang"])
            for query in ["JOSÉ G", "jose\u{301} garcia", "garc", "ÍA"] {
                let found = try await search(query)
                #expect(found == ["José García"], "\(query)")
            }
            for (query, name) in [("lukasz", "Łukasz Żółć"), ("ŻÓŁĆ", "Łukasz Żółć"), ("юЛИЯ", "Юлия Сергеевна"), ("gross", "Groß"), (" groß ", "Groß")] {
                let found = try await search(query)
                #expect(found == [name], "\(query)")
            }
            for query in ["", " ", "\t\n", "nobody at all", "\u{301}"] {
                let found = try await search(query)
                #expect(found.isEmpty, "\(query)")
            }
        }
    }

    @Test("what SQL takes for wildcards means itself, also in its full-width form")
    func wildcards() async throws {
        try await withTestWorker { worker in
            let searcher = try await worker.signUp("Searcher")
            for name in ["100% Ana", "Ana_Ben", #"Back\slash"#, "Plain Name", "O'Hara; DROP TABLE users"] { _ = try await worker.signUp(name) }
            for (query, names) in [
                ("%", ["100% Ana"]), ("0% a", ["100% Ana"]), ("_", ["Ana_Ben"]), ("a_b", ["Ana_Ben"]), (#"\"#, [#"Back\slash"#]), (#"k\s"#, [#"Back\slash"#]),
                ("％", ["100% Ana"]), ("＿", ["Ana_Ben"]), ("＼", [#"Back\slash"#]), ("%%", []), ("a%n", []), (#"\%"#, []), ("P_ain", []), ("'", ["O'Hara; DROP TABLE users"]),
            ] as [(String, [String])] {
                let found = try await Self.names(query, on: worker, as: searcher)
                #expect(found == names, "\(query)")
            }
        }
    }

    @Test("search gives twenty at most, and no removed accounts")
    func limits() async throws {
        try await withTestWorker { worker in
            let searcher = try await worker.signUp("Searcher")
            for number in 0..<25 { _ = try await worker.signUp("Twin \(number)") }
            let gone = try await worker.signUp("Gone Girl")
            try await worker.accounts.removeUser(gone.id)
            let twins = try await Self.names("twin", on: worker, as: searcher)
            let removed = try await Self.names("gone", on: worker, as: searcher)
            #expect(twins.count == 20)
            #expect(removed.isEmpty)
        }
    }
}
