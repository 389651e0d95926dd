import Foundation
import Logging
import Spool
import Synchronization

/// A folder for one test's spool, deleted with it.
final class ScratchFolder: Sendable {
    let path = FileManager.default.temporaryDirectory.appending(path: "attune-spool-\(UUID().uuidString)").path

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func open(
        budget: Int = 1 << 30, segmentSize: Int = 16 << 20, log: TestLog? = nil
    ) throws(SpoolError) -> Spool {
        try Spool(
            Spool.Configuration(folder: path, budget: budget, segmentSize: segmentSize),
            logger: Logger(label: "test") { _ in TestLog.Handler(log: log) })
    }

    /// Paths, in the order of their positions.
    var segments: [String] {
        get throws {
            try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".segment") }.sorted()
                .map { path + "/" + $0 }
        }
    }

    /// Changes a file's content.
    static func edit(_ file: String, _ change: (inout Data) -> Void) throws {
        var content = try Data(contentsOf: URL(filePath: file))
        change(&content)
        try content.write(to: URL(filePath: file))
    }
}

/// What a spool has logged: messages with their metadata.
final class TestLog: Sendable {
    private let lines = Mutex<[String]>([])
    var text: String { lines.withLock { $0.joined(separator: "\n") } }

    struct Handler: LogHandler {
        let log: TestLog?
        var logLevel = Logger.Level.info
        var metadata: Logger.Metadata = [:]

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let values = (event.metadata ?? [:]).map { " \($0)=\($1)" }.sorted().joined()
            log?.lines.withLock { $0.append("\(event.level) \(event.message)\(values)") }
        }
    }
}

extension RecordBatch {
    init(_ payloads: some Sequence<some Collection<UInt8>>) {
        self.init()
        for payload in payloads { append(payload) }
    }
}

extension Spool {
    /// Appends and waits until it is durable.
    @discardableResult
    func store(_ payloads: some Sequence<some Collection<UInt8>>) async throws -> UInt64 {
        let end = try append(RecordBatch(payloads))
        try await waitUntilDurable(end)
        return end
    }

    /// All that can be read from a position on, record by record, and the ranges that cannot. Throws when positions do not follow
    /// each other.
    func readAll(
        from position: UInt64 = 0, maximumBytes: Int = 1 << 20
    ) throws -> (records: [UInt64: [UInt8]], lost: [Range<UInt64>]) {
        struct WrongPosition: Error {}
        var records: [UInt64: [UInt8]] = [:]
        var lost: [Range<UInt64>] = []
        var next = position
        while true {
            let reading = try read(from: next, maximumBytes: maximumBytes)
            if reading.next == next { return (records, lost) }
            if let range = reading.lost {
                guard range == next..<reading.next else { throw WrongPosition() }
                lost.append(range)
            }
            for record in reading.records {
                guard record.position == next else { throw WrongPosition() }
                records[record.position] = Array(record.payload)
                next += 1
            }
            guard next == reading.next || reading.lost != nil else { throw WrongPosition() }
            next = reading.next
        }
    }
}

/// A payload that tells its position, of a length between 8 and 400 bytes.
func payload(_ position: UInt64) -> [UInt8] {
    let filling = [UInt8](repeating: UInt8(truncatingIfNeeded: position), count: Int(position * 37 % 393))
    return withUnsafeBytes(of: position) { Array($0) } + filling
}
