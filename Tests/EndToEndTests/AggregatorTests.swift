import Development
import Foundation
import StackTestSupport
import Testing
import TestSupport
import Wire

@Suite("attune-metrics by itself")
struct AggregatorTests {
    /// Runs it on a cluster of its own, which `body` may stop and start.
    private func withProgram(_ body: (PrivateCluster, Program, StackPlace) async throws -> Void) async throws {
        try await StackPlace.with { place in
            let cluster = try await PrivateCluster(in: DataDirectory(place.dataFolder))
            try await cluster.start()
            let outcome: Result<Void, any Error>
            do {
                let environment = place.environment(["DATABASE_URL": try await cluster.connectionString])
                let migration = try await ChildProcess.run(BuiltProgram.migrate, ["up"], environment: environment)
                try #require(migration.exit == .code(0), "\(migration.output)")
                let program = try await Program.start(BuiltProgram.metrics, environment: environment)
                do { outcome = .success(try await body(cluster, program, place)) } catch { outcome = .failure(error) }
                await program.end()
            } catch {
                await cluster.stop(.immediate)
                throw error
            }
            await cluster.stop(.immediate)
            try outcome.get()
        }
    }

    @Test(
        "waits while PostgreSQL is away, says so, and goes on when it is back; ends at once when told to", .timeLimit(.minutes(5)))
    func outage() async throws {
        try await withProgram { cluster, program, place in
            let request = LocalRequest(host: "127.0.0.1", port: place.metricsPort)
            func waitForReadiness(_ isReady: Bool, _ role: String) async throws {
                try await eventually("ready: \(isReady), \(role)") {
                    guard let answer = try? await request.send("GET", "/health/ready") else { return false }
                    let json = try JSON(parsing: answer.body)
                    return answer.status == (isReady ? 200 : 503) && json["ready"] == .bool(isReady)
                        && json["database"] == .bool(isReady) && json["role"] == .string(role)
                }
            }
            try await waitForReadiness(true, "leading")
            await cluster.stop(.immediate)
            try await waitForReadiness(false, "leading")
            #expect(try await request.send("GET", "/health/live").status == 200)
            try await cluster.start()
            try await waitForReadiness(true, "leading")
            program.child.send(SIGTERM)
            #expect(await program.child.wait() == .code(0), "\(program.lines.suffix(20))")
        }
    }
}
