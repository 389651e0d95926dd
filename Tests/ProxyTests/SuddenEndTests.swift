import Development
import Domain
import Foundation
import Testing
import WorkerTestSupport

@Suite("A worker that is killed", .timeLimit(.minutes(3)))
struct SuddenEndTests {
    @Test("what it has reported is stored, once, when it runs again, though PostgreSQL had taken nothing before")
    func kill() async throws {
        try await withInstallation(workers: 1) { installation in
            let worker = installation.workers[0]
            try await worker.waitForEvents(SecurityEventType.startup)
            let exit = try await worker.database.withTransaction { transaction in
                _ = try await transaction.runScript("LOCK TABLE security_events IN SHARE MODE", name: "test")
                // The kill comes with the answer.
                let refused = try await worker.passwordFlow("signIn", email: "ana@example.org", password: "wrong horse battery")
                let exit = await installation.stop(0, SIGKILL)
                #expect(refused.errorCode == "unauthorized")
                return exit
            }
            #expect(exit == .signal(SIGKILL))
            let before = try await worker.storedEvents(SecurityEventType.loginFail).count
            #expect(before == 0)
            try await installation.start(0)
            // Events of one spool are stored in their order.
            try await worker.waitForEvents(SecurityEventType.startup, count: 2)
            let failures = try await worker.storedEvents(SecurityEventType.loginFail)
            #expect(failures.count == 1 && failures.first?.ip == "127.0.0.1")
            #expect(try await worker.storedEvents(SecurityEventType.shutdown).isEmpty)
        }
    }

    @Test("an event has the address that nginx passes on, if nginx is a trusted proxy")
    func throughProxy() async throws {
        try await withInstallation(workers: 1, environment: ["ATTUNE_TRUSTED_PROXIES": "127.0.0.1"]) { installation in
            let front = installation.front
            // nginx adds the address that it sees to what it was told, which is believed here: the test's own address is trusted.
            _ = try await front.call(.query, "messages:listConversations", forwardedFor: "203.0.113.9")
            let events = try await front.waitForEvents(SecurityEventType.accessRefused)
            #expect(events.map(\.ip) == ["203.0.113.9"])
        }
    }
}
