import Foundation
import Postgres
import TestSupport
import Testing
import Wire

@testable import Ingest

@Suite("Events over HTTP", .scratchDatabase, .timeLimit(.minutes(2)))
struct HTTPTests {
    private func storedTypes() async throws -> [String] {
        let select = Statement("test.types", "SELECT type FROM security_events ORDER BY occurred_at, type")
        return try await ScratchDatabase.current.makeClient().read(select()).map { try $0.decode(0, as: String.self) }
    }

    private func event(_ type: String, id: String? = nil, at time: Int = 1_790_000_000_000) -> String {
        let id = id.map { #","id":"\#($0)""# } ?? ""
        return #"{"type":"\#(type)","severity":"low","timestamp":\#(time),"source":"test"\#(id)}"#
    }

    // MARK: What is taken

    @Test("an event, an array, JSON lines and CloudEvents of all kinds are stored")
    func forms() async throws {
        try await TestDaemon.with { daemon in
            func cloudEvent(_ type: String) -> String {
                #"{"specversion":"1.0","source":"test","id":"\#(type)","type":"\#(type)","data":{"severity":"high"}}"#
            }
            let bodies: [(type: String, body: String, headers: [String: String])] = [
                ("application/json", event("one"), [:]),
                ("application/json; charset=utf-8", "[\(event("two")),\n\(event("three"))]", [:]),
                ("application/x-ndjson", "\(event("four"))\r\n\n\(event("five"))", [:]),
                ("application/cloudevents+json", cloudEvent("six"), [:]),
                ("application/cloudevents-batch+json", "[\(cloudEvent("seven"))]", [:]),
                (
                    "application/json", #"{"severity":"high"}"#,
                    ["ce-specversion": "1.0", "ce-source": "test", "ce-id": "8", "ce-type": "eight"]
                ),
            ]
            var accepted = 0
            for (type, body, headers) in bodies {
                let answer = try await daemon.post(body, type: type, headers: headers)
                #expect(answer.status == 202, "\(type): \(answer.text)")
                let json = try JSON(parsing: answer.body)
                accepted += Int(json["accepted"]?.counterValue ?? 0)
                #expect(json["rejected"] == .array([]))
            }
            #expect(accepted == 8)
            try await daemon.waitUntilStored()
            let types = try await storedTypes().sorted()
            let ledger = try await daemon.ledger()
            #expect(types == ["eight", "five", "four", "one", "seven", "six", "three", "two"], "\(ledger)")
        }
    }

    @Test("a repeated event is told as a duplicate and stored once, in a request, over requests and over a restart")
    func duplicates() async throws {
        try await TestDaemon.withFolder { folder in
            try await TestDaemon.with(folder: folder) { daemon in
                let twice = try await daemon.post("\(event("login", id: "1"))\n\(event("login", id: "1"))\n")
                #expect(twice.text.hasPrefix(#"{"accepted":1,"duplicates":1,"#))
                let again = try await daemon.post(event("login", id: "1"))
                #expect(again.text.hasPrefix(#"{"accepted":0,"duplicates":1,"#))
                try await daemon.waitUntilStored()
                #expect(try await daemon.ledger() == ["received": 3, "stored": 1, "duplicates": 2, "deadLettered": 0, "spooled": 0])
            }
            try await TestDaemon.with(folder: folder) { daemon in
                // Durable already, and not remembered: PostgreSQL finds out.
                #expect(try await daemon.post(event("login", id: "1")).status == 202)
                try await eventually("the ledger of all") {
                    try await daemon.ledger() == ["received": 4, "stored": 1, "duplicates": 3, "deadLettered": 0, "spooled": 0]
                }
            }
            #expect(try await storedTypes() == ["login"])
        }
    }

    @Test("what cannot be read is told by its index, kept as a dead letter, and does not keep the rest out")
    func rejected() async throws {
        try await TestDaemon.with { daemon in
            let answer = try await daemon.post("\(event("good"))\n{\"severity\":\"low\"}\nnonsense\n")
            #expect(answer.status == 202)
            let json = try JSON(parsing: answer.body)
            #expect(json["accepted"] == .number(1))
            #expect(json["rejectedCount"] == .number(2))
            #expect(json["rejected"]?.arrayValue?.map { $0["index"] } == [.number(1), .number(2)])
            let reasons = json["rejected"]?.arrayValue?.compactMap { $0["reason"]?.stringValue } ?? []
            #expect(reasons.count == 2 && reasons.allSatisfy { !$0.isEmpty })

            let nothing = try await daemon.post("nonsense\n")
            #expect(nothing.status == 400)
            #expect(try JSON(parsing: nothing.body)["code"] == .string("validation_error"))
            try await eventually("dead letters") { try await daemon.ledger()["deadLettered"] == 3 }
        }
    }

    @Test("of many rejections the first hundred are told, and how many there were")
    func manyRejected() async throws {
        try await TestDaemon.with { daemon in
            let answer = try await daemon.post(String(repeating: "{}\n", count: 250) + event("good"))
            let json = try JSON(parsing: answer.body)
            #expect(json["rejected"]?.arrayValue?.count == 100)
            #expect(json["rejectedCount"] == .number(250))
            #expect(json["accepted"] == .number(1))
        }
    }

    @Test("a body that nobody meant as events is refused and not kept")
    func noEvents() async throws {
        try await TestDaemon.with { daemon in
            for body in ["", " \n", "hello", "\"text\"", "17"] {
                let answer = try await daemon.post(body, type: "application/json")
                #expect(answer.status == 400, "\(body)")
                #expect(try JSON(parsing: answer.body)["code"] == .string("validation_error"))
            }
            #expect(try await daemon.post("[]", type: "application/json").status == 202)
            #expect(try await daemon.ledger() == [:])
        }
    }

    @Test("a gzipped body is inflated, in several members too")
    func gzip() async throws {
        try await TestDaemon.with { daemon in
            let body = try gzipped(event("one") + "\n") + gzipped(event("two"))
            let answer = try await daemon.post(body, headers: ["Content-Encoding": "gzip"])
            #expect(answer.text.hasPrefix(#"{"accepted":2,"#), "\(answer.text)")
        }
    }

    private func gzipped(_ text: String) throws -> [UInt8] { try gzipped(Array(text.utf8)) }

    /// What Debian's gzip makes of it.
    private func gzipped(_ bytes: [UInt8]) throws -> [UInt8] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/gzip")
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let writer = Thread {
            input.fileHandleForWriting.write(Data(bytes))
            try? input.fileHandleForWriting.close()
        }
        writer.start()
        let compressed = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Array(compressed)
    }

