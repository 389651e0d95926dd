extension Instant {
    /// Reads `2026-11-23T01:52:07.25+01:00` (RFC 3339, section 5.6): the letters may be small ones, a space may stand for the T,
    /// and a leap second (`:60`) is the second after it. Digits behind the microseconds are dropped. Nil for anything else, dates
    /// that do not exist and times without an offset included.
    public init?(rfc3339 text: some Collection<UInt8>) {
        var rest = Digits(text.makeIterator())
        guard let year = rest.number(of: 4), rest.take("-"), let month = rest.number(of: 2), rest.take("-"),
            let day = rest.number(of: 2), rest.take("T", "t", " "), let hour = rest.number(of: 2), rest.take(":"),
            let minute = rest.number(of: 2), rest.take(":"), let second = rest.number(of: 2)
        else { return nil }
        var microseconds = 0
        if rest.take(".") {
            var unit = 100_000
            guard var digit = rest.number(of: 1) else { return nil }
            repeat {
                microseconds += digit * unit
                unit /= 10
                digit = rest.number(of: 1) ?? -1
            } while digit >= 0
        }
        var offset = 0
        if !rest.take("Z", "z") {
            let isEast = rest.take("+")
            guard isEast || rest.take("-"), let hours = rest.number(of: 2), rest.take(":"), let minutes = rest.number(of: 2),
                hours < 24, minutes < 60
            else { return nil }
            offset = (hours * 60 + minutes) * (isEast ? 1 : -1)
        }
        guard rest.isAtEnd else { return nil }
        self.init(
            year: year, month: month, day: day, hour: hour, minute: minute, second: second, microsecond: microseconds,
            offsetMinutes: offset)
    }
}

/// Takes numbers of a fixed width and single characters from the front of a text.
private struct Digits<Bytes: IteratorProtocol> where Bytes.Element == UInt8 {
    private var bytes: Bytes
    private var next: UInt8?

    init(_ bytes: Bytes) {
        self.bytes = bytes
        next = self.bytes.next()
    }

    var isAtEnd: Bool { next == nil }

    mutating func number(of width: Int) -> Int? {
        var value: Int = 0
        for _ in 0..<width {
            guard let digit = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            value = value * 10 + Int(digit - UInt8(ascii: "0"))
            next = bytes.next()
        }
        return value
    }

    mutating func take(_ choices: Unicode.Scalar...) -> Bool {
        guard let next, choices.contains(Unicode.Scalar(next)) else { return false }
        self.next = bytes.next()
        return true
    }
}
