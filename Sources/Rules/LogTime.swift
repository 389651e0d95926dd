import Domain

/// The ways in which logs write a time. A time without a zone is taken for UTC.
enum LogTime {
    /// Whichever of the formats stands there.
    static func read(_ cursor: inout ByteCursor, receivedAt: Instant) -> Instant? {
        let start = cursor.index
        for format in [readYearFirst, readDayFirst, readSeconds] {
            if let time = format(&cursor) { return time }
            cursor.index = start
        }
        if let time = readMonthFirst(&cursor, receivedAt: receivedAt) { return time }
        cursor.index = start
        return nil
    }

    /// `2026-11-23T01:55:47.123+01:00` and what is near it: a blank instead of the T, slashes instead of dashes, a comma
    /// before the fraction, an offset without a colon or none.
    static func readYearFirst(_ cursor: inout ByteCursor) -> Instant? {
        var time = CivilTime()
        guard let year = cursor.takeNumber(digits: 4...4), let dash = cursor.next,
            dash == UInt8(ascii: "-") || dash == UInt8(ascii: "/"), cursor.take(dash),
            let month = cursor.takeNumber(digits: 2...2), cursor.take(dash), let day = cursor.takeNumber(digits: 2...2),
            cursor.take(UInt8(ascii: "T")) || cursor.take(UInt8(ascii: " ")) || cursor.take(UInt8(ascii: "t")),
            time.readClock(&cursor)
        else { return nil }
        (time.year, time.month, time.day) = (year, month, day)
        time.readOffset(&cursor)
        return time.instant
    }

    /// `23/Nov/2026:01:55:47 +0000`, of access logs.
    static func readDayFirst(_ cursor: inout ByteCursor) -> Instant? {
        var time = CivilTime()
        guard let day = cursor.takeNumber(digits: 2...2), cursor.take(UInt8(ascii: "/")), let month = readMonth(&cursor),
            cursor.take(UInt8(ascii: "/")), let year = cursor.takeNumber(digits: 4...4), cursor.take(UInt8(ascii: ":")),
            time.readClock(&cursor)
        else { return nil }
        (time.year, time.month, time.day) = (year, month, day)
        let end = cursor.index
        if !cursor.take(UInt8(ascii: " ")) || !time.readOffset(&cursor) { cursor.index = end }
        return time.instant
    }

    /// `1795398947.123`: seconds since 1970.
    static func readSeconds(_ cursor: inout ByteCursor) -> Instant? {
        guard let seconds = cursor.takeNumber(digits: 9...11) else { return nil }
        return Instant(microseconds: Int64(seconds) * 1_000_000 + Int64(readFraction(&cursor)))
    }

    /// `Nov 23 01:55:47`, of RFC 3164, also with the year behind the day or the time. Without a year it is in the year that
    /// brings it nearest to `receivedAt`.
    static func readMonthFirst(_ cursor: inout ByteCursor, receivedAt: Instant) -> Instant? {
        var time = CivilTime()
        guard let month = readMonth(&cursor), cursor.take(UInt8(ascii: " ")) else { return nil }
        _ = cursor.take(UInt8(ascii: " "))
        guard let day = cursor.takeNumber(digits: 1...2), cursor.take(UInt8(ascii: " ")) else { return nil }
        (time.month, time.day) = (month, day)
        var year = readYear(&cursor)
        guard time.readClock(&cursor) else { return nil }
        if year == nil, cursor.take(UInt8(ascii: " ")) {
            year = readYear(&cursor)
            // The blank is for whoever reads on.
            cursor.index -= 1
        }
        if let year {
            time.year = year
            return time.instant
        }
        let thisYear = CivilTime.year(of: receivedAt)
        return (thisYear - 1...thisYear + 1)
            .compactMap { year in
                time.year = year
                return time.instant
            }
            .min { abs($0.microseconds - receivedAt.microseconds) < abs($1.microseconds - receivedAt.microseconds) }
    }