    // MARK: What is refused

    @Test("without the right token nothing is taken")
    func tokens() async throws {
        try await TestDaemon.with { daemon in
            for token in [nil, "", "wrong", TestDaemon.token + "x", String(TestDaemon.token.dropLast())] {
                let answer = try await daemon.post(event("login"), token: token)
                #expect(answer.status == 401)
                #expect(answer.headers["www-authenticate"] == "Bearer")
                #expect(try JSON(parsing: answer.body)["code"] == .string("unauthorized"))
            }
            #expect(try await daemon.ledger() == [:])
        }
    }

    @Test("a token is made in the data folder, for its owner alone, and stays the same")
    func tokenFile() async throws {
        try await TestDaemon.withFolder { folder in
            let path = folder + "/ingest-token"
            let token = try IngestToken(dataFolder: folder).revealed
            #expect(token.count == 43)
            #expect(try String(contentsOfFile: path, encoding: .utf8) == token + "\n")
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
            let again = try IngestToken(dataFolder: folder)
            #expect(again.revealed == token)
            #expect("\(again)" == "*****")
            try await TestDaemon.with(folder: folder, { $0.token = nil }) { daemon in
                let answer = try await daemon.post(event("login"), token: token)
                #expect(answer.status == 202)
            }
        }
    }

    @Test("a body of an unknown type or encoding is refused")
    func types() async throws {
        try await TestDaemon.with { daemon in
            #expect(try await daemon.post(event("one"), type: "text/plain").status == 415)
            #expect(try await daemon.post(event("one"), type: "application/x-www-form-urlencoded").status == 415)
            #expect(try await daemon.post(event("one"), headers: ["Content-Encoding": "br"]).status == 415)
            let damaged = try await daemon.post(event("one"), headers: ["Content-Encoding": "gzip"])
            #expect(damaged.status == 400)
            let cutOff = try await daemon.post(gzipped(event("one")).dropLast(6), headers: ["Content-Encoding": "gzip"])
            #expect(cutOff.status == 400)
            #expect(try await daemon.get("/v2/events").status == 404)
            #expect(try await daemon.get("/v1/events").status == 404)
            #expect(try await daemon.ledger() == [:])
        }
    }

