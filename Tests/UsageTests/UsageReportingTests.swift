import Domain
import Foundation
import Postgres
import Schema
import ServiceLifecycle
import Store
import TestSupport
import Testing

@testable import Development
@testable import Usage

/// From the meter to the tables.
@Suite(.timeLimit(.minutes(5)))
struct UsageReportingTests {
    private static func principal() -> Principal {
        Principal(userID: UserID(.random()), sessionID: SessionID(.random()), role: .user)
    }

    @Test("a report has a row for each function and one for each session, and the host's load is stored with it", .scratchDatabase)
    func rows() async throws {
        let database = ScratchDatabase.current.makeClient()
        let meter = UsageMeter()
        let reporting = UsageReporting(meter: meter, database: database, logger: .quiet)
        let (ana, ben) = (Self.principal(), Self.principal())
        meter.note("messages:list", by: .user(ana), took: .microseconds(100), hasFailed: false)
        meter.note("messages:list", by: .user(ben), took: .microseconds(100), hasFailed: false)
        meter.note("messages:list", by: .anonymous, took: .microseconds(300), hasFailed: true)
        meter.note("messages:send", by: .user(ana), took: .microseconds(7), hasFailed: false)
        await reporting.report()
        let calls = try await database.texts(
            """
            SELECT concat_ws(' ', report, function, calls, failed_calls, microseconds, durations, counts)
            FROM function_calls WHERE recorded_at BETWEEN now() - interval '1 minute' AND now() ORDER BY function
            """)
        #expect(calls == ["1 messages:list 3 1 500 {100,301} {2,1}", "1 messages:send 1 0 7 {7} {1}"])
        let sessions = try await database.texts(
            """
            SELECT concat_ws(' ', report, session_id, user_id) FROM session_activity
            WHERE first_at <= last_at AND last_at BETWEEN now() - interval '1 minute' AND now()
            """)
        #expect(Set(sessions) == Set([ana, ben].map { "1 \($0.sessionID.uuid) \($0.userID.uuid)" }))
        let host = try await database.texts(
            "SELECT concat_ws(' ', name, processors, load >= 0) FROM hosts WHERE reported_at > now() - interval '1 minute'")
        #expect(host == ["\(HostLoad.hostName) \(sysconf(Int32(_SC_NPROCESSORS_ONLN))) t"])

        // Nothing was called since; the host still says how it is.
        try await database.script("UPDATE hosts SET reported_at = '-infinity'")
        await reporting.report()
        let reports = try await database.texts("SELECT count(*)::text FROM function_calls WHERE report > 1")
        let hosts = try await database.texts("SELECT count(*)::text FROM hosts WHERE reported_at > '-infinity'")
        #expect(reports == ["0"] && hosts == ["1"])
    }

    @Test("a moment that is still to come, by the database's clock, is now", .scratchDatabase)
    func clockAhead() async throws {
        let database = ScratchDatabase.current.makeClient()
        let ahead = Instant.now() + .seconds(3600)
        let report = UsageReport(
            worker: .random(), number: 1, recordedAt: ahead,
            calls: [FunctionCalls(function: "messages:list", calls: 1, failedCalls: 0, microseconds: 7, distribution: [(7, 1)])],
            activity: [
                SessionActivity(session: SessionID(.random()), user: UserID(.random()), first: ahead, last: ahead + .seconds(1))
            ])
        _ = try await database.write(UsageStore.storing(report))
        let moments = try await database.texts(
            """
            SELECT (recorded_at BETWEEN now() - interval '1 minute' AND now()
                AND first_at = recorded_at AND last_at = recorded_at)::text
            FROM function_calls, session_activity
            """)
        #expect(moments == ["true"])
    }

    @Test("while reports cannot be stored they wait; then all are stored, each once", .scratchDatabase)
    func outage() async throws {
        let database = ScratchDatabase.current.makeClient()
        let meter = UsageMeter()
        let reporting = UsageReporting(meter: meter, database: database, logger: .quiet)
        let ana = Self.principal()
        try await database.script("ALTER TABLE function_calls RENAME TO hidden")
        let start = Instant.now() - .seconds(3000)
        for turn in 0..<5 {
            meter.note("messages:list", by: .user(ana), took: .microseconds(turn), hasFailed: true)
            await reporting.report(now: start + .seconds(turn * 600))
        }
        let early = try await database.texts("SELECT count(*)::text FROM hidden")
        #expect(early == ["0"])
        try await database.script("ALTER TABLE hidden RENAME TO function_calls")
        await reporting.report(now: start + .seconds(3000))
        await reporting.report(now: start + .seconds(3005))
        let calls = try await database.texts("SELECT concat_ws(' ', report, durations, counts) FROM function_calls ORDER BY report")
        #expect(calls == (0..<5).map { "\($0 + 1) {\($0)} {1}" })
    }

