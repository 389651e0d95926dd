import Domain
import Foundation

/// When things happen in the demo, seen from now. Days are UTC.
struct DemoCalendar {
    /// To the second.
    let now: Instant

    init(now: Instant) {
        self.now = Instant(microseconds: now.seconds * 1_000_000)
    }

    private static let day: Int64 = 24 * 3600

    /// The hours in which people come; those that come twice are twice as likely.
    private static let hours: [Int64] = [7, 8, 8, 9, 9, 10, 10, 11, 12, 13, 14, 14, 15, 16, 16, 17, 18, 19, 19, 20, 20, 21]

    /// When the account was made: at nine o'clock, or a little later.
    func arrival(of person: DemoPerson) -> Instant {
        midnight(daysAgo: person.days) + .seconds(9 * 3600 + Int64(person.name.utf8.count) * 97)
    }

    /// Some moment of that day, mostly by daylight. It may still be to come.
    func moment(daysAgo: Int, _ generator: inout SeededGenerator) -> Instant {
        let hour = Self.hours.randomElement(using: &generator)!
        return midnight(daysAgo: daysAgo) + .seconds(hour * 3600 + Int64.random(in: 0..<3600, using: &generator))
    }

    func isWeekend(daysAgo: Int) -> Bool {
        // 1970 began on a Thursday.
        (midnight(daysAgo: daysAgo).seconds / Self.day + 3) % 7 >= 5
    }

    /// How much is going on: about 1 on a weekday's morning, less at night.
    func business(at moment: Instant) -> Double {
        let hour = moment.seconds % Self.day / 3600
        let share = Double(Self.hours.count { $0 == hour }) / 2
        let daysAgo = Int((midnight(daysAgo: 0).seconds - moment.seconds + Self.day - 1) / Self.day)
        return (0.06 + 0.94 * share) * (isWeekend(daysAgo: daysAgo) ? 0.45 : 1)
    }

    private func midnight(daysAgo: Int) -> Instant {
        Instant(microseconds: (now.seconds / Self.day - Int64(daysAgo)) * Self.day * 1_000_000)
    }
}

extension Instant {
    /// To the second.
    var date: Date { Date(timeIntervalSince1970: TimeInterval(seconds)) }
}
