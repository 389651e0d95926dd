import Domain
import TestSupport
import Testing
import Wire
import WorkerTestSupport

@Suite("Numbers and accounts, as administrators see them", .timeLimit(.minutes(5)))
struct AdminTests {
    private static let metrics: JSON = [
        "activeUsers": 3, "activeSessions": 4, "sessionsToday": 5, "totalTherapists": 6, "totalClients": 7, "messagesSent": 8,
        "avgResponseTime": 1.5, "systemLoad": 0.25, "storageUsed": "1.2 GB", "activeSecurityLevel": "elevated",
        "responseTimeP50": 1, "responseTimeP95": 2.5, "responseTimeP99": 9.5, "storageBytes": 1_234_567_890,
        "updatedAt": 1_795_379_664_658,
    ]

    @Test("the system's metrics are 0 until they are computed, and then what the row says, without being asked again")
    func systemMetrics() async throws {
        try await withTestWorker { worker in
            let admin = try await worker.signUp("Ada", role: .admin)
            let socket = try await worker.connect(as: admin)
            let query = socket.add("admin:getSystemMetrics")
            let before = try await socket.wait(for: "the metrics") { $0.value(query) }
            #expect(before.keys == Self.metrics.keys)
            #expect(before["activeUsers"] == 0 && before["storageUsed"] == "0 B" && before["activeSecurityLevel"] == "low")
            try await worker.sql(
                """
                UPDATE system_metrics
                SET active_users = 3, active_sessions = 4, sessions_today = 5, total_therapists = 6, total_clients = 7,
                    messages_sent = 8, avg_response_time = 1.5, system_load = 0.25, storage_bytes = 1234567890,
                    active_security_level = 'elevated', response_time_p50 = 1, response_time_p95 = 2.5, response_time_p99 = 9.5,
                    updated_at = to_timestamp(1795379664.658)
                """)
            try await socket.wait(for: "the new metrics") { $0.value(query) == Self.metrics ? true : nil }
            let overHTTP = try await worker.value("admin:getSystemMetrics", as: admin)
            #expect(overHTTP == Self.metrics)
        }
    }

    private static let week: JSON = [
        "timeframe": "week", "since": 1_795_305_600_000, "activeUsers": 10, "newUsers": 2, "returningUsers": 8, "sessions": 30,
        "medianSessionLength": 754_000, "messages": 400, "stickiness": 0.5,
        "series": [
            [
                "start": 1_795_305_600_000, "activeUsers": 1, "newUsers": 2, "sessions": 3, "messages": 4, "calls": 5,
                "avgResponseTime": 0.7, "responseTimeP95": 1.2,
            ],
            [
                "start": 1_795_392_000_000, "activeUsers": 0, "newUsers": 0, "sessions": 0, "messages": 0, "calls": 0,
                "avgResponseTime": 0, "responseTimeP95": 0,
            ],
        ],
        "retention": [
            ["week": 1_794_787_200_000, "users": 9, "active": [8, 7]],
            ["week": 1_795_392_000_000, "users": 3, "active": [3]],
        ],
        "updatedAt": 1_795_379_664_658,
    ]

    @Test("analytics begin nowhere until they are computed, and then are what the timeframe's row says, without being asked again")
    func userAnalytics() async throws {
        try await withTestWorker { worker in
            let admin = try await worker.signUp("Ada", role: .admin)
            let socket = try await worker.connect(as: admin)
            let queries = ["day", "week", "month"].map { socket.add("admin:getUserAnalytics", ["timeframe": .string($0)]) }
            let before = try await socket.wait(for: "the analytics") { state in
                queries.allSatisfy { state.value($0) != nil } ? queries.compactMap { state.value($0) } : nil
            }
            #expect(before.map { $0["timeframe"] } == ["day", "week", "month"])
            for value in before {
                #expect(value.keys == Self.week.keys.filter { !["since", "medianSessionLength"].contains($0) })
                #expect(value["activeUsers"] == 0 && value["series"] == [] && value["retention"] == [])
            }
            try await worker.sql(
                """
                UPDATE user_analytics
                SET since = to_timestamp(1795305600), active_users = 10, new_users = 2, returning_users = 8, sessions = 30,
                    median_session_seconds = 754, messages = 400, stickiness = 0.5,
                    buckets = '\(Self.week["series"]!.text)', cohorts = '\(Self.week["retention"]!.text)',
                    updated_at = to_timestamp(1795379664.658)
                WHERE timeframe = 'week'
                """)
            let after = try await socket.wait(for: "the new analytics") { state in
                state.value(queries[1])?["since"] == nil ? nil : queries.compactMap { state.value($0) }
            }
            #expect(after == [before[0], Self.week, before[2]])
            let overHTTP = try await worker.value("admin:getUserAnalytics", ["timeframe": "week"], as: admin)
            #expect(overHTTP == Self.week)
        }
    }

