import Domain

/// What a line looks like: literal text, and captures in braces such as `{ip}` or `{word:user}`.
///
/// Matching looks at each byte a few times at most, whatever the line: there is nothing to go back to, but for `{text}`, and
/// for that the number of tries has a bound.
struct LinePattern: Hashable, Sendable {
    enum Kind: String, CaseIterable, Sendable {
        /// An IPv4 or IPv6 address.
        case ip
        /// Decimal digits.
        case number
        /// No blanks. Ends where the text that follows it in the pattern begins.
        case word
        /// No `"`, except escaped by `\`.
        case quoted
        /// See `LogTime`.
        case time
        /// Anything, up to the last place from where on the line is as the pattern goes on.
        case text
        /// All that is left.
        case rest
    }

    fileprivate enum Element: Hashable, Sendable {
        case literal([UInt8])
        case capture(Kind, name: String?)
    }

    /// What a line had where the captures are.
    struct Match {
        /// Those with a name. One that is empty or `-`, which is how logs write that there is nothing, is not among them.
        var values: [(name: String, text: String)] = []
        var ip: IPAddress?
        var time: Instant?
    }

    /// Up to the `{text}`, or the whole pattern.
    private var head: [Element] = []
    /// Nil: there is no `{text}`.
    private var textName: String??
    /// Behind the `{text}`.
    private var tail: [Element] = []

    /// Places that are tried for the end of a `{text}`. The last one is nearly always right; a line that needs more was
    /// made to be slow.
    private static let mostTries = 32
    private static let longestNumber = 20
    private static let longestAddress = 45

    // MARK: Reading a pattern

    init(_ pattern: String) throws(RuleProblem) {
        let template = try TextTemplate(pattern)
        guard !template.parts.isEmpty else { throw RuleProblem("The pattern is empty.") }
        var elements: [Element] = []
        for part in template.parts {
            switch part {
            case .text(let text): elements.append(.literal(Array(text.utf8)))
            case .placeholder(let capture): elements.append(try Self.capture(capture))
            }
        }
        try Self.check(elements)
        if let index = elements.firstIndex(where: { $0.kind == .text }), case .capture(_, let name) = elements[index] {
            textName = .some(name)
            head = Array(elements[..<index])
            tail = Array(elements[(index + 1)...])
        } else {
            head = elements
        }
    }

    private static func capture(_ text: String) throws(RuleProblem) -> Element {
        let words = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let kind = Kind(rawValue: words[0]) else {
            let kinds = Kind.allCases.map { "{\($0.rawValue)}" }.joined(separator: ", ")
            throw RuleProblem("'{\(text)}' is no capture; there are \(kinds), and with a name, as {word:user}.")
        }
        guard words.count == 2 else { return .capture(kind, name: nil) }
        guard kind != .time else { throw RuleProblem("{time} is the event's time and has no name.") }
        let name = words[1]
        guard !name.isEmpty, name.utf8.allSatisfy({ $0.isLowercaseLetter || $0.isDigit || $0 == UInt8(ascii: "_") }) else {
            throw RuleProblem("'\(name)' is no name: it has lower-case letters, digits and '_'.")
        }
        guard !LineContext.ownNames.contains(name) else {
            throw RuleProblem("The name '\(name)' is taken; the context has it anyway.")
        }
        return .capture(kind, name: name)
    }

    private static func check(_ elements: [Element]) throws(RuleProblem) {
        var names: Set<String> = []
        for (index, element) in elements.enumerated() {
            guard case .capture(let kind, let name) = element else { continue }
            if let name, !names.insert(name).inserted { throw RuleProblem("'\(name)' is captured twice.") }
            let next = index + 1 < elements.count ? elements[index + 1] : nil
            switch (kind, next) {
            case (.rest, .some): throw RuleProblem("{rest} must be the pattern's end.")
            case (.quoted, let next) where next?.firstByte != UInt8(ascii: "\""):
                throw RuleProblem("{quoted} must have a '\"' behind it.")
            case (_, .capture(let other, _)?) where other != .rest || kind == .text:
                throw RuleProblem("Two captures must have text between them.")
            default: break
            }
        }
        for kind in [Kind.text, .time] where elements.count(where: { $0.kind == kind }) > 1 {
            throw RuleProblem("There can be one {\(kind.rawValue)} in a pattern.")
        }
        guard elements.count(where: { $0 == .capture(.ip, name: nil) }) <= 1 else {
            throw RuleProblem("There can be one {ip} in a pattern; give the others a name.")
        }
    }

    /// With which the line must begin; nil: with any.
    var firstByte: UInt8? { head.first?.firstByte }

    var names: [String] {
        (head + tail).compactMap { if case .capture(_, let name) = $0 { name } else { nil } } + [textName ?? nil].compactMap(\.self)
    }

    var hasIP: Bool { (head + tail).contains(.capture(.ip, name: nil)) }

    /// Whether it can be taken from the front of a line: it says itself where it ends.
    var isPrefix: Bool { textName == nil && head.last?.kind != .rest && head.last?.kind != .word }

    // MARK: Matching

