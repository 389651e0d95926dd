import Delivery
import Domain
import Events
import Foundation
@testable import Ingest
import TestSupport
import Testing

@Suite struct EventStreamTests {
    @Test("lines become durable events, and who asks is told how many")
    func acknowledges() async throws {
        let spool = try TestSpool()
        try await spool.runEvents { port in
            let socket = try TestSocket.connect(port: port)
            try await socket.send("{\"attune\":\"ack\"}\n")
            try await socket.waitUntilAcknowledged(0)
            try await socket.send(eventLine(1) + eventLine(2) + "\n" + eventLine(1))
            try await socket.waitUntilAcknowledged(3)
            let entries = try spool.entries().count
            #expect(entries == 3)
            // A line without its end, when nothing more comes, is a line too.
            try await socket.send("no event\n" + String(eventLine(3).dropLast()))
            socket.finish()
            let answer = try await socket.receiveAll()
            #expect(answer.hasSuffix("{\"accepted\":5}\n"))
        }
        let stored = try spool.storedEvents()
        #expect(stored.count == 3)
        #expect(try spool.rejected().map(\.text) == ["no event"])
        #expect(spool.events.ledger.snapshot().total.received == 5)
        #expect(try spool.duplicates() == 1)
    }

    @Test("who does not ask is told nothing, and the same is kept")
    func saysNothing() async throws {
        let spool = try TestSpool()
        try await spool.runEvents { port in
            let socket = try TestSocket.connect(port: port)
            try await socket.send("{\"attune\":\"plain\"}\n" + eventLine(1))
            socket.finish()
            let answer = try await socket.receiveAll()
            #expect(answer == "")
        }
        #expect(try spool.storedEvents().count == 1)
    }

    @Test("events without a source get the sender's address")
    func namesTheSender() async throws {
        let spool = try TestSpool()
        try await spool.runEvents { port in
            let socket = try TestSocket.connect(port: port)
            try await socket.send("{\"attune\":\"ack\"}\n{\"type\":\"sys_startup\"}\n")
            try await socket.waitUntilAcknowledged(1)
        }
        #expect(try spool.storedEvents().map(\.source) == ["tcp:127.0.0.1"])
    }

    @Test("lines come in any pieces")
    func pieces() async throws {
        let spool = try TestSpool()
        try await spool.runEvents { port in
            let socket = try TestSocket.connect(port: port)
            for byte in ("{\"attune\":\"ack\"}\r\n" + eventLine(1) + eventLine(2)).utf8 { try await socket.send([byte]) }
            try await socket.waitUntilAcknowledged(2)
        }
        #expect(try spool.storedEvents().count == 2)
    }

    @Test("a megabyte without a line end, noise and broken text become dead letters, and what comes between is kept")
    func survivesNonsense() async throws {
        let spool = try TestSpool()
        var generator = SystemRandomNumberGenerator()
        let noise = (0..<50_000).map { _ in UInt8.random(in: 0...255, using: &generator) }.filter { $0 != 0x0A && $0 != 0x0D }
        try await spool.runEvents { port in
            let socket = try TestSocket.connect(port: port)
            try await socket.send("{\"attune\":\"ack\"}\n" + eventLine(1) + String(repeating: "{", count: 1 << 20) + "\n")
            try await socket.send(noise + [0x0A])
            try await socket.send(Array(eventLine(2, details: "x").utf8).map { $0 == UInt8(ascii: "x") ? 0xFF : $0 })
            try await socket.send(eventLine(3))
            try await socket.waitUntilAcknowledged(5)
        }
        let rejected = try spool.rejected()
        let stored = try spool.storedEvents()
        #expect(rejected.count + stored.count == 5)
        #expect(stored.count >= 2)
        #expect(rejected.first?.text.utf8.count == EventLimits.report)
    }

    @Test("a sender that stops in the middle of a line, and one that is slow, keep nobody waiting")
    func othersGoOn() async throws {
        let spool = try TestSpool()
        try await spool.runEvents { port in
            let stuck = try TestSocket.connect(port: port)
            try await stuck.send(String(eventLine(0).dropLast(5)))
            let slow = try TestSocket.connect(port: port)
            try await slow.send("{\"attune\":\"ack\"}\n")
            let fast = try TestSocket.connect(port: port)
            try await fast.send("{\"attune\":\"ack\"}\n")
            for round in 0..<20 {
                try await slow.send(String(eventLine(1000 + round).dropLast()))
                try await fast.send((0..<500).map { eventLine(10_000 + round * 500 + $0) }.joined())
                try await slow.send("\n")
            }
            try await fast.waitUntilAcknowledged(10_000)
            try await slow.waitUntilAcknowledged(20)
        }
        // The half line of the one that never went on.
        #expect(try spool.rejected().count == 1)
        #expect(try spool.storedEvents().count == 10_020)
    }

