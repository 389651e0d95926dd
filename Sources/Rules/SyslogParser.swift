import Domain

/// Reads syslog messages: RFC 5424, RFC 3164, and what programs really send.
public enum SyslogParser {
    /// Never fails: what is not in any known form is a line whose message is the whole text. At most 64 KiB are looked at.
    ///
    /// - Parameters:
    ///   - bytes: one message, without its framing.
    ///   - receivedAt: gives times without a year theirs.
    public static func parse(_ bytes: some Collection<UInt8>, receivedAt: Instant) -> LogLine {
        bytes.withContiguousStorageIfAvailable { parse($0, receivedAt: receivedAt) }
            ?? Array(bytes).withUnsafeBufferPointer { parse($0, receivedAt: receivedAt) }
    }

    private static func parse(_ bytes: UnsafeBufferPointer<UInt8>, receivedAt: Instant) -> LogLine {
        var cursor = ByteCursor(LogText.trimmed(bytes))
        skipByteOrderMark(&cursor)
        var line = LogLine(message: "")
        let priority = readPriority(&cursor)
        if let priority {
            line.facility = facilities[priority / 8]
            line.severity = severity(priority % 8)
        }
        let start = cursor.index
        if priority != nil, readVersion5424(&cursor, into: &line) { return line }
        cursor.index = start
        readVersion3164(&cursor, hasPriority: priority != nil, into: &line, receivedAt: receivedAt)
        line.message = LogText.decode(cursor.rest)
        return line
    }

    private static let facilities = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp", "audit",
        "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    ]

    private static func severity(_ code: Int) -> Severity {
        switch code {
        case 0...2: .critical  // emergency, alert, critical
        case 3: .high  // error
        case 4: .medium  // warning
        default: .low
        }
    }

    private static func skipByteOrderMark(_ cursor: inout ByteCursor) {
        if cursor.rest.starts(with: [0xEF, 0xBB, 0xBF]) { cursor.index += 3 }
    }

    /// `<34>`
    private static func readPriority(_ cursor: inout ByteCursor) -> Int? {
        let start = cursor.index
        if cursor.take(UInt8(ascii: "<")), let priority = cursor.takeNumber(digits: 1...3), cursor.take(UInt8(ascii: ">")),
            priority < facilities.count * 8
        {
            return priority
        }
        cursor.index = start
        return nil
    }

    // MARK: RFC 5424

    /// `1 2026-11-23T01:55:47.123Z web1 sshd 4711 - [origin ip="192.0.2.1"] message`. When it returns false, `line` is as it
    /// was.
    private static func readVersion5424(_ cursor: inout ByteCursor, into line: inout LogLine) -> Bool {
        guard cursor.takeNumber(digits: 1...2) != nil, cursor.take(UInt8(ascii: " ")) else { return false }
        var occurredAt: Instant?
        if !cursor.take(UInt8(ascii: "-")) {
            guard let time = LogTime.readYearFirst(&cursor) else { return false }
            occurredAt = time
        }
        guard cursor.take(UInt8(ascii: " ")) else { return false }
        line.occurredAt = occurredAt
        line.host = readField(&cursor)
        line.program = readField(&cursor)
        line.processID = readField(&cursor)
        line.messageID = readField(&cursor)
        let start = cursor.index
        if !cursor.take(UInt8(ascii: "-")) {
            if skipStructuredData(&cursor) {
                line.structuredData = LogText.decode(UnsafeBufferPointer(rebasing: cursor.bytes[start..<cursor.index]))
            } else {
                // Then it belongs to the message, from which nothing may be missing.
                cursor.index = start
            }
        }
        _ = cursor.take(UInt8(ascii: " "))
        skipByteOrderMark(&cursor)
        line.message = LogText.decode(cursor.rest)
        return true
    }

    /// A field of the header and the blank behind it; nil for `-` and when the line has ended.
    private static func readField(_ cursor: inout ByteCursor) -> String? {
        let word = cursor.takeWord()
        _ = cursor.take(UInt8(ascii: " "))
        return word.isEmpty || (word.count == 1 && word[0] == UInt8(ascii: "-")) ? nil : field(word)
    }

    /// `[id name="value" …][…]`, where `\` escapes what follows it in a value.
    private static func skipStructuredData(_ cursor: inout ByteCursor) -> Bool {
        guard cursor.next == UInt8(ascii: "[") else { return false }
        while cursor.take(UInt8(ascii: "[")) {
            var isQuoted = false
            scanning: while true {
                guard let byte = cursor.next else { return false }
                cursor.index += 1
                switch byte {
                case UInt8(ascii: "\\") where isQuoted: cursor.index += 1
                case UInt8(ascii: "\""): isQuoted.toggle()
                case UInt8(ascii: "]") where !isQuoted: break scanning
                default: break
                }
            }
        }
        return cursor.isAtEnd || cursor.next == UInt8(ascii: " ")
    }

    // MARK: RFC 3164

