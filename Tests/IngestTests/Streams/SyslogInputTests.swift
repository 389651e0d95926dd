import Development
import Domain
import Events
import Foundation
@testable import Ingest
import TestSupport
import Testing

@Suite struct SyslogInputTests {
    @Test("messages over TCP become events, in either framing")
    func framings() async throws {
        let spool = try TestSpool()
        try await spool.runSyslog { port in
            let socket = try TestSocket.connect(port: port)
            let message = "<38>1 2026-11-23T01:00:00Z bastion sshd 7 - - Failed password for root from 192.0.2.1 port 22 ssh2"
            try await socket.send(message + "\n\(message.utf8.count) " + message)
            socket.finish()
            _ = try await socket.receiveAll()
        }
        let events = try spool.storedEvents()
        #expect(events.count == 2)
        for event in events {
            #expect(event.source == "syslog:bastion")
            #expect(event.type == SecurityEventType.loginFail)
            #expect(event.ip == IPAddress("192.0.2.1"))
        }
    }

    @Test("a sender that is out of step is cut off, and what it sent is kept")
    func outOfStep() async throws {
        let spool = try TestSpool()
        try await spool.runSyslog { port in
            let socket = try TestSocket.connect(port: port)
            try await socket.send("5 <1>abthis is no length")
            _ = try await socket.receiveAll()
        }
        #expect(try spool.storedEvents().count == 1)
        #expect(try spool.rejected().map(\.reason) == ["the length before a message is wrong"])
    }

    @Test("a burst over UDP is taken, each datagram as one message")
    func datagrams() async throws {
        let spool = try TestSpool()
        try await spool.runDatagrams { port in
            let socket = try TestSocket.connectUDP(port: port)
            for number in 0..<2000 {
                let message = "<13>Nov 23 01:00:00 host app: number \(number)\nand a second line\n"
                var sent = socket.sendNow(message.utf8)
                while sent == 0 { sent = socket.sendNow(message.utf8) }
            }
            try await eventually("all have come") { try spool.storedEvents().count == 2000 }
        }
        let first = try spool.storedEvents().first
        #expect(first?.details.contains("number 0\nand a second line") == true)
    }

    @Test("what comes over UDP while the spool is full is lost, and an event says how much")
    func tellsOfLosses() async throws {
        let spool = try TestSpool(budget: 1 << 20)
        let padding = String(repeating: "x", count: 4000)
        try await spool.runDatagrams(maximumWaitingBytes: 64 << 10) { port in
            let socket = try TestSocket.connectUDP(port: port)
            // More than the spool and what waits for it hold.
            var number = 0
            try await eventually("the spool is full") {
                for _ in 0..<100 {
                    number += 1
                    _ = socket.sendNow("<13>Nov 23 01:00:00 host app: \(number) \(padding)".utf8)
                }
                return number >= 1000 && spool.events.spool.bytesOnDisk > 500_000
            }
            try await eventually("the loss is told") {
                _ = socket.sendNow("<13>Nov 23 01:00:00 host app: one more".utf8)
                spool.events.spool.release(before: spool.events.spool.durableEnd)
                return try spool.storedEvents().contains { $0.type == SecurityEventType.eventsLost }
            }
        }
    }

    @Test("logger(1) is understood", arguments: [["--tcp"], ["--tcp", "--octet-count"], ["--tcp", "--rfc3164"]])
    func loggerOverTCP(options: [String]) async throws {
        let spool = try TestSpool()
        try await spool.runSyslog { port in
            try await log(options, port: port)
            try await eventually("the message has come") { try !spool.storedEvents().isEmpty }
        }
        try expectLoggersMessage(spool)
    }

    @Test("logger(1) is understood over UDP", arguments: [["--udp"], ["--udp", "--rfc3164"]])
    func loggerOverUDP(options: [String]) async throws {
        let spool = try TestSpool()
        try await spool.runDatagrams { port in
            try await log(options, port: port)
            try await eventually("the message has come") { try !spool.storedEvents().isEmpty }
        }
        try expectLoggersMessage(spool)
    }

    private func log(_ options: [String], port: Int) async throws {
        let (exit, output) = try await ChildProcess.run(
            "/usr/bin/logger",
            options + ["-n", "127.0.0.1", "-P", "\(port)", "-p", "authpriv.notice", "-t", "tester", "the bridge is open"])
        #expect(exit == .code(0), "\(output)")
    }

    private func expectLoggersMessage(_ spool: TestSpool) throws {
        let events = try spool.storedEvents()
        #expect(events.count == 1)
        #expect(events.first?.details == "the bridge is open")
        #expect(events.first?.source.hasPrefix("syslog:") == true)
        #expect(events.first?.context?.contains(#""program":"tester""#) == true)
    }

    @Test("Python's SysLogHandler is understood, which ends messages with NUL")
    func python() async throws {
        let spool = try TestSpool()
        try await spool.runSyslog { port in
            let program = """
                import logging, logging.handlers, socket
                handler = logging.handlers.SysLogHandler(("127.0.0.1", \(port)), socktype=socket.SOCK_STREAM)
                for number in range(3): handler.emit(logging.makeLogRecord({"msg": f"door {number}", "levelno": 40}))
                handler.close()
                """
            let (exit, output) = try await ChildProcess.run("/usr/bin/python3", ["-c", program])
            #expect(exit == .code(0), "\(output)")
            try await eventually("the messages have come") { try spool.storedEvents().count == 3 }
        }
        #expect(try spool.storedEvents().map(\.details) == ["door 0", "door 1", "door 2"])
    }
}