    @Test("a full spool makes senders wait, and loses nothing")
    func waitsForRoom() async throws {
        let spool = try TestSpool(budget: 1 << 20)
        let count = 20_000
        var limits = StreamInput.Limits()
        limits.waitingBytes = 64 << 10
        try await spool.runEvents(limits: limits, budget: 1 << 20) { port in
            let socket = try TestSocket.connect(port: port)
            try await socket.send("{\"attune\":\"ack\"}\n")
            let sending = Task {
                for start in stride(from: 0, to: count, by: 1000) {
                    try await socket.send((start..<start + 1000).map { eventLine($0) }.joined())
                }
            }
            try await eventually("the spool is full") { spool.events.spool.bytesOnDisk > 500_000 }
            var end: UInt64 = 0
            // As delivery does.
            try await eventually("everything has come") {
                end = spool.events.spool.durableEnd
                spool.events.spool.release(before: end)
                return end >= UInt64(count)
            }
            #expect(end == UInt64(count))
            try await sending.value
            try await socket.waitUntilAcknowledged(count)
        }
        #expect(spool.events.ledger.snapshot().total.received == count)
    }

    @Test("a token that is asked for has to be in the first line", arguments: [
        ("{\"token\":\"secret\"}\n", true), ("{\"attune\":\"plain\",\"token\":\"secret\"}\n", true),
        ("{\"token\":\"wrong\"}\n", false), ("{\"attune\":\"ack\"}\n", false), ("", false),
    ])
    func token(greeting: String, isRight: Bool) async throws {
        let spool = try TestSpool()
        try await spool.runEvents(token: "secret") { port in
            let socket = try TestSocket.connect(port: port)
            try await socket.send(greeting + eventLine(1))
            socket.finish()
            let answer = try await socket.receiveAll()
            #expect(answer == (isRight ? "" : "{\"error\":\"the first line has to have the token\"}\n"))
        }
        #expect(try spool.entries().count == (isRight ? 1 : 0))
    }

    @Test("a browser's request is refused, whatever is in its body")
    func refusesHTTP() async throws {
        let spool = try TestSpool()
        try await spool.runEvents { port in
            let socket = try TestSocket.connect(port: port)
            try await socket.send("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + eventLine(1))
            let answer = try await socket.receiveAll()
            #expect(answer == "{\"error\":\"this is no HTTP port\"}\n")
        }
        #expect(try spool.entries().isEmpty)
    }

    @Test("idle connections are in nobody's way, and beyond the limit connections are closed at once")
    func manyConnections() async throws {
        let spool = try TestSpool()
        var limits = StreamInput.Limits()
        limits.connections = 500
        try await spool.runEvents(limits: limits) { port in
            var idle: [TestSocket] = []
            for _ in 0..<499 { idle.append(try TestSocket.connect(port: port)) }
            let busy = try TestSocket.connect(port: port)
            try await busy.send("{\"attune\":\"ack\"}\n" + eventLine(1))
            try await busy.waitUntilAcknowledged(1)
            let refused = try TestSocket.connect(port: port)
            let answer = try await refused.receiveAll()
            #expect(answer == "")
            idle.removeAll()
            // There is room again.
            try await eventually("a new connection is served") {
                let socket = try TestSocket.connect(port: port)
                try await socket.send("{\"attune\":\"ack\"}\n")
                var text: String? = ""
                while text == "" {
                    try await Task.sleep(for: .milliseconds(1))
                    text = socket.receiveNow()
                }
                return text != nil
            }
        }
    }

    @Test("a connection that says nothing at all is closed, and one that has spoken stays")
    func silence() async throws {
        let spool = try TestSpool()
        var limits = StreamInput.Limits()
        limits.silence = .milliseconds(50)
        try await spool.runEvents(limits: limits) { port in
            let speaker = try TestSocket.connect(port: port)
            try await speaker.send("{\"attune\":\"ack\"}\n" + eventLine(1))
            try await speaker.waitUntilAcknowledged(1)
            let silent = try TestSocket.connect(port: port)
            _ = try await silent.receiveAll()
            let half = try TestSocket.connect(port: port)
            try await half.send(eventLine(2) + "{\"type\":")
            _ = try await half.receiveAll()
            try await speaker.send(eventLine(3))
            try await speaker.waitUntilAcknowledged(2)
        }
        #expect(try spool.rejected().map(\.text) == ["{\"type\":"])
    }

    @Test("when the daemon stops, what it has read is durable and acknowledged")
    func stops() async throws {
        let spool = try TestSpool()
        let socket = try await spool.runEvents { port in
            let socket = try TestSocket.connect(port: port)
            try await socket.send("{\"attune\":\"ack\"}\n" + (0..<5000).map { eventLine($0) }.joined() + "{\"half")
            try await eventually("something has come") { try !spool.entries().isEmpty }
            return socket
        }
        let answer = try await socket.receiveAll()
        let acknowledged = answer.split(separator: "\n").compactMap { line in
            line.wholeMatch(of: /\{"accepted":([0-9]+)\}/).flatMap { Int($0.1) }
        }.max() ?? 0
        #expect(answer.hasSuffix("{\"error\":\"the daemon stops\"}\n"))
        #expect(try spool.storedEvents().count == acknowledged)
        #expect(try spool.rejected().isEmpty)
    }
}
