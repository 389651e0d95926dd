import Crypto
import Delivery
import Domain
import Events
import Rules

/// What the lines of an imported file mean.
public enum ImportFormat: Sendable {
    /// A security event as JSON in each.
    case events
    /// A syslog message in each.
    case syslog
    /// The log of a program, whose rules they are read by.
    case log(program: String)
}

/// Makes events of the lines of one file.
///
/// A line that does not name its event gets an id from the file's name, the line's number and its text, so that importing the
/// file again, or after it has grown, stores nothing twice.
struct ImportedLines {
    private let name: String
    private let source: String
    private let format: ImportFormat
    private let rules: LineRules
    private let reader: EventReader
    private var framing = LineFraming()
    private(set) var count = 0

    /// - Parameters:
    ///   - name: the file's, without its folder.
    ///   - source: of events that name none.
    init(name: String, source: String, format: ImportFormat, rules: LineRules) {
        self.name = name
        self.source = source
        self.format = format
        self.rules = rules
        reader = EventReader(defaultSource: source)
    }

    mutating func take(_ bytes: [UInt8], into batch: inout IntakeBatch) {
        var framing = framing
        self.framing = LineFraming()
        bytes.withUnsafeBytes { bytes in framing.take(bytes) { put($0, into: &batch) } }
        self.framing = framing
    }

    /// The file has ended; its last line may lack its end.
    mutating func finish(into batch: inout IntakeBatch) {
        var framing = framing
        framing.finish { put($0, into: &batch) }
    }

    private mutating func put(_ frame: Frame, into batch: inout IntakeBatch) {
        let now = Instant.now()
        count += 1
        switch frame {
        case .message(let line):
            do throws(EventRejection) {
                guard let event = try event(of: line, receivedAt: now) else { return }
                try batch.add(event, input: .import)
            } catch {
                batch.addRejected(line, error, input: .import, at: now)
            }
        case .rejected(let bytes, let why), .lost(let bytes, let why):
            batch.addRejected(bytes, why, input: .import, at: now)
        }
    }

    /// - Returns: nil when a rule says that the line is to be ignored.
    private func event(of line: UnsafeRawBufferPointer, receivedAt: Instant) throws(EventRejection) -> ReportedEvent? {
        let event: ReportedEvent?
        switch format {
        case .events: event = try reader.read(line, receivedAt: receivedAt)
        case .syslog: event = self.event(for: SyslogParser.parse(line, receivedAt: receivedAt), receivedAt: receivedAt)
        case .log(let program): event = self.event(for: LogLine(plain: line, program: program), receivedAt: receivedAt)
        }
        guard var event, event.id == nil else { return event }
        event.id = id(of: line)
        return event
    }

    private func event(for line: LogLine, receivedAt: Instant) -> ReportedEvent? {
        guard var event = rules.event(for: line, source: source, receivedAt: receivedAt) else { return nil }
        event.flagClock(receivedAt: receivedAt)
        return event
    }

    /// 128 bits in hexadecimal.
    private func id(of line: UnsafeRawBufferPointer) -> String {
        var hash = SHA256()
        hash.update(data: Array("\(name)\0\(count)\0".utf8))
        hash.update(bufferPointer: line)
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: hash.finalize().prefix(16).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