    /// The hardest moment: the commit is done, and its answer does not come.
    @Test("a report whose commit was not answered is stored once")
    func lostAnswer() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "attune-usage-\(UUID().uuidString.prefix(8))").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let cluster = try await PrivateCluster(in: try DataDirectory(folder))
        try await cluster.start()
        let url = try ClusterFiles(dataDirectory: folder).connectionString(user: "postgres", database: "attune")
        let settings = ConnectionSettings(connectionString: url, applicationName: "attune tests")
        let database = PostgresClient(.init(connection: settings), logger: .quiet)
        let reports = PostgresClient(.init(connection: settings), logger: .quiet)
        let outcome: Result<Void, any Error>
        do {
            _ = try await Migrator(client: database, logger: .quiet).up()
            outcome = .success(try await loseAnswer(of: reports, database))
        } catch {
            outcome = .failure(error)
        }
        await reports.close()
        await database.close()
        await cluster.stop(.immediate)
        try outcome.get()
    }

    private func loseAnswer(of reports: PostgresClient, _ database: PostgresClient) async throws {
        let meter = UsageMeter()
        let reporting = UsageReporting(meter: meter, database: reports, logger: .quiet)
        try await database.script("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        try await database.script("SELECT pg_reload_conf()")
        try await eventually("commits wait for a standby") {
            try await database.texts("SHOW synchronous_standby_names") == ["nobody"]
        }
        meter.note("messages:list", by: .user(Self.principal()), took: .microseconds(7), hasFailed: false)
        async let attempt: Void = reporting.report()
        try await eventually("the report's commit waits") {
            try await database.texts("SELECT count(*)::text FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == ["1"]
        }
        try await database.script("ALTER SYSTEM RESET synchronous_standby_names")
        _ = try await database.texts("SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        await attempt
        let stored = "SELECT concat_ws(' ', report, calls, (SELECT count(*) FROM session_activity)) FROM function_calls"
        let once = try await database.texts(stored)
        #expect(once == ["1 1 1"])
        try await database.script("SELECT pg_reload_conf()")
        try await eventually("commits wait no longer") { try await database.texts("SHOW synchronous_standby_names") == [""] }

        // It is not known to be stored, and so it is stored before what came later.
        meter.note("messages:list", by: .anonymous, took: .microseconds(7), hasFailed: false)
        await reporting.report()
        let all = try await database.texts(stored + " ORDER BY report")
        #expect(all == ["1 1 1", "2 1 1"])
    }

    @Test("at the end everything is stored, also what would have waited for its minute", .scratchDatabase)
    func shutdown() async throws {
        let database = ScratchDatabase.current.makeClient()
        let meter = UsageMeter()
        let reporting = UsageReporting(meter: meter, database: database, period: .milliseconds(1), logger: .quiet)
        let group = ServiceGroup(configuration: .init(services: [.init(service: reporting)], logger: .quiet))
        let ana = Self.principal()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            meter.note("messages:list", by: .user(ana), took: .microseconds(7), hasFailed: false)
            try await eventually("the session is stored") {
                try await database.texts("SELECT count(*)::text FROM session_activity") == ["1"]
            }
            meter.note("messages:list", by: .user(ana), took: .microseconds(7), hasFailed: false)
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
        let stored = try await database.texts("SELECT concat_ws(' ', count(*), count(DISTINCT session_id)) FROM session_activity")
        let calls = try await database.texts("SELECT sum(calls)::text FROM function_calls")
        #expect(stored == ["2 1"] && calls == ["2"])
    }
}

extension PostgresClient {
    fileprivate func script(_ sql: String) async throws {
        try await withConnection { _ = try await $0.runScript(sql, name: "test") }
    }

    /// The first column, which is text.
    fileprivate func texts(_ sql: String) async throws -> [String] {
        let result = try await withConnection { try await $0.runScript(sql, name: "test").last! }
        return try result.map { try $0.decode(0) }
    }
}
