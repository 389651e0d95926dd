import Logging
import Synchronization
import Telemetry
import Testing

@Suite("Log lines")
struct LineLogHandlerTests {
    /// What is written when `body` logs.
    private func lines(level: Logger.Level = .info, _ body: (inout Logger) -> Void) -> String {
        let output = Output()
        var logger = Logger(label: "api") { label in
            LineLogHandler(label: label, logLevel: level) { line in output.text.withLock { $0 += line } }
        }
        body(&logger)
        return output.text.withLock { $0 }
    }

    private final class Output: Sendable {
        let text = Mutex("")
    }

    @Test("hold time, level, label, message, and the metadata in order")
    func form() throws {
        let line = lines { logger in
            logger[metadataKey: "requestId"] = "r1"
            logger.warning("slow query", metadata: ["statement": "messages.list", "duration": "1.2 seconds"])
        }
        let pattern = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warning api slow query (.*)\n/
        let match = try #require(try pattern.wholeMatch(in: line))
        #expect(match.1 == #"duration="1.2 seconds" requestId=r1 statement=messages.list"#)
    }

    @Test("a record stays on its line, whatever it holds")
    func oneLine() {
        let line = lines { $0.info("a\nb\u{1B}[31m", metadata: ["key": "1\n2 \"3\" \\"]) }
        #expect(line.filter { $0 == "\n" }.count == 1)
        #expect(line.hasSuffix(#"api a\nb\u{1B}[31m key="1\n2 \"3\" \\""# + "\n"))
    }

    @Test("less severe records than the level are left out")
    func level() {
        #expect(lines(level: .error) { $0.warning("x") } == "")
    }
}
