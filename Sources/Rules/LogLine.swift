import Domain

/// One line of a log, taken apart as far as its format allows.
public struct LogLine: Equatable, Sendable {
    public var occurredAt: Instant?
    public var host: String?
    /// Which program wrote it: syslog's tag or APP-NAME, without the process id.
    public var program: String?
    public var processID: String?
    /// Syslog's, by name: `authpriv`, `daemon`, `local0`, …
    public var facility: String?
    public var severity: Severity
    /// RFC 5424's MSGID.
    public var messageID: String?
    /// RFC 5424's STRUCTURED-DATA as it was sent, brackets included.
    public var structuredData: String?
    public var message: String

    public init(
        occurredAt: Instant? = nil, host: String? = nil, program: String? = nil, processID: String? = nil,
        facility: String? = nil, severity: Severity = .low, messageID: String? = nil, structuredData: String? = nil,
        message: String
    ) {
        self.occurredAt = occurredAt
        self.host = host
        self.program = program
        self.processID = processID
        self.facility = facility
        self.severity = severity
        self.messageID = messageID
        self.structuredData = structuredData
        self.message = message
    }

    /// A line of a file that is not in syslog's form, such as a web server's access log: all of it is the message.
    ///
    /// - Parameter program: whose rules it is to be read by.
    public init(plain bytes: some Collection<UInt8>, program: String?) {
        self.init(program: program, message: LogText.clean(bytes))
    }
}

/// What of a log goes on as text.
enum LogText {
    /// In bytes. What is longer is cut.
    static let longestLine = 65536
    /// Of a header field, in bytes.
    static let longestField = 255

    /// At most `longestLine` bytes, without line ends and NULs behind them.
    static func clean(_ bytes: some Collection<UInt8>) -> String {
        bytes.withContiguousStorageIfAvailable { decode(trimmed($0)) }
            ?? Array(bytes).withUnsafeBufferPointer { decode(trimmed($0)) }
    }

    static func trimmed(_ bytes: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8> {
        var end = bytes.count
        while end > 0, bytes[end - 1] == 0x0A || bytes[end - 1] == 0x0D || bytes[end - 1] == 0 { end -= 1 }
        return UnsafeBufferPointer(rebasing: bytes[..<min(end, longestLine)])
    }

    /// PostgreSQL's text holds neither NUL nor what is not UTF-8: both become U+FFFD.
    static func decode(_ bytes: UnsafeBufferPointer<UInt8>) -> String {
        let text = String(decoding: bytes, as: UTF8.self)
        return bytes.contains(0) ? text.replacingNUL() : text
    }

    /// At most so many bytes; what is cut off ends in `…`.
    static func cut(_ text: String, to length: Int) -> String {
        guard text.utf8.count > length else { return text }
        var end = text.utf8.index(text.startIndex, offsetBy: length - 3)
        while text.utf8[end] & 0xC0 == 0x80 { end = text.utf8.index(before: end) }
        return text[..<end] + "…"
    }
}

extension String {
    func replacingNUL() -> String {
        guard utf8.contains(0) else { return self }
        return String(UnicodeScalarView(unicodeScalars.map { $0 == "\0" ? "\u{FFFD}" : $0 }))
    }
}