    /// Reads what there is of `Nov 23 01:55:47 web1 sshd[4711]: `, up to the message.
    private static func readVersion3164(
        _ cursor: inout ByteCursor, hasPriority: Bool, into line: inout LogLine, receivedAt: Instant
    ) {
        let start = cursor.index
        skipSequenceNumber(&cursor)
        line.occurredAt = readTimestamp(&cursor, receivedAt: receivedAt)
        if line.occurredAt == nil, hasPriority { readHostAndTimestamp(&cursor, into: &line, receivedAt: receivedAt) }
        guard line.occurredAt != nil else {
            cursor.index = start
            if hasPriority { _ = readTag(&cursor, into: &line) }
            return
        }
        if readTag(&cursor, into: &line) || line.host != nil { return }
        // Not a tag, so the host. Some put a colon behind it.
        line.host = readField(&cursor)
        skipBlanks(&cursor)
        if cursor.take(UInt8(ascii: ":")) { skipBlanks(&cursor) }
        _ = readTag(&cursor, into: &line)
    }

    /// Cisco's `router1: Nov 23 01:55:47: `.
    private static func readHostAndTimestamp(_ cursor: inout ByteCursor, into line: inout LogLine, receivedAt: Instant) {
        let word = cursor.takeWord()
        guard word.last == UInt8(ascii: ":") else { return }
        skipBlanks(&cursor)
        line.occurredAt = readTimestamp(&cursor, receivedAt: receivedAt)
        if line.occurredAt != nil { line.host = field(UnsafeBufferPointer(rebasing: word.dropLast())) }
    }

    private static func skipBlanks(_ cursor: inout ByteCursor) {
        while cursor.take(UInt8(ascii: " ")) {}
    }

    /// Cisco's `45: ` and `: `.
    private static func skipSequenceNumber(_ cursor: inout ByteCursor) {
        let start = cursor.index
        _ = cursor.takeNumber(digits: 1...12)
        if cursor.take(UInt8(ascii: ":")) { skipBlanks(&cursor) } else { cursor.index = start }
    }

    /// Up to the next field. When it returns nil, nothing has been read.
    private static func readTimestamp(_ cursor: inout ByteCursor, receivedAt: Instant) -> Instant? {
        let start = cursor.index
        // Cisco's marks of a clock that is not set.
        if !cursor.take(UInt8(ascii: "*")) { _ = cursor.take(UInt8(ascii: ".")) }
        let beginning = cursor.index
        var time = LogTime.readMonthFirst(&cursor, receivedAt: receivedAt)
        if time == nil {
            cursor.index = beginning
            time = LogTime.readYearFirst(&cursor)
        }
        guard let time, cursor.isAtEnd || cursor.next == UInt8(ascii: " ") || cursor.next == UInt8(ascii: ":") else {
            cursor.index = start
            return nil
        }
        _ = cursor.take(UInt8(ascii: ":"))
        skipBlanks(&cursor)
        skipZoneName(&cursor)
        return time
    }

    private static let zoneNames: Set<String> = [
        "UTC", "GMT", "Z", "WET", "WEST", "CET", "CEST", "EET", "EEST", "BST", "MSK", "EST", "EDT", "CST", "CDT", "MST", "MDT",
        "PST", "PDT", "AKST", "AKDT", "HST", "IST", "SGT", "HKT", "JST", "KST", "AWST", "ACST", "ACDT", "AEST", "AEDT",
        "NZST", "NZDT",
    ]

    private static func skipZoneName(_ cursor: inout ByteCursor) {
        // Looked at first: hosts in capitals are rare, and this is a hot path.
        guard let first = cursor.next, (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(first) else { return }
        let start = cursor.index
        var word = cursor.takeWord()
        if word.last == UInt8(ascii: ":") { word = UnsafeBufferPointer(rebasing: word.dropLast()) }
        guard word.count <= 4, zoneNames.contains(String(decoding: word, as: UTF8.self)) else {
            cursor.index = start
            return
        }
        skipBlanks(&cursor)
    }

    /// `sshd[4711]: `, `su: `, `%SYS-5-CONFIG_I: `, `sshd[4711] `. When it returns false, nothing has been read.
    private static func readTag(_ cursor: inout ByteCursor, into line: inout LogLine) -> Bool {
        let start = cursor.index
        while let byte = cursor.next, byte > 0x20, byte != UInt8(ascii: "["), !endsTag(cursor) { cursor.index += 1 }
        let program = UnsafeBufferPointer(rebasing: cursor.bytes[start..<cursor.index])
        var processID: UnsafeBufferPointer<UInt8>?
        if cursor.take(UInt8(ascii: "[")) {
            let opened = cursor.index
            while let byte = cursor.next, byte > 0x20, byte != UInt8(ascii: "]") { cursor.index += 1 }
            processID = UnsafeBufferPointer(rebasing: cursor.bytes[opened..<cursor.index])
            if !cursor.take(UInt8(ascii: "]")) { processID = nil }
        }
        let hasColon = cursor.take(UInt8(ascii: ":"))
        guard !program.isEmpty, processID != nil || hasColon, cursor.isAtEnd || cursor.next == UInt8(ascii: " ") else {
            cursor.index = start
            return false
        }
        line.program = field(program)
        line.processID = processID.map(field)
        // One blank is the separator, further ones are the message's.
        _ = cursor.take(UInt8(ascii: " "))
        return true
    }

    /// A colon inside, as in an IPv6 address, does not end it.
    private static func endsTag(_ cursor: ByteCursor) -> Bool {
        guard cursor.next == UInt8(ascii: ":") else { return false }
        let behind = cursor.index + 1
        return behind == cursor.bytes.count || cursor.bytes[behind] == UInt8(ascii: " ")
    }

    private static func field(_ word: UnsafeBufferPointer<UInt8>) -> String {
        LogText.decode(UnsafeBufferPointer(rebasing: word.prefix(LogText.longestField)))
    }
}
