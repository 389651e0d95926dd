import API
import Domain
@testable import Functions
import Postgres
import Registry
import TestSupport
import Testing
import Wire
import WorkerTestSupport

@Suite("Security events")
struct SecurityTests {
    private static func ids(_ events: JSON?) -> [String] { (events?.arrayValue ?? []).compactMap { $0["_id"]?.stringValue } }

    /// A worker that does not report what is done with it, an administrator, and an empty table.
    private func withSilentWorker(
        _ configure: @escaping @Sendable (inout Worker.Configuration) -> Void = { _ in },
        _ body: @escaping @Sendable (TestWorker, TestUser) async throws -> Void
    ) async throws {
        try await withTestWorker(
            configure: {
                $0.spoolBudget = 0
                configure(&$0)
            }
        ) { worker in
            let admin = try await worker.signUp("Ada", role: .admin)
            try await worker.sql("TRUNCATE security_events")
            try await body(worker, admin)
        }
    }

    /// What a plain filter gives, as the API's ids.
    private static func naive(_ worker: TestWorker, where conditions: [String]) async throws -> [String] {
        let rows = try await worker.sql(
            """
            SELECT id::text FROM security_events WHERE \((["true"] + conditions).joined(separator: " AND "))
            ORDER BY occurred_at DESC, id DESC LIMIT 1000
            """)
        return try rows.map { SecurityEventID(UUIDBits(try $0.decode(0, as: String.self))!).description }
    }

    /// Over several months with partitions, and some without; many events share a moment.
    private static func insertRandomEvents(_ worker: TestWorker) async throws {
        try await worker.sql(
            """
            SELECT make_security_events_partition(month)
            FROM unnest('{2026-03-01Z, 2026-04-01Z, 2026-05-01Z}'::timestamptz[]) AS month
            """)
        try await worker.sql(
            """
            INSERT INTO security_events (occurred_at, type, severity)
            SELECT '2026-02-15Z'::timestamptz + floor(random() * 120) * interval '1 day',
                (ARRAY['authn_login_fail', 'authz_fail', 'syslog'])[1 + floor(random() * 3)],
                (ARRAY['critical', 'high', 'medium', 'low'])[1 + floor(random() * 4)]
            FROM generate_series(1, 700)
            """)
    }

    /// Every combination of filters, as arguments and as conditions.
    private static let filters: [(arguments: JSON, conditions: [String])] = {
        let types: [String?] = [nil, "authn_login_fail", "syslog", "no_such_type"]
        let severities: [Severity?] = [nil] + Severity.allCases
        // 2026-03-01, -04-10, -05-20 and -06-30, as some events' times exactly.
        let march = 1_772_323_200_000.0, april = 1_775_779_200_000.0, may = 1_779_235_200_000.0
        let ranges: [(Double?, Double?)] = [(nil, nil), (march, nil), (nil, may), (march, may), (april, april + 1), (may, march)]
        var filters: [(JSON, [String])] = []
        for type in types {
            for severity in severities {
                for (since, until) in ranges {
                    var arguments: JSON = [:]
                    var conditions: [String] = []
                    if let type {
                        arguments = arguments.setting("type", to: .string(type))
                        conditions.append("type = '\(type)'")
                    }
                    if let severity {
                        arguments = arguments.setting("severity", to: .string(severity.rawValue))
                        conditions.append("severity = '\(severity.rawValue)'")
                    }
                    if let since {
                        arguments = arguments.setting("since", to: .number(since))
                        conditions.append("occurred_at >= to_timestamp(\(since) / 1000)")
                    }
                    if let until {
                        arguments = arguments.setting("until", to: .number(until))
                        conditions.append("occurred_at < to_timestamp(\(until) / 1000)")
                    }
                    filters.append((arguments, conditions))
                }
            }
        }
        return filters
    }()

