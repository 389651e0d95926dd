import Events
#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Lines that end with LF or CR LF. Empty ones are passed over.
struct LineFraming: Framing {
    /// Some programs end syslog messages with NUL.
    private let endsAtNUL: Bool
    private var unfinished: [UInt8] = []
    /// In a line that has been rejected for its length.
    private var isSkipping = false

    init(endsAtNUL: Bool = false) {
        self.endsAtNUL = endsAtNUL
    }

    var unfinishedBytes: Int { unfinished.count }

    mutating func take(_ bytes: UnsafeRawBufferPointer, _ body: (Frame) -> Void) {
        var rest = bytes
        while !rest.isEmpty { takeLine(&rest, body) }
    }

    /// Takes bytes up to the next end of a line, or all.
    ///
    /// - Returns: whether a line has ended.
    @discardableResult
    mutating func takeLine(_ rest: inout UnsafeRawBufferPointer, _ body: (Frame) -> Void) -> Bool {
        let end = endOfLine(in: rest)
        let part = rest.prefix(bytes: end ?? rest.count)
        rest = rest.dropFirst(bytes: end.map { $0 + 1 } ?? rest.count)
        if isSkipping {
            isSkipping = end == nil
        } else if unfinished.count + part.count > EventLimits.report {
            unfinished.append(contentsOf: part.prefix(bytes: EventLimits.report - unfinished.count))
            giveUnfinished { body(.rejected($0, FramingProblem.tooLong)) }
            isSkipping = end == nil
        } else if end == nil {
            unfinished.append(contentsOf: part)
        } else if unfinished.isEmpty {
            Self.give(part, body)
        } else {
            unfinished.append(contentsOf: part)
            giveUnfinished { Self.give($0, body) }
        }
        return end != nil
    }

    mutating func finish(_ body: (Frame) -> Void) {
        giveUnfinished { Self.give($0, body) }
        isSkipping = false
    }

    private static func give(_ line: UnsafeRawBufferPointer, _ body: (Frame) -> Void) {
        let line = line.last == .carriageReturn ? line.prefix(bytes: line.count - 1) : line
        if !line.isEmpty { body(.message(line)) }
    }

    private mutating func giveUnfinished(_ body: (UnsafeRawBufferPointer) -> Void) {
        unfinished.withUnsafeBytes(body)
        // Thousands of connections may keep what a long line needed.
        unfinished.removeAll(keepingCapacity: unfinished.capacity <= 2048)
    }

    private func endOfLine(in bytes: UnsafeRawBufferPointer) -> Int? {
        let newline = bytes.find(.newline)
        guard endsAtNUL else { return newline }
        return bytes.prefix(bytes: newline ?? bytes.count).find(0) ?? newline
    }
}

extension UnsafeRawBufferPointer {
    /// Where the byte is first.
    func find(_ byte: UInt8) -> Int? {
        guard let baseAddress, let found = memchr(baseAddress, Int32(byte), count) else { return nil }
        return UnsafeRawPointer(found) - baseAddress
    }
}
