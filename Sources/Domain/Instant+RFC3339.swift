extension Instant {
    /// Reads `2026-11-23T01:52:07.25+01:00` (RFC 3339, section 5.6): the letters may be small ones, a space may stand for the T,
    /// and a leap second (`:60`) is the second after it. Digits behind the microseconds are dropped. Nil for anything else, dates
    /// that do not exist and times without an offset included.
    public init?(rfc3339 text: some Collection<UInt8>) {
        var rest = Digits(text.makeIterator())
        guard let year = rest.number(of: 4), rest.take("-"), let month = rest.number(of: 2), rest.take("-"),
            let day = rest.number(of: 2), rest.take("T", "t", " "), let hour = rest.number(of: 2), rest.take(":"),
            let minute = rest.number(of: 2), rest.take(":"), let second = rest.number(of: 2),
            (1...12).contains(month), (1...Self.days(inMonth: month, of: year)).contains(day), hour < 24, minute < 60, second <= 60
        else { return nil }
        var microseconds: Int64 = 0
        if rest.take(".") {
            var unit: Int64 = 100_000
            guard var digit = rest.number(of: 1) else { return nil }
            repeat {
                microseconds += digit * unit
                unit /= 10
                digit = rest.number(of: 1) ?? -1
            } while digit >= 0
        }
        var offset: Int64 = 0
        if !rest.take("Z", "z") {
            let isEast = rest.take("+")
            guard isEast || rest.take("-"), let hours = rest.number(of: 2), rest.take(":"), let minutes = rest.number(of: 2),
                hours < 24, minutes < 60
            else { return nil }
            offset = (hours * 60 + minutes) * (isEast ? 60 : -60)
        }
        guard rest.isAtEnd else { return nil }
        let seconds = Self.days(since1970: year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset
        self.init(microseconds: seconds * 1_000_000 + microseconds)
    }

    private static func days(inMonth month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days from 1970-01-01 to a date of the Gregorian calendar. Years are counted from March here, so that the leap day is a
    /// year's last; 153 days are five months from March on.
    private static func days(since1970 year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let year = month > 2 ? year : year - 1
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
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

    mutating func number(of width: Int) -> Int64? {
        var value: Int64 = 0
        for _ in 0..<width {
            guard let digit = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            value = value * 10 + Int64(digit - UInt8(ascii: "0"))
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