    @Test("too much is refused, by what is said, what comes, what it inflates to, and the number of events; nothing is kept")
    func tooLarge() async throws {
        let limits = { (configuration: inout IngestConfiguration) in
            configuration.requestLimits.body = 100_000
            configuration.requestLimits.inflatedBody = 400_000
            configuration.requestLimits.events = 1000
        }
        try await TestDaemon.with(limits) { daemon in
            let blanks = [UInt8](repeating: 0x20, count: 100_001)
            #expect(try await daemon.post(blanks).status == 413)

            let announced = try TestConnection(port: daemon.port)
            await announced.send(TestDaemon.request(blanks).prefix(300))
            #expect(try await announced.answer().status == 413)
            let chunked = try TestConnection(port: daemon.port)
            await chunked.send(TestDaemon.request([], headers: ["Transfer-Encoding": "chunked"]))
            await chunked.send("186A1\r\n")
            await chunked.send(blanks)
            #expect(try await chunked.answer().status == 413)

            let bomb = try gzipped([UInt8](repeating: 0x20, count: 50_000_000))
            #expect(bomb.count < 100_000)
            #expect(try await daemon.post(bomb, headers: ["Content-Encoding": "gzip"]).status == 413)

            let many = String(repeating: event("x") + "\n", count: 1001)
            let answer = try await daemon.post(gzipped(many), headers: ["Content-Encoding": "gzip"])
            #expect(answer.status == 413)
            #expect(try JSON(parsing: answer.body)["code"] == .string("validation_error"))
            #expect(try await daemon.ledger() == [:])
        }
    }

    // MARK: Connections

    @Test("a connection serves many requests, also such as are sent without waiting")
    func keepAlive() async throws {
        try await TestDaemon.with { daemon in
            let connection = try TestConnection(port: daemon.port)
            await connection.send(TestDaemon.request(event("one").utf8) + TestDaemon.request(event("two").utf8))
            #expect(try await connection.answer().status == 202)
            #expect(try await connection.answer().status == 202)
            await connection.send(TestDaemon.request(event("three").utf8))
            #expect(try await connection.answer().status == 202)
        }
    }

    @Test("a sender that waits for leave to send gets it")
    func continues() async throws {
        try await TestDaemon.with { daemon in
            let connection = try TestConnection(port: daemon.port)
            let request = TestDaemon.request(event("one").utf8, headers: ["Expect": "100-continue"])
            let head = request.dropLast(event("one").utf8.count)
            await connection.send(head)
            #expect(try await connection.answer().status == 100)
            await connection.send(event("one"))
            #expect(try await connection.answer().status == 202)
        }
    }

    @Test("half a request leaves no trace")
    func half() async throws {
        try await TestDaemon.with { daemon in
            let body = event("one", id: "1")
            let request = TestDaemon.request((body + "\n").utf8)
            let connection = try TestConnection(port: daemon.port)
            await connection.send(request.dropLast(1))
            connection.reset()
            let other = try TestConnection(port: daemon.port)
            await other.send(request.dropLast(20))
            other.finish()
            try await other.waitForEnd()
            #expect(try await daemon.post(body).text.hasPrefix(#"{"accepted":1,"duplicates":0"#))
        }
    }

    @Test("senders that are too slow are dropped, and others do not notice")
    func slow() async throws {
        let limits = { (configuration: inout IngestConfiguration) in
            configuration.requestLimits.firstHeader = .milliseconds(300)
            configuration.requestLimits.request = .milliseconds(300)
        }
        try await TestDaemon.with(limits) { daemon in
            let silent = try TestConnection(port: daemon.port)
            let slowHeader = try TestConnection(port: daemon.port)
            await slowHeader.send("POST /v1/events HTTP/1.1\r\nHost:")
            let slowBody = try TestConnection(port: daemon.port)
            await slowBody.send(TestDaemon.request(event("one").utf8).dropLast(5))
            #expect(try await daemon.post(event("two")).status == 202)
            for connection in [silent, slowHeader, slowBody] { try await connection.waitForEnd() }
        }
    }

    @Test("idle connections beyond the limit make room for new ones")
    func connectionLimit() async throws {
        try await TestDaemon.with({ $0.requestLimits.connections = 3 }) { daemon in
            let idle = try (0..<10).map { _ in try TestConnection(port: daemon.port) }
            // Some of those may be accepted later than this one, and close it.
            try await eventually("an answer") { (try? await daemon.post(event("one")))?.status == 202 }
            try await idle[0].waitForEnd()
        }
    }

