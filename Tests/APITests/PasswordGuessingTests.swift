import Domain
import Logging
import Postgres
import Rules
import ServiceLifecycle
import TestSupport
import Testing
import Watch
import Wire
import WorkerTestSupport

/// From a wrong password to an administrator's screen: worker, spool, table, detection, live query.
@Suite("Password guessing", .timeLimit(.minutes(3)))
struct PasswordGuessingTests {
    @Test("ten wrong passwords become a critical event in an administrator's live list, and move the security level")
    func guessing() async throws {
        try await withTestWorker { worker in
            try await withWatch(on: worker) {
                // Making the first partition moves the rows that there are, and a query that has begun before may miss them.
                try await eventually("this month's partition") {
                    let rows = try await worker.sql("SELECT (count(*) > 1)::text FROM security_event_partitions")
                    return try rows[0].decode(0, as: String.self) == "true"
                }
                let (email, password) = ("ana@example.org", "correct horse battery")
                _ = try await worker.passwordFlow("signUp", email: email, password: password, name: "Ana")
                let victim = try #require(try await worker.waitForEvents(SecurityEventType.userCreated).first?.user)
                let admin = try await worker.connect(as: try await worker.signUp("Ada", role: .admin))
                let alarms = admin.add("security:getSecurityEvents", ["severity": "critical"])
                let stats = admin.add("security:getEventStats")
                // Making an administrator is a medium event.
                try await admin.wait(for: "a quiet beginning") { state in
                    state.value(alarms)?.arrayValue?.isEmpty == true
                        && state.value(stats)?["activeSecurityLevel"] == "guarded" ? true : nil
                }

                for _ in 0..<12 { _ = try await worker.passwordFlow("signIn", email: email, password: "wrong horse battery") }
                let started = ContinuousClock.now
                let alarm = try await admin.wait(for: "the alarm") { $0.value(alarms)?.arrayValue?.first }
                let alarmTime = ContinuousClock.now - started
                try await admin.wait(for: "another level") { $0.value(stats)?["activeSecurityLevel"] == "critical" ? true : nil }
                print("password guessing: alarm after \(alarmTime), level after \(ContinuousClock.now - started)")
                #expect(alarm["type"] == "malicious_password_guessing" && alarm["severity"] == "critical")
                #expect(alarm["userId"]?.stringValue == "\(victim)")
                // She can still sign in from elsewhere; here the limits keep everybody out.
                let refused = try await worker.passwordFlow("signIn", email: email, password: password)
                #expect(refused.errorCode == "rate_limited")
            }
        }
    }

    /// Runs the work on stored events, as a daemon does, while `body` runs.
    private func withWatch(on worker: TestWorker, _ body: @Sendable () async throws -> Void) async throws {
        let logger = Logger(label: "watch") { _ in SwiftLogNoOpLogHandler() }
        let watch = Watch(
            database: worker.database, rules: RuleBook.standard.detections, configuration: WatchConfiguration(), logger: logger)
        let group = ServiceGroup(configuration: .init(services: [.init(service: watch)], logger: logger))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let outcome: Result<Void, any Error>
            do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            try outcome.get()
        }
    }
}
