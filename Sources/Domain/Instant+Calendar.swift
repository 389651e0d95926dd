extension Instant {
    /// A date of the Gregorian calendar and a time of day. A leap second (60) is the beginning of the next minute.
    ///
    /// Nil for a date or a time that does not exist, and for years beyond 0 to 9999.
    ///
    /// - Parameter offsetMinutes: of the clock's zone, east of Greenwich.
    public init?(
        year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0, microsecond: Int = 0, offsetMinutes: Int = 0
    ) {
        guard (0...9999).contains(year), (1...12).contains(month), (1...Self.days(inMonth: month, of: year)).contains(day),
            (0...23).contains(hour), (0...59).contains(minute), (0...60).contains(second), (0...999_999).contains(microsecond)
        else { return nil }
        let minutes = (Self.days(since1970: year, month, day) * 24 + hour) * 60 + minute - offsetMinutes
        self.init(microseconds: Int64(minutes * 60 + second) * 1_000_000 + Int64(microsecond))
    }

    private static func days(inMonth month: Int, of year: Int) -> Int {
        switch month {
        case 2: year.isMultiple(of: 4) && (!year.isMultiple(of: 100) || year.isMultiple(of: 400)) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Years are counted from March here, so that the leap day is a year's last; 153 days are five months from March on.
    private static func days(since1970 year: Int, _ month: Int, _ day: Int) -> Int {
        let year = month > 2 ? year : year - 1
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let dayOfYear = ((month + 9) % 12 * 153 + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