    /// - Parameter start: the byte at which to begin.
    /// - Returns: nil when not all of the line, from there on, is as the pattern says.
    func match(_ line: UnsafeBufferPointer<UInt8>, from start: Int = 0, receivedAt: Instant) -> Match? {
        var attempt = Attempt(cursor: ByteCursor(line, at: start), receivedAt: receivedAt)
        guard attempt.take(head) else { return nil }
        guard let textName else { return attempt.cursor.isAtEnd ? attempt.match : nil }

        let textStart = attempt.cursor.index
        guard case .literal(let literal)? = tail.first else {
            attempt.capture(textName, textStart..<line.count)
            return attempt.match
        }
        var triesLeft = Self.mostTries
        var end = line.count - literal.count
        while end >= textStart, triesLeft > 0 {
            if line.hasBytes(literal, at: end) {
                triesLeft -= 1
                var atThisEnd = attempt
                atThisEnd.cursor.index = end
                if atThisEnd.take(tail), atThisEnd.cursor.isAtEnd {
                    atThisEnd.capture(textName, textStart..<end)
                    return atThisEnd.match
                }
            }
            end -= 1
        }
        return nil
    }

    /// Takes the pattern from the front of a line.
    ///
    /// - Returns: what it captured and the byte behind it.
    func matchPrefix(_ line: UnsafeBufferPointer<UInt8>, from start: Int, receivedAt: Instant) -> (match: Match, end: Int)? {
        var attempt = Attempt(cursor: ByteCursor(line, at: start), receivedAt: receivedAt)
        return attempt.take(head) ? (attempt.match, attempt.cursor.index) : nil
    }

    private struct Attempt {
        var cursor: ByteCursor
        let receivedAt: Instant
        private var ranges: [(name: String, range: Range<Int>)] = []
        private var ip: IPAddress?
        private var time: Instant?

        init(cursor: ByteCursor, receivedAt: Instant) {
            self.cursor = cursor
            self.receivedAt = receivedAt
        }

        var match: Match {
            Match(
                values: ranges.map { ($0.name, LogText.decode(UnsafeBufferPointer(rebasing: cursor.bytes[$0.range]))) },
                ip: ip, time: time)
        }

        mutating func capture(_ name: String?, _ range: Range<Int>) {
            guard let name, !range.isEmpty, range.count > 1 || cursor.bytes[range.lowerBound] != UInt8(ascii: "-") else { return }
            ranges.append((name, range))
        }

        mutating func take(_ elements: [Element]) -> Bool {
            for index in elements.indices {
                switch elements[index] {
                case .literal(let literal):
                    guard cursor.bytes.hasBytes(literal, at: cursor.index) else { return false }
                    cursor.index += literal.count
                case .capture(let kind, let name):
                    let start = cursor.index
                    let next = index + 1 < elements.count ? elements[index + 1] : nil
                    guard take(kind, isNamed: name != nil, before: next) else { return false }
                    capture(name, start..<cursor.index)
                }
            }
            return true
        }

        private mutating func take(_ kind: Kind, isNamed: Bool, before next: Element?) -> Bool {
            let start = cursor.index
            switch kind {
            case .ip:
                guard let address = takeAddress() else { return false }
                if !isNamed { ip = address }
            case .number:
                while let byte = cursor.next, byte.isDigit { cursor.index += 1 }
                return (1...longestNumber).contains(cursor.index - start)
            case .word:
                var literal: [UInt8]?
                if case .literal(let bytes)? = next { literal = bytes }
                while let byte = cursor.next, byte > 0x20 {
                    if let literal, cursor.bytes.hasBytes(literal, at: cursor.index) { break }
                    cursor.index += 1
                }
                return cursor.index > start
            case .quoted:
                while let byte = cursor.next, byte != UInt8(ascii: "\"") {
                    cursor.index += byte == UInt8(ascii: "\\") ? 2 : 1
                }
                return !cursor.isAtEnd
            case .time:
                time = LogTime.read(&cursor, receivedAt: receivedAt)
                return time != nil
            case .text, .rest:
                cursor.index = cursor.bytes.count
            }
            return true
        }

        /// Also with a zone (`fe80::1%eth0`), which is dropped, and with a port, a full stop or a colon behind it.
        private mutating func takeAddress() -> IPAddress? {
            let start = cursor.index
            while let byte = cursor.next, byte.isHexadecimalDigit || byte == UInt8(ascii: ".") || byte == UInt8(ascii: ":") {
                cursor.index += 1
                guard cursor.index - start <= longestAddress else { return nil }
            }
            let text = String(decoding: cursor.bytes[start..<cursor.index], as: UTF8.self)
            if let address = IPAddress(text) {
                if cursor.take(UInt8(ascii: "%")) {
                    while let byte = cursor.next, byte.isLowercaseLetter || byte.isDigit { cursor.index += 1 }
                }
                return address
            }
            guard let mark = text.lastIndex(where: { $0 == "." || $0 == ":" }) else { return nil }
            cursor.index = start + text.utf8.distance(from: text.startIndex, to: mark)
            return IPAddress(text[..<mark])
        }
    }
}

extension LinePattern.Element {
    fileprivate var kind: LinePattern.Kind? { if case .capture(let kind, _) = self { kind } else { nil } }
    fileprivate var firstByte: UInt8? { if case .literal(let bytes) = self { bytes.first } else { nil } }
}

extension UnsafeBufferPointer<UInt8> {
    fileprivate func hasBytes(_ expected: [UInt8], at index: Int) -> Bool {
        guard count - index >= expected.count else { return false }
        for offset in expected.indices where self[index + offset] != expected[offset] { return false }
        return true
    }
}

extension UInt8 {
    fileprivate var isLowercaseLetter: Bool { self &- UInt8(ascii: "a") < 26 }
    fileprivate var isHexadecimalDigit: Bool { isDigit || (self | 0x20) &- UInt8(ascii: "a") < 6 }
}
