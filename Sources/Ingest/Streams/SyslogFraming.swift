import Events

/// Syslog messages over a stream, as RFC 6587 has them: each with its length before it (octet counting), or ended by LF, CR LF or
/// NUL. Told apart message by message: a length is digits, a blank, and the `<` of the message.
///
/// A sender whose length is wrong is out of step from then on. Where it shows (behind a counted message comes neither a length nor
/// a `<`), the framing is lost, and the connection should end: the sender begins anew with the next one.
struct SyslogFraming: Framing {
    private enum State {
        case between
        /// Digits, and maybe the blank behind them; not more than `longestHeader`.
        case header
        case counted(remaining: Int)
        /// The rest of a counted message that was too long.
        case skipping(remaining: Int)
        case line
        case lost
    }

    private var state = State.between
    /// The header, or the beginning of a counted message.
    private var unfinished: [UInt8] = []
    private var lines = LineFraming(endsAtNUL: true)
    private var hasCounted = false

    private static let longestHeader = 10
    /// Who claims to send more in one message is out of step, or will be believed to send nothing else for too long.
    private static let longestSkipped = 16 << 20

    var unfinishedBytes: Int { unfinished.count + lines.unfinishedBytes }

    mutating func take(_ bytes: UnsafeRawBufferPointer, _ body: (Frame) -> Void) {
        var rest = bytes
        while !rest.isEmpty {
            switch state {
            case .between: begin(&rest, body)
            case .header: takeHeader(&rest, body)
            case .counted(let remaining): takeCounted(&rest, remaining, body)
            case .skipping(let remaining):
                state = remaining > rest.count ? .skipping(remaining: remaining - rest.count) : .between
                rest = rest.dropFirst(bytes: remaining)
            case .line:
                if lines.takeLine(&rest, body) { state = .between }
            case .lost: return
            }
        }
    }

    mutating func finish(_ body: (Frame) -> Void) {
        switch state {
        case .between, .skipping, .lost: break
        case .header where !hasCounted: unfinished.withUnsafeBytes { body(.message($0)) }
        case .header, .counted: unfinished.withUnsafeBytes { body(.rejected($0, FramingProblem.cutOff)) }
        case .line: lines.finish(body)
        }
        unfinished = []
        state = .between
    }

    private mutating func begin(_ rest: inout UnsafeRawBufferPointer, _ body: (Frame) -> Void) {
        switch rest[0] {
        case .newline, .carriageReturn, 0, .blank:
            rest = rest.dropFirst(bytes: 1)
        case UInt8(ascii: "1")...UInt8(ascii: "9"):
            state = .header
        case .lessThan:
            state = .line
        default:
            if hasCounted { lose(rest, body) } else { state = .line }
        }
    }

    private mutating func takeHeader(_ rest: inout UnsafeRawBufferPointer, _ body: (Frame) -> Void) {
        let byte = rest[0]
        if byte == .lessThan, unfinished.last == .blank {
            let length = unfinished.dropLast().reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
            guard length <= Self.longestSkipped else { return lose(rest, body) }
            state = .counted(remaining: length)
            unfinished.removeAll(keepingCapacity: true)
            hasCounted = true
        } else if unfinished.last != .blank, byte.isDigit || byte == .blank, unfinished.count < Self.longestHeader {
            unfinished.append(byte)
            rest = rest.dropFirst(bytes: 1)
        } else if hasCounted {
            lose(rest, body)
        } else {
            // A line that begins with a number.
            unfinished.withUnsafeBytes { var header = $0; lines.takeLine(&header, body) }
            unfinished.removeAll(keepingCapacity: true)
            state = .line
        }
    }

    private mutating func takeCounted(_ rest: inout UnsafeRawBufferPointer, _ remaining: Int, _ body: (Frame) -> Void) {
        let part = rest.prefix(bytes: remaining)
        if unfinished.count + part.count > EventLimits.report {
            let room = EventLimits.report - unfinished.count
            unfinished.append(contentsOf: part.prefix(bytes: room))
            rest = rest.dropFirst(bytes: room)
            unfinished.withUnsafeBytes { body(.rejected($0, FramingProblem.tooLong)) }
            unfinished = []
            state = .skipping(remaining: remaining - room)
            return
        }
        rest = rest.dropFirst(bytes: part.count)
        if part.count < remaining {
            unfinished.append(contentsOf: part)
            state = .counted(remaining: remaining - part.count)
            return
        }
        state = .between
        if unfinished.isEmpty { return body(.message(part.droppingLineEnds())) }
        unfinished.append(contentsOf: part)
        unfinished.withUnsafeBytes { body(.message($0.droppingLineEnds())) }
        unfinished.removeAll(keepingCapacity: unfinished.capacity <= 2048)
    }

    private mutating func lose(_ rest: UnsafeRawBufferPointer, _ body: (Frame) -> Void) {
        state = .lost
        unfinished.append(contentsOf: rest.prefix(bytes: EventLimits.report - unfinished.count))
        unfinished.withUnsafeBytes { body(.lost($0, FramingProblem.outOfStep)) }
        unfinished = []
    }
}