    @Test("bodies that are under way are bounded together; who comes too much is told to come again")
    func bodiesUnderWay() async throws {
        try await TestDaemon.with({ $0.requestLimits.bodiesUnderWay = 200_000 }) { daemon in
            let blanks = Array(String(repeating: "\n", count: 150_000).utf8)
            let request = TestDaemon.request(blanks + event("one").utf8)
            try await eventually("one of two that is refused, and one that is not") {
                let senders = [try TestConnection(port: daemon.port), try TestConnection(port: daemon.port)]
                // Neither is complete, so only a refusal can come.
                for sender in senders { await sender.send(request.dropLast(1)) }
                var refusals: [Answer?] = []
                try await eventually("a refusal") {
                    refusals = senders.map { $0.answerSoFar() }
                    return refusals.contains { $0 != nil }
                }
                let index = try #require(refusals.firstIndex { $0 != nil })
                let refused = try #require(refusals[index])
                #expect(refused.status == 429)
                #expect(refused.headers["retry-after"] != nil)
                #expect(try JSON(parsing: refused.body)["code"] == .string("rate_limited"))
                // At the same moment both may have found no room.
                let other = senders[1 - index]
                await other.send("}")
                return try await other.answer().status == 202
            }
            #expect(try await daemon.post(blanks + event("two").utf8).status == 202)
        }
    }

    // MARK: Without PostgreSQL

    @Test("without PostgreSQL events are accepted and reported as waiting; they are stored when it is there, over a restart too")
    func outage() async throws {
        try await TestDaemon.withFolder { folder in
            try await TestDaemon.with(folder: folder, database: "host=127.0.0.1 port=1 connect_timeout=1") { daemon in
                #expect(try await daemon.post(event("one", id: "1")).status == 202)
                let health = try await daemon.get("/health/ready")
                #expect(health.status == 200)
                let database = try JSON(parsing: health.body)["database"]
                #expect(database?["storing"] == .bool(false))
                #expect(database?["problem"]?.stringValue?.isEmpty == false)
                #expect(try await daemon.ledger() == ["received": 1, "stored": 0, "duplicates": 0, "deadLettered": 0, "spooled": 1])
            }
            try await TestDaemon.with(folder: folder) { daemon in
                #expect(try await daemon.post(event("two", at: 1_790_000_000_001)).status == 202)
                try await daemon.waitUntilStored()
                #expect(try await daemon.ledger()["received"] == 2)
                #expect(try await daemon.health()["database"]?["storing"] == .bool(true))
            }
            #expect(try await storedTypes() == ["one", "two"])
        }
    }

    @Test("when the disk budget is used up senders are told to come again, and can when there is room")
    func budget() async throws {
        try await TestDaemon.withFolder { folder in
            let small = { (configuration: inout IngestConfiguration) in configuration.spoolBudget = 1 << 20 }
            let details = String(repeating: "x", count: 4000)
            func body(_ number: Int) -> String {
                (0..<20).map { index in
                    #"{"type":"large","details":"\#(details)","source":"test","id":"\#(number)-\#(index)"}"# + "\n"
                }.joined()
            }
            var accepted = 0
            try await TestDaemon.with(folder: folder, database: "host=127.0.0.1 port=1 connect_timeout=1", small) { daemon in
                var last: Answer?
                for number in 0..<100 {
                    let answer = try await daemon.post(body(number))
                    last = answer
                    guard answer.status == 202 else { break }
                    accepted += 20
                }
                #expect(last?.status == 429)
                #expect(last?.headers["retry-after"] != nil)
                #expect(try await daemon.ledger()["received"] == accepted)
            }
            try await TestDaemon.with(folder: folder, small) { daemon in
                try await eventually("room") { try await daemon.post(body(100)).status == 202 }
                try await daemon.waitUntilStored()
                #expect(try await daemon.ledger()["stored"] == accepted + 20)
            }
            #expect(try await storedTypes().count == accepted + 20)
        }
    }

    // MARK: Pages

    @Test("the pages need no token and show no event")
    func pages() async throws {
        try await TestDaemon.with { daemon in
            _ = try await daemon.post(event("secret_type"))
            #expect(try await daemon.get("/health/live").text == "live\n")
            let ready = try await daemon.get("/health/ready")
            #expect(ready.status == 200)
            #expect(ready.text.contains(#""ready":true"#))
            let metrics = try await daemon.get("/metrics")
            #expect(metrics.status == 200)
            #expect(metrics.text.contains("process_resident_memory_bytes"))
            for page in [ready, metrics] { #expect(!page.text.contains("secret_type")) }
        }
    }
}
