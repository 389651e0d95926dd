import Logging

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Writes each record as one line to standard error: `time level label message key=value …`, times in UTC.
///
/// Whatever a record holds, it stays on its line: control characters are escaped, values with blanks are quoted.
public struct LineLogHandler: LogHandler {
    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let output: @Sendable (String) -> Void

    /// - Parameter output: gets each line with its line feed.
    public init(
        label: String, logLevel: Logger.Level, metadataProvider: Logger.MetadataProvider? = nil,
        output: @escaping @Sendable (String) -> Void = LineLogHandler.writeToStandardError
    ) {
        self.label = label
        self.logLevel = logLevel
        self.metadataProvider = metadataProvider
        self.output = output
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        var values = metadata
        if let provided = metadataProvider?.get() { values.merge(provided) { $1 } }
        if let own = event.metadata { values.merge(own) { $1 } }
        if let error = event.error { values["error"] = "\(error)" }
        var line = "\(Self.timestamp()) \(event.level) \(label) "
        Self.append("\(event.message)", to: &line)
        for (key, value) in values.sorted(by: { $0.key < $1.key }) {
            line += " \(key)="
            let text = "\(value)"
            let needsQuotes = text.isEmpty || text.utf8.contains { $0 <= UInt8(ascii: " ") || $0 == UInt8(ascii: "\"") }
            if needsQuotes { line += "\"" }
            Self.append(text, to: &line, escapingQuotes: needsQuotes)
            if needsQuotes { line += "\"" }
        }
        line += "\n"
        output(line)
    }

    private static func append(_ text: String, to line: inout String, escapingQuotes: Bool = false) {
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": line += "\\n"
            case "\"" where escapingQuotes: line += "\\\""
            case "\\" where escapingQuotes: line += "\\\\"
            case _ where scalar.properties.generalCategory == .control: line += scalar.escaped(asASCII: true)
            default: line.unicodeScalars.append(scalar)
            }
        }
    }

    /// `2026-01-31T09:15:42.123Z`
    private static func timestamp() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var parts = tm()
        gmtime_r(&now.tv_sec, &parts)
        func digits(_ value: Int, _ count: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        let day = "\(parts.tm_year + 1900)-\(digits(Int(parts.tm_mon) + 1, 2))-\(digits(Int(parts.tm_mday), 2))"
        let time = "\(digits(Int(parts.tm_hour), 2)):\(digits(Int(parts.tm_min), 2)):\(digits(Int(parts.tm_sec), 2))"
        return "\(day)T\(time).\(digits(now.tv_nsec / 1_000_000, 3))Z"
    }

    /// One write for a whole line, so that lines of several threads and processes do not mix.
    public static func writeToStandardError(_ line: String) {
        var line = line
        line.withUTF8 { bytes in
            var offset = 0
            while offset < bytes.count {
                let count = write(STDERR_FILENO, bytes.baseAddress! + offset, bytes.count - offset)
                if count < 0, errno == EINTR { continue }
                // Nobody to tell when standard error is gone.
                guard count > 0 else { return }
                offset += count
            }
        }
    }
}

extension LoggingSystem {
    /// Sends the process's records to standard error, from `level` on. Call once, before the first logger is made.
    public static func bootstrapLines(level: Logger.Level) {
        bootstrap({ LineLogHandler(label: $0, logLevel: level, metadataProvider: $1) }, metadataProvider: nil)
    }
}
