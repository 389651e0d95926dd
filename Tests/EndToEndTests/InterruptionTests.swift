import Development
import Foundation
import StackTestSupport
import Testing
import TestSupport
import Wire

@Suite("A stack that is interrupted", .serialized)
struct InterruptionTests {
    @Test("PostgreSQL stops under load, twice: nothing acknowledged is lost or doubled, and all goes on", .timeLimit(.minutes(3)))
    func postgresRestart() async throws {
        try await StackPlace.with { place in
            try await place.withStack { stack in
                let ada = try await Person.signUp("Ada", at: stack.url)
                let ben = try await Person.signUp("Ben", at: stack.url)
                try await ben.send("opening", to: ada, at: stack.url)
                // A short answer, however many messages there are.
                let path = "messages:listConversations"
                try await PythonClient.with("subscribe", [stack.url, ada.token, path, "{}"]) { subscriber in
                    var senders: [Program] = []
                    do {
                        for transport in ["http", "http-repeating", "socket", "socket"] {
                            let prefix = "\(transport) \(senders.count)"
                            senders.append(
                                try await PythonClient.start("send", [stack.url, transport, ben.token, ada.id, prefix]))
                        }
                        try await Self.waitForProgress(senders)
                        for mode in ["fast", "immediate"] {
                            try await Self.stopPostgres(of: place, mode)
                            try await Self.waitForProgress(senders)
                        }
                    } catch {
                        for sender in senders { await sender.end() }
                        throw error
                    }
                    for sender in senders { await sender.end() }

                    try await ben.send("afterwards", to: ada, at: stack.url)
                    try await subscriber.wait("the message after the interruptions") {
                        subscriber.page(path).first?["lastMessage"]?["content"]?.stringValue == "afterwards"
                    }
                    let stored = try await place.psql("SELECT content FROM messages")
                    #expect(Set(stored).count == stored.count, "messages are doubled")
                    for sender in senders {
                        let acknowledged = Set(Self.acknowledged(sender))
                        #expect(acknowledged.subtracting(stored).isEmpty, "messages are lost")
                        // What was refused says so in words for users.
                        let errors = Set(sender.records.compactMap { $0["error"]?.stringValue })
                        let isClear = errors.allSatisfy { !$0.contains("SQL") && !$0.contains("postgres") }
                        #expect(isClear, "\(errors)")
                    }
                }
            }
        }
    }

    private static func acknowledged(_ sender: Program) -> [String] {
        sender.records.compactMap { $0["acknowledged"]?.stringValue }
    }

    /// Waits until each sender has had another 30 messages acknowledged.
    private static func waitForProgress(_ senders: [Program]) async throws {
        for (sender, before) in senders.map({ ($0, acknowledged($0).count) }) {
            try await sender.wait("acknowledgements") { acknowledged(sender).count >= before + 30 }
        }
    }

    private static func stopPostgres(of place: StackPlace, _ mode: String) async throws {
        let server = try #require(place.postgresID)
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(server)/exe")
        let tool = URL(fileURLWithPath: program).deletingLastPathComponent().appending(path: "pg_ctl").path()
        let data = URL(fileURLWithPath: place.cluster + "/data").resolvingSymlinksInPath().path
        let result = try await ChildProcess.run(
            tool, ["stop", "--no-wait", "--pgdata", data, "--mode", mode], user: geteuid() == 0 ? "postgres" : nil)
        try #require(result.exit == .code(0), "\(result.output)")
        try await eventually("another PostgreSQL") { place.postgresID.map { $0 != server } ?? false }
    }

    @Test(
        "stopped by SIGTERM, SIGINT or kill -9 it leaves nothing behind, and started again it has its data and tokens",
        .timeLimit(.minutes(3)))
    func stopAndStart() async throws {
        try await StackPlace.with { place in
            var person: Person?
            var killed: Set<ProcessTable.Entry> = []
            for (number, signal) in [SIGTERM, SIGINT, SIGKILL, SIGTERM].enumerated() {
                try await place.withStack { stack in
                    try await eventually("the end of what was killed") { ProcessTable.running(killed).isEmpty }
                    let ada = try await Person.signUp("Ada", at: stack.url)
                    if person == nil { person = try await Person.signUp("Ben", at: stack.url) }
                    // Signed in at the first start.
                    let ben = try #require(person)
                    try await ben.send("message \(number)", to: ada, at: stack.url)
                    let sent = try await place.psql("SELECT content FROM messages ORDER BY id")
                    #expect(sent == (0...number).map { "message \($0)" })

                    let family = stack.family
                    // The tool, a worker, the server and its own.
                    #expect(family.count > 5)
                    // Open sockets must not hold it up.
                    let path = "messages:listConversations"
                    try await PythonClient.with("subscribe", [stack.url, ben.token, path, "{}"]) { subscriber in
                        try await subscriber.wait("conversations") { !subscriber.page(path).isEmpty }
                        let exit = await stack.stop(signal)
                        if signal == SIGKILL {
                            #expect(exit == .signal(SIGKILL))
                            // The next start is at once, and not when the others have gone.
                            killed = family
                            return
                        }
                        #expect(exit == .code(0), "\(stack.program.lines.suffix(20))")
                        #expect(ProcessTable.running(family).isEmpty)
                        #expect(!FileManager.default.fileExists(atPath: place.cluster + "/data/postmaster.pid"))
                        let files = try FileManager.default.contentsOfDirectory(atPath: place.cluster)
                        let hasSocket = files.contains { $0.hasPrefix(".s.") }
                        #expect(!hasSocket)
                        #expect(throws: Never.self) { try DataDirectory(place.dataFolder) }
                    }
                }
            }
        }
    }
}