    @Test(
        "arguments that do not fit are refused",
        arguments: [
            ("getUserAnalytics", [:]), ("getUserAnalytics", ["timeframe": "year"]), ("getUserAnalytics", ["timeframe": "Day"]),
            ("getUserAnalytics", ["timeframe": .null]), ("getUserAnalytics", ["timeframe": ["day"]]),
            ("getUserAnalytics", ["timeframe": "day' OR true --"]), ("getUserAnalytics", ["timeframe": "day", "since": 0]),
            ("getSystemMetrics", ["timeframe": "day"]), ("listUsers", ["paginationOpts": ["numItems": 0, "cursor": .null]]),
            ("listUsers", ["paginationOpts": ["numItems": 10, "cursor": "bm9uc2Vuc2U"]]), ("listUsers", ["query": "Ana"]),
        ] as [(String, JSON)])
    func badArguments(function: String, arguments: JSON) async throws {
        try await withTestWorker { worker in
            let admin = try await worker.signUp("Ada", role: .admin)
            let answer = try await worker.call(.query, "admin:\(function)", arguments, token: admin.token)
            #expect(answer.errorCode == "validation_error")
        }
    }

    @Test("the list of accounts has the newest first, in pages, with what only administrators see, without removed ones")
    func list() async throws {
        try await withTestWorker { worker in
            let admin = try await worker.signUp("Ada", role: .admin)
            var users = [admin]
            for number in 0..<6 {
                users.append(try await worker.signUp("User \(number)", accountType: number == 5 ? .client : nil))
            }
            let removed = users.remove(at: 3)
            try await worker.accounts.removeUser(removed.id)
            try await worker.sql("INSERT INTO user_activity VALUES ('\(users[1].id.uuid)', to_timestamp(1795379664.658))")
            var listed: [JSON] = []
            var cursor: JSON = .null
            var isDone = false
            while !isDone {
                let page = try await worker.value("admin:listUsers", ["paginationOpts": ["numItems": 2, "cursor": cursor]], as: admin)
                listed += page["page"]?.arrayValue ?? []
                cursor = try #require(page["continueCursor"])
                isDone = try #require(page["isDone"]?.boolValue)
            }
            #expect(listed.map { $0["_id"]?.stringValue } == users.reversed().map { "\($0.id)" })
            #expect(listed.map { $0["email"]?.stringValue } == users.reversed().map(\.email))
            #expect(listed[0].keys == ["_id", "name", "email", "role", "accountType", "createdAt"])
            #expect(listed[4].keys == ["_id", "name", "email", "role", "createdAt", "lastActiveAt"])
            #expect(listed[4]["lastActiveAt"] == 1_795_379_664_658)
        }
    }

    @Test("the list of accounts is live: accounts, their names, and when they were last active")
    func liveList() async throws {
        try await withTestWorker { worker in
            let admin = try await worker.signUp("Ada", role: .admin)
            let socket = try await worker.connect(as: admin)
            let list = socket.add("admin:listUsers")
            func wait(_ what: String, _ condition: @escaping @Sendable ([JSON]) -> Bool) async throws {
                try await socket.wait(for: what) { condition($0.value(list)?["page"]?.arrayValue ?? []) ? true : nil }
            }
            try await wait("the administrator") { $0.count == 1 }
            let ana = try await worker.signUp("Ana")
            try await wait("the new account") { $0.count == 2 && $0[0]["name"] == "Ana" }
            try await worker.sql("INSERT INTO user_activity VALUES ('\(ana.id.uuid)', to_timestamp(1))")
            try await wait("her activity") { $0[0]["lastActiveAt"] == 1000 }
            try await worker.sql("UPDATE user_activity SET last_active_at = to_timestamp(2)")
            try await wait("her later activity") { $0[0]["lastActiveAt"] == 2000 }
            try await worker.sql("TRUNCATE user_activity")
            try await wait("no activity") { $0[0]["lastActiveAt"] == nil }
            try await worker.sql("UPDATE users SET name = 'Ana B.' WHERE id = '\(ana.id.uuid)'")
            try await wait("her new name") { $0[0]["name"] == "Ana B." }
            try await worker.accounts.removeUser(ana.id)
            try await wait("the administrator alone") { $0.count == 1 }
        }
    }
}
