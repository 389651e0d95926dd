import Development
import Foundation
import StackTestSupport
import Testing
import TestSupport
import Wire

extension RunningStackTests {
    /// The names of the metrics on a daemon's page, those of a histogram's parts included.
    private static func served(_ page: String) -> [String] {
        page.matches(of: /# TYPE (\S+) (\S+)/).flatMap { match in
            match.2 == "histogram" ? ["_bucket", "_sum", "_count"].map { match.1 + $0 } : [String(match.1)]
        }
    }

    private static func metricsPages() async throws -> [String] {
        let place = try Stack.shared.place
        var pages: [String] = []
        for port in [place.port, place.ingestPort, place.metricsPort] {
            let answer = try await LocalRequest(host: "127.0.0.1", port: port).send("GET", "/metrics")
            #expect(answer.status == 200)
            pages.append(String(decoding: answer.body, as: UTF8.self))
        }
        return pages
    }

    @Test(
        "the dashboard and the alerts ask for metrics that the daemons serve",
        .timeLimit(.minutes(3)), arguments: [MonitoringFiles.dashboard, MonitoringFiles.alerts])
    func askedMetrics(file: String) async throws {
        let asked = try MonitoringFiles.metrics(in: file)
        #expect(asked.count > 10)
        // The leader's come with its first turn.
        var missing = asked
        do {
            try await eventually("all metrics of \(file)") {
                missing = asked.subtracting(try await Self.metricsPages().flatMap(Self.served))
                return missing.isEmpty
            }
        } catch {
            Issue.record("nobody serves \(missing.sorted())")
        }
    }

    @Test("promtool has nothing against the page of any daemon", .needsPromtool, .timeLimit(.minutes(3)))
    func pages() async throws {
        for page in try await Self.metricsPages() { try await Promtool.check("check", "metrics", input: Array(page.utf8)) }
    }

    @Test("attune-metrics says that it leads, and how its last turn went", .timeLimit(.minutes(3)))
    func aggregator() async throws {
        let request = LocalRequest(host: "127.0.0.1", port: try Stack.shared.place.metricsPort)
        #expect(try await request.send("GET", "/health/live").body == Array("live\n".utf8))
        try await eventually("a turn") {
            let answer = try await request.send("GET", "/health/ready")
            let json = try JSON(parsing: answer.body)
            return answer.status == 200 && json["ready"] == .bool(true) && json["database"] == .bool(true)
                && json["role"] == .string("leading") && json["lagMilliseconds"] == .number(0)
                && json["lastTurnAgeMilliseconds"] != nil && json["lastTurnMilliseconds"] != nil
        }
    }

    @Test("`attune metrics recompute` finds a number that somebody has changed, and puts it right", .timeLimit(.minutes(5)))
    func recomputation() async throws {
        let place = try Stack.shared.place
        func check() async throws -> (exit: ProcessExit, output: String) {
            try await ChildProcess.run(BuiltProgram.attune, ["metrics", "recompute", "--check"], environment: place.environment())
        }
        let ada = try await Person.signUp("Ada", at: place.url)
        let ben = try await Person.signUp("Ben", at: place.url)
        _ = try await ben.send("counted", to: ada, at: place.url)
        try await eventually("the message among the numbers") {
            try await place.psql("SELECT count(*) FROM rollups WHERE unit = 'day' AND messages > 0") != ["0"]
        }
        let right = try await check()
        #expect(right.exit == .code(0), "\(right.output)")

        _ = try await place.psql("UPDATE rollups SET messages = messages + 5 WHERE unit = 'day' AND messages > 0")
        let wrong = try await check()
        #expect(wrong.exit == .code(1))
        let isNamed = wrong.output.contains("rollups") && wrong.output.contains("messages")
        #expect(isNamed, "\(wrong.output)")

        _ = try await place.attune("metrics", "recompute")
        let mended = try await check()
        #expect(mended.exit == .code(0), "\(mended.output)")
    }

