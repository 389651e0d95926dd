import Delivery
import Domain
import Events
import Rules

/// Makes events of the lines of followed files.
struct FileLines: Sendable {
    let rules: LineRules
    /// This machine's name.
    let host: String

    /// A file's name among those of all machines.
    func name(of file: FollowedFile) -> String { "file:\(host):\(file.path)" }

    /// Reads on until there is no more, or the batch has more bytes than the limit.
    ///
    /// - Parameter isComplete: nobody writes to the file any more.
    /// - Returns: whether there was anything.
    func read(
        _ reader: inout LineReader, of file: FollowedFile, isComplete: Bool = false, into batch: inout IntakeBatch, limit: Int
    ) throws(FileProblem) -> Bool {
        var isFirst = true
        while batch.byteCount < limit {
            let position = reader.position
            let hasMoved = try reader.readOn(isComplete: isComplete) { offset, line in
                add(line, of: file, id: position.id(ofLineAt: offset), to: &batch)
            }
            guard hasMoved else { return !isFirst }
            isFirst = false
        }
        return !isFirst
    }

    /// - Parameter id: the same whenever the same line is read.
    private func add(_ line: UnsafeRawBufferPointer, of file: FollowedFile, id: String, to batch: inout IntakeBatch) {
        let now = Instant.now()
        guard var event = event(of: line, file, receivedAt: now) else { return SyslogReader.ignored.increment() }
        if event.id == nil { event.id = id }
        batch.add(event, madeOf: line, input: .file, receivedAt: now)
    }

    private func event(of bytes: UnsafeRawBufferPointer, _ file: FollowedFile, receivedAt: Instant) -> ReportedEvent? {
        let name = name(of: file)
        let line: LogLine
        if let program = file.program {
            line = LogLine(plain: bytes, program: program)
        } else {
            if bytes.first == UInt8(ascii: "{"),
                let event = try? EventReader(defaultSource: name).read(bytes, receivedAt: receivedAt)
            {
                return event
            }
            line = SyslogParser.parse(bytes, receivedAt: receivedAt)
        }
        var event = rules.event(for: line, source: name, receivedAt: receivedAt)
        event?.flagClock(receivedAt: receivedAt)
        return event
    }
}