    @Test("every combination of filters gives what plain SQL gives, at once and in pages")
    func filters() async throws {
        try await withSilentWorker { worker, admin in
            try await Self.insertRandomEvents(worker)
            for (index, (arguments, conditions)) in Self.filters.enumerated() {
                let expected = try await Self.naive(worker, where: conditions)
                let found = Self.ids(try await worker.value("security:getSecurityEvents", arguments, as: admin))
                #expect(found == expected, "\(arguments.text)")
                guard index.isMultiple(of: 3) else { continue }
                var paged: [String] = []
                var cursor: JSON = .null
                var isDone = false
                while !isDone {
                    let page = try await worker.value(
                        "security:getSecurityEvents",
                        arguments.setting("paginationOpts", to: ["numItems": 90, "cursor": cursor]), as: admin)
                    paged += Self.ids(page["page"])
                    cursor = page["continueCursor"] ?? .null
                    isDone = page["isDone"] == true
                }
                #expect(paged == expected, "in pages: \(arguments.text)")
            }
        }
    }

    @Test("pages do not move when events arrive, and a cursor is good for its own filter only")
    func stablePages() async throws {
        try await withSilentWorker { worker, admin in
            try await Self.insertRandomEvents(worker)
            func page(_ arguments: JSON, _ cursor: JSON) async throws -> HTTPAnswer {
                try await worker.call(
                    .query, "security:getSecurityEvents",
                    arguments.setting("paginationOpts", to: ["numItems": 40, "cursor": cursor]), token: admin.token)
            }
            let before = try await Self.naive(worker, where: [])
            let first = try await page([:], .null).value
            #expect(Self.ids(first?["page"]) == Array(before[..<40]))
            // One behind everything that was shown, one in its midst, one in front of it.
            for moment in ["2020-01-01", "2026-06-10", "2030-01-01"] {
                try await worker.sql(
                    "INSERT INTO security_events (occurred_at, type, severity) VALUES ('\(moment)Z', 'new', 'low')")
            }
            let cursor = first?["continueCursor"] ?? .null
            let second = try await page([:], cursor).value
            #expect(Self.ids(second?["page"]) == Array(before[40..<80]))
            let foreign = try await page(["type": "syslog"], cursor)
            #expect(foreign.errorCode == "validation_error")
            let other = try await page(["type": "syslog"], .null).value?["continueCursor"] ?? .null
            let foreignToo = try await page(["type": "authz_fail"], other)
            #expect(foreignToo.errorCode == "validation_error")
        }
    }

    @Test(
        "every combination of filters reads ranges of the one index that has them in order, in full partitions and in empty ones",
        .scratchDatabase,
        arguments: [
            (nil, nil, "pkey"), (nil, .high, "severity_occurred_at_id_idx"), ("syslog", nil, "type_severity_occurred_at_id_idx"),
            ("syslog", .low, "type_severity_occurred_at_id_idx"),
        ] as [(String?, Severity?, String)])
    func plans(type: String?, severity: Severity?, index: String) async throws {
        let filter = SecurityEventFilter(type: type, severity: severity, since: nil, until: nil)
        let arguments = [type, severity?.rawValue].compactMap { $0 }
        let types = ["timestamptz", "uuid", "timestamptz", "uuid", "bigint"] + arguments.map { _ in "text" }
        let bounds = ["'infinity'", "'\(UUIDBits.highest)'", "'-infinity'", "'\(UUIDBits.lowest)'", "51"]
        let values = bounds + arguments.map { "'\($0)'" }
        let results = try await ScratchDatabase.current.makeClient().withConnection { connection in
            try await connection.runScript(
                """
                SELECT make_security_events_partition(month) FROM unnest('{2026-03-01Z, 2026-04-01Z}'::timestamptz[]) AS month;
                INSERT INTO security_events (occurred_at, type, severity)
                SELECT '2026-03-01Z'::timestamptz + random() * interval '30 days',
                    (ARRAY['authn_login_fail', 'authz_fail', 'syslog'])[1 + floor(random() * 3)],
                    (ARRAY['critical', 'high', 'medium', 'low'])[1 + floor(random() * 4)]
                FROM generate_series(1, 5000);
                ANALYZE security_events_2026_03;
                SET plan_cache_mode = force_generic_plan;
                PREPARE list (\(types.joined(separator: ", "))) AS \(filter.events(limit: 51).statement.sql);
                EXPLAIN (COSTS OFF) EXECUTE list (\(values.joined(separator: ", ")));
                """, name: "test")
        }
        let plan = try #require(results.last).map { try $0.decode(0, as: String.self) }
        let scans = plan.filter { $0.contains(" Scan ") && $0.contains("security_events") }
        #expect(scans.count == (type != nil && severity == nil ? 12 : 3))
        let others = scans.filter { !$0.contains("Index Scan Backward using") || !$0.contains(index) }
        #expect(others == [])
    }