    @Test("another stack does not begin when the port for its metrics is taken, and says what to do", .timeLimit(.minutes(3)))
    func takenMetricsPort() async throws {
        let port = try Stack.shared.place.metricsPort
        try await StackPlace.with { place in
            let result = try await ChildProcess.run(
                BuiltProgram.attune, ["dev", "--metrics-port", String(port)], environment: place.environment())
            #expect(result.exit == .code(1))
            #expect(result.output.contains("port \(port): Address already in use"), "\(result.output)")
            #expect(result.output.contains("--metrics-port"))
            #expect(!FileManager.default.fileExists(atPath: place.cluster))
        }
    }

    @Test("`attune doctor` is content, also with the aggregator", .timeLimit(.minutes(3)))
    func doctor() async throws {
        let place = try Stack.shared.place
        try await eventually("ok from the doctor") {
            let result = try await ChildProcess.run(BuiltProgram.attune, ["doctor"], environment: place.environment())
            return result.exit == .code(0) && result.output.contains("ok       what workers report is added up")
        }
    }
}

@Suite("Monitoring")
struct MonitoringFileTests {
    @Test(
        "promtool takes the example's configuration, and the alerts do what their tests say",
        .needsPromtool, .timeLimit(.minutes(3)))
    func rules() async throws {
        try await Promtool.check("check", "config", MonitoringFiles.configuration)
        try await Promtool.check("check", "rules", "--lint-fatal", MonitoringFiles.alerts)
        try await Promtool.check("test", "rules", MonitoringFiles.alertTests)
    }

    @Test("each alert says what it means and what to do")
    func annotations() throws {
        let text = try String(contentsOfFile: MonitoringFiles.alerts, encoding: .utf8)
        let alerts = text.components(separatedBy: "- alert: ").dropFirst()
        #expect(alerts.count > 10)
        for alert in alerts {
            let isComplete = ["severity:", "summary:", "description:", "action:"].allSatisfy { alert.contains($0) }
            #expect(isComplete, "\(alert.prefix { $0 != "\n" })")
        }
    }

    @Test("the dashboard's queries are PromQL, and its panels lie beside each other", .needsPromtool, .timeLimit(.minutes(3)))
    func dashboard() async throws {
        let dashboard = try JSON(parsing: Data(contentsOf: URL(fileURLWithPath: MonitoringFiles.dashboard)))
        let panels = try #require(dashboard["panels"]?.arrayValue)
        var rules = "groups:\n- name: dashboard\n  rules:\n"
        var places: Set<String> = []
        for panel in panels {
            #expect(places.insert("\(panel["gridPos"] ?? .null)").inserted)
            for target in panel["targets"]?.arrayValue ?? [] {
                let query = try #require(target["expr"]?.stringValue)
                    .replacing("$__rate_interval", with: "5m").replacing("$instance", with: ".*").replacing("$function", with: ".*")
                #expect(!query.contains("$"))
                rules += "  - record: dashboard:panel\n    labels: {panel: \"\(rules.count)\"}\n    expr: |-\n      \(query)\n"
            }
        }
        let file = FileManager.default.temporaryDirectory.appending(path: "dashboard-\(UUID().uuidString).yml")
        try rules.write(to: file, atomically: false, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        try await Promtool.check("check", "rules", file.path)
    }
}

@Suite("A stack that cannot start")
struct FailedStartTests {
    @Test("a daemon that fails ends the others at once, and its own words are shown", .timeLimit(.minutes(3)))
    func failingDaemon() async throws {
        try await StackPlace.with { place in
            let environment = place.environment(["ATTUNE_RULES": place.root + "/none"])
            let result = try await ChildProcess.run(BuiltProgram.attune, ["dev"], environment: environment)
            #expect(result.exit == .code(1))
            #expect(result.output.contains("ingest ended while starting (exit code 1)"), "\(result.output)")
            #expect(result.output.contains("ingest | "))
            #expect(place.postgresID == nil)
            // The result's output ends when all who could write to it have gone.
            for port in place.port...place.metricsPort {
                #expect(throws: Never.self) { try LocalPort.check(host: "127.0.0.1", port: port) }
            }
        }
    }
}
