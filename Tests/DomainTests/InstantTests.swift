import Domain
import Testing

@Suite("Moments as text")
struct InstantTests {
    @Test("RFC 3339 is read", arguments: [
        ("1970-01-01T00:00:00Z", 0), ("2026-11-23T01:59:59.123456Z", 1_795_399_199_123_456),
        ("2026-11-23t01:59:59.1z", 1_795_399_199_100_000), ("2026-11-23 01:59:59Z", 1_795_399_199_000_000),
        ("2026-11-23T01:59:59.1234569999Z", 1_795_399_199_123_456), ("2026-11-23T02:59:59+01:00", 1_795_399_199_000_000),
        ("2026-11-22T20:29:59-05:30", 1_795_399_199_000_000), ("2026-11-23T01:59:59-00:00", 1_795_399_199_000_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000_000), ("2024-02-29T00:00:00Z", 1_709_164_800_000_000),
        ("2000-02-29T00:00:00Z", 951_782_400_000_000), ("1969-12-31T23:59:59.999999Z", -1),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000), ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
    ] as [(String, Int64)])
    func rfc3339(text: String, microseconds: Int64) {
        #expect(Instant(rfc3339: text.utf8)?.microseconds == microseconds)
    }

    @Test("anything else is not", arguments: [
        "", "2026", "2026-11-23", "2026-11-23T01:59Z", "2026-11-23T01:59:59", "2026-11-23T01:59:59.Z", "2026-11-23T01:59:59,5Z",
        "2026-11-23T01:59:59+0100", "2026-11-23T01:59:59+01", "2026-11-23T01:59:59+24:00", "2026-11-23T24:00:00Z",
        "2026-11-23T01:60:00Z", "2026-11-23T01:59:61Z", "2026-00-01T00:00:00Z", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z", "2026-01-00T00:00:00Z", "26-11-23T01:59:59Z", "2026-11-23T01:59:59ZZ", "+2026-11-23T01:59:59Z",
        "2026-11-23T01:59:59Z ", "２026-11-23T01:59:59Z",
    ])
    func notRFC3339(text: String) {
        #expect(Instant(rfc3339: text.utf8) == nil)
    }

    @Test("every day of four centuries follows the one before")
    func calendar() {
        var day = 0
        var isGapless = true
        for year in 1900...2299 {
            for month in 1...12 {
                for date in 1...31 {
                    func padded(_ value: Int, _ width: Int) -> String { String(String(100_000 + value).suffix(width)) }
                    let text = "\(padded(year, 4))-\(padded(month, 2))-\(padded(date, 2))T00:00:00Z"
                    guard let moment = Instant(rfc3339: text.utf8) else { continue }
                    isGapless = isGapless && moment.microseconds == Int64(day - 25_567) * 86_400_000_000
                    day += 1
                }
            }
        }
        #expect(isGapless)
        #expect(day == 146_097)
    }
}