    /// A number between 1970 and 2199 with a blank behind it, which is taken too.
    private static func readYear(_ cursor: inout ByteCursor) -> Int? {
        let start = cursor.index
        if let year = cursor.takeNumber(digits: 4...4), (1970...2199).contains(year), cursor.take(UInt8(ascii: " ")) {
            return year
        }
        cursor.index = start
        return nil
    }

    private static let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
        .map { name in name.utf8.reduce(0) { $0 << 8 | UInt32($1) } }

    private static func readMonth(_ cursor: inout ByteCursor) -> Int? {
        guard cursor.bytes.count - cursor.index >= 3 else { return nil }
        // In lower case.
        let name = (0..<3).reduce(UInt32(0)) { $0 << 8 | UInt32(cursor.bytes[cursor.index + $1] | 0x20) }
        guard let month = months.firstIndex(of: name) else { return nil }
        cursor.index += 3
        return month + 1
    }

    /// `.123456` or `,123`, in microseconds; further digits are dropped. 0 when there is none.
    fileprivate static func readFraction(_ cursor: inout ByteCursor) -> Int {
        let start = cursor.index
        guard cursor.take(UInt8(ascii: ".")) || cursor.take(UInt8(ascii: ",")), let first = cursor.next, first.isDigit else {
            cursor.index = start
            return 0
        }
        var microseconds = 0
        var unit = 100_000
        while let digit = cursor.next, digit.isDigit {
            microseconds += Int(digit - UInt8(ascii: "0")) * unit
            unit /= 10
            cursor.index += 1
        }
        return microseconds
    }
}

/// A date and a time of day as they are written down.
private struct CivilTime {
    var year = 1970
    var month = 1
    var day = 1
    var hour = 0
    var minute = 0
    var second = 0
    var microsecond = 0
    /// East of Greenwich.
    var offsetMinutes = 0

    /// `01:55:47`, with or without a fraction.
    mutating func readClock(_ cursor: inout ByteCursor) -> Bool {
        guard let hour = cursor.takeNumber(digits: 1...2), cursor.take(UInt8(ascii: ":")),
            let minute = cursor.takeNumber(digits: 2...2), cursor.take(UInt8(ascii: ":")),
            let second = cursor.takeNumber(digits: 2...2)
        else { return false }
        (self.hour, self.minute, self.second) = (hour, minute, second)
        microsecond = LogTime.readFraction(&cursor)
        return true
    }

    /// `Z`, `+01:00`, `+0100` or `+01`. False when none of them stands there.
    @discardableResult
    mutating func readOffset(_ cursor: inout ByteCursor) -> Bool {
        if cursor.take(UInt8(ascii: "Z")) || cursor.take(UInt8(ascii: "z")) { return true }
        let start = cursor.index
        let isEast = cursor.take(UInt8(ascii: "+"))
        guard isEast || cursor.take(UInt8(ascii: "-")) else { return false }
        var minutes = 0
        if let both = cursor.takeNumber(digits: 4...4) {
            minutes = both / 100 * 60 + both % 100
        } else if let hours = cursor.takeNumber(digits: 2...2) {
            minutes = hours * 60
            if cursor.take(UInt8(ascii: ":")) { minutes += cursor.takeNumber(digits: 2...2) ?? 0 }
        } else {
            cursor.index = start
            return false
        }
        offsetMinutes = isEast ? minutes : -minutes
        return true
    }

    /// Nil for a date that no calendar has.
    var instant: Instant? {
        guard year > 0, (-1440...1440).contains(offsetMinutes) else { return nil }
        return Instant(
            year: year, month: month, day: day, hour: hour, minute: minute, second: second, microsecond: microsecond,
            offsetMinutes: offsetMinutes)
    }

    /// In UTC.
    static func year(of instant: Instant) -> Int {
        // By the average year, and then looked up: it is wrong by one at most.
        let guess = 1970 + Int((Double(instant.microseconds) / 31_556_952_000_000).rounded(.down))
        return (guess - 1...guess + 1).last { CivilTime(year: $0).instant! <= instant } ?? guess
    }
}