    @Test("an event has the data model's fields, whatever a person has put into its metadata")
    func shape() async throws {
        try await withSilentWorker { worker, admin in
            func insert(_ values: String) async throws -> JSON {
                try await worker.sql("TRUNCATE security_events")
                try await worker.sql(
                    """
                    INSERT INTO security_events (occurred_at, type, severity, user_id, ip, metadata)
                    VALUES ('2026-11-01 00:00:00.123456Z', 'authz_fail', 'high', \(values))
                    """)
                return try await worker.value("security:getSecurityEvents", as: admin)[0] ?? .null
            }
            let full = try await insert(
                """
                '\(admin.id.uuid)', '192.0.2.7', '{"details": "Refused.", "source": "attune", "context": "{\\"n\\":1}"}'
                """)
            #expect(full.keys == ["_id", "timestamp", "type", "severity", "userId", "ip", "metadata"])
            #expect(SecurityEventID(full["_id"]?.stringValue ?? "") != nil)
            #expect(full["timestamp"] == .number(1_793_491_200_123.456))
            #expect(full["type"] == "authz_fail")
            #expect(full["severity"] == "high")
            #expect(full["userId"] == "\(admin.id)")
            #expect(full["ip"] == "192.0.2.7")
            #expect(full["metadata"] == ["details": "Refused.", "source": "attune", "context": #"{"n":1}"#])

            let bare = try await insert("NULL, NULL, NULL")
            #expect(bare.keys == ["_id", "timestamp", "type", "severity"])
            let odd: [(metadata: String, expected: JSON?)] = [
                ("null", nil), (#""text""#, ["details": "text"]), ("7", ["details": "7"]), (#"{"n":1}"#, ["details": #"{"n": 1}"#]),
                (#"[1]"#, ["details": "[1]"]), (#"{"details":5}"#, ["details": #"{"details": 5}"#]),
                (#"{"details":"d","source":null,"context":{"a":1}}"#, ["details": "d", "context": #"{"a": 1}"#]),
            ]
            for (metadata, expected) in odd {
                let event = try await insert("NULL, '10.0.0.0/8', '\(metadata)'")
                #expect(event["metadata"] == expected, "\(metadata)")
                #expect(event["ip"] == "10.0.0.0/8")
            }
        }
    }

    @Test("events without an end of time are listed, paged over and counted")
    func infinity() async throws {
        try await withSilentWorker { worker, admin in
            for moment in ["-infinity", "0044-03-15 BC", "2026-01-01", "9999-12-31", "infinity"] {
                try await worker.sql("INSERT INTO security_events (occurred_at, type, severity) VALUES ('\(moment)', 'odd', 'low')")
            }
            let expected = try await Self.naive(worker, where: [])
            #expect(Self.ids(try await worker.value("security:getSecurityEvents", as: admin)) == expected)
            var paged: [String] = []
            var cursor: JSON = .null
            for _ in 0..<5 {
                let page = try await worker.value(
                    "security:getSecurityEvents", ["type": "odd", "paginationOpts": ["numItems": 1, "cursor": cursor]], as: admin)
                paged += Self.ids(page["page"])
                cursor = page["continueCursor"] ?? .null
            }
            #expect(paged == expected)
            let stats = try await worker.value("security:getEventStats", as: admin)
            #expect(stats["total"] == 5)
        }
    }

    @Test("times that no clock shows are refused")
    func badTimes() async throws {
        try await withSilentWorker { worker, admin in
            for time in [JSON.number(1e16), "yesterday", .null] {
                let answer = try await worker.call(.query, "security:getSecurityEvents", ["since": time], token: admin.token)
                #expect(answer.errorCode == "validation_error")
            }
            let all = try await worker.call(
                .query, "security:getSecurityEvents", ["since": .number(-8.64e15), "until": .number(8.64e15)], token: admin.token)
            #expect(all.value == [])
        }
    }

    @Test("a plain INSERT shows in the open lists and statistics, into one partition too; so do UPDATE and DELETE")
    func live() async throws {
        try await withSilentWorker { worker, admin in
            let client = try await worker.connect(as: admin)
            let list = client.add("security:getSecurityEvents", ["type": "seen"])
            let stats = client.add("security:getEventStats")
            func wait(events: Int, total: Int) async throws {
                try await client.wait(for: "\(events) of \(total) events") { state in
                    let hasTotal = state.value(stats)?["total"] == .number(Double(total))
                    return hasTotal && state.value(list)?.arrayValue?.count == events ? true : nil
                }
            }
            try await wait(events: 0, total: 0)
            try await worker.sql("INSERT INTO security_events (type, severity) VALUES ('seen', 'critical'), ('other', 'low')")
            try await wait(events: 1, total: 2)
            #expect(client.state.value(stats)?["activeSecurityLevel"] == "critical")
            try await worker.sql("INSERT INTO security_events_other (type, severity) VALUES ('seen', 'low')")
            try await wait(events: 2, total: 3)
            try await worker.sql("UPDATE security_events SET type = 'seen' WHERE type = 'other'")
            try await wait(events: 3, total: 3)
            try await worker.sql("DELETE FROM security_events_other WHERE severity = 'critical'")
            try await wait(events: 2, total: 2)
            try await worker.sql("DELETE FROM security_events")
            try await wait(events: 0, total: 0)
            let value = client.state.value(stats)
            #expect(value?.keys == ["total", "bySeverity", "byType", "lastDay", "activeSecurityLevel"])
            #expect(value?["bySeverity"] == ["critical": 0, "high": 0, "medium": 0, "low": 0])
            #expect(value?["byType"] == [])
            #expect(value?["lastDay"]?.arrayValue?.count == 24)
            #expect(value?["activeSecurityLevel"] == "low")
        }
    }

    @Test("TRUNCATE empties the open lists, too")
    func truncate() async throws {
        // It empties the table for transactions that began before it as well, so that they see it before they are told.
        try await withSilentWorker({ $0.live.missedInvalidation = nil }) { worker, admin in
            try await worker.sql("INSERT INTO security_events (type, severity) VALUES ('a', 'low')")
            let client = try await worker.connect(as: admin)
            let list = client.add("security:getSecurityEvents")
            try await client.wait(for: "the event") { $0.value(list)?.arrayValue?.count == 1 ? true : nil }
            try await worker.sql("TRUNCATE security_events")
            try await client.wait(for: "an empty list") { $0.value(list) == [] ? true : nil }
        }
    }

    @Test("statistics count by severity, by type, the most frequent first, and by hour of the last day")
    func statistics() async throws {
        try await withSilentWorker { worker, admin in
            try await worker.sql(
                """
                INSERT INTO security_events (occurred_at, type, severity) VALUES
                    (now(), 'a', 'low'), (now() - interval '2 hours', 'b', 'low'), (now() - interval '23 hours', 'b', 'medium'),
                    (now() - interval '2 days', 'b', 'critical'), (now() + interval '2 days', 'c', 'high')
                """)
            let stats = try await worker.value("security:getEventStats", as: admin)
            #expect(stats["total"] == 5)
            #expect(stats["bySeverity"] == ["critical": 1, "high": 1, "medium": 1, "low": 2])
            #expect(stats["byType"] == [["type": "b", "count": 3], ["type": "a", "count": 1], ["type": "c", "count": 1]])
            let hours = stats["lastDay"]?.arrayValue ?? []
            #expect(hours.map { $0["count"]?.numberValue ?? -1 } == [1] + [Double](repeating: 0, count: 20) + [1, 0, 1])
            let times = hours.map { $0["hour"]?.numberValue ?? 0 }
            #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 == 3_600_000 })
            #expect(times.allSatisfy { $0.truncatingRemainder(dividingBy: 3_600_000) == 0 })
        }
    }
}
