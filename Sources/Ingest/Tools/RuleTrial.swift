import Domain
import Rules

/// Shows what rules make of the lines of a file.
public struct RuleTrial: Sendable {
    private let rules: LineRules
    private let format: ImportFormat

    /// - Parameter format: of the lines; not `events`, which need no rules.
    public init(_ rules: LineRules, format: ImportFormat) {
        self.rules = rules
        self.format = format
    }

    /// Reads the file to its end.
    ///
    /// - Parameters:
    ///   - path: of the file; `-`: standard input.
    ///   - print: gets a line of text for each of the file: the rule's place, type, severity, address and details of the event.
    public func run(path: String, print: (String) -> Void) async throws {
        let file = try ImportedFile(path: path)
        var framing = LineFraming()
        while true {
            let piece = try await file.read(1 << 16)
            if piece.isEmpty {
                framing.finish { print(describe($0)) }
                return
            }
            piece.withUnsafeBytes { bytes in framing.take(bytes) { print(describe($0)) } }
        }
    }

    private func describe(_ frame: Frame) -> String {
        guard case .message(let bytes) = frame else { return "-\ttoo long" }
        let now = Instant.now()
        let line = if case .log(let program) = format {
            LogLine(plain: bytes, program: program)
        } else {
            SyslogParser.parse(bytes, receivedAt: now)
        }
        let verdict = rules.verdict(on: line, source: "trial", receivedAt: now)
        let place = verdict.rule?.description ?? "no rule"
        guard let event = verdict.event else { return "\(place)\tignored" }
        return [place, event.type, event.severity.rawValue, event.ip?.description ?? "-", event.details].joined(separator: "\t")
    }
}
