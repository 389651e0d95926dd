import Domain
import Rules
import Testing

@Suite("Syslog messages")
struct SyslogParserTests {
    /// 2026-11-23T02:00:00Z
    private let receivedAt = Instant(microseconds: 1_795_399_200_000_000)

    private func parse(_ text: String) -> LogLine { SyslogParser.parse(Array(text.utf8), receivedAt: receivedAt) }

    /// Seconds since 1970, as GNU date has them.
    private func instant(_ seconds: Int64, microseconds: Int64 = 0) -> Instant {
        Instant(microseconds: seconds * 1_000_000 + microseconds)
    }

    // MARK: RFC 5424

    @Test("of RFC 5424 are taken apart")
    func version5424() {
        let line = parse(
            "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog 812 ID47 "
                + #"[exampleSDID@32473 iut="3" x="a\"]b"][y] An event"#)
        #expect(
            line
                == LogLine(
                    occurredAt: instant(1_065_910_455, microseconds: 3000), host: "mymachine.example.com", program: "evntslog",
                    processID: "812", facility: "local4", severity: .low, messageID: "ID47",
                    structuredData: #"[exampleSDID@32473 iut="3" x="a\"]b"][y]"#, message: "An event"))
    }

    @Test("of RFC 5424 may leave out every field, and mark their text as UTF-8")
    func nilValues() {
        #expect(parse("<34>1 - - - - - -") == LogLine(facility: "auth", severity: .critical, message: ""))
        #expect(
            parse("<34>1 - - su - - - \u{FEFF}'su root' failed")
                == LogLine(program: "su", facility: "auth", severity: .critical, message: "'su root' failed"))
    }

    @Test("with broken structured data keep it in the message", arguments: ["[a b=\"c", "[a]x", "x"])
    func brokenStructuredData(data: String) {
        let line = parse("<13>1 2026-11-23T02:00:00Z web1 app - - \(data)")
        #expect(line.structuredData == nil)
        #expect(line.program == "app")
        #expect(line.message == data)
    }

    // MARK: RFC 3164 and what is near it

    @Test(
        "come in many forms",
        arguments: [
            // RFC 3164's own.
            ("<34>Oct 11 22:14:15 mymachine su: 'su root' failed", "mymachine", "su", nil, "'su root' failed"),
            ("<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!", "10.0.0.99", nil, nil, "Use the BFG!"),
            // What glibc sends: no host.
            ("<38>Nov 23 02:14:17 sshd[26861]: Server listening", nil, "sshd", "26861", "Server listening"),
            ("<37>Nov 23 02:14:11 su[26749] FAILED", nil, "su", "26749", "FAILED"),
            // rsyslog's files, old and new.
            ("Nov 23 02:14:17 web1 postfix/smtpd[7]: from x[1.2.3.4]", "web1", "postfix/smtpd", "7", "from x[1.2.3.4]"),
            ("2026-11-23T02:14:17.123456+01:00 web1 sshd[7]: text", "web1", "sshd", "7", "text"),
            // Days with a zero or a single blank, years, fractions, names of zones.
            ("<13>Nov 03 02:14:17 web1 app: text", "web1", "app", nil, "text"),
            ("<13>Nov 3 02:14:17 web1 app: text", "web1", "app", nil, "text"),
            ("<13>Nov 23 2025 02:14:17 web1 app: text", "web1", "app", nil, "text"),
            ("<13>Nov 23 02:14:17 2025 web1 app: text", "web1", "app", nil, "text"),
            ("<13>Nov 23 02:14:17.123 web1 app: text", "web1", "app", nil, "text"),
            ("<13>Nov 23 02:14:17 CEST web1 app: text", "web1", "app", nil, "text"),
            // Cisco.
            ("<189>45: Nov 23 02:14:17: %SYS-5-CONFIG_I: Configured", nil, "%SYS-5-CONFIG_I", nil, "Configured"),
            ("<189>45: router1: *Nov 23 02:14:17.123 UTC: %SYS-5-RESTART: up", "router1", "%SYS-5-RESTART", nil, "up"),
            ("<166>Nov 23 2025 02:14:17 fw1 : %ASA-6-302013: Built", "fw1", "%ASA-6-302013", nil, "Built"),
            ("<189>: Nov 23 02:14:17 UTC: %LINK-3-UPDOWN: down", nil, "%LINK-3-UPDOWN", nil, "down"),
            // An IPv6 address is no tag.
            ("<13>Nov 23 02:14:17 2001:db8::7 app: text", "2001:db8::7", "app", nil, "text"),
            // Without a time.
            ("<13>app[1]: text", nil, "app", "1", "text"),
            ("<13>just text", nil, nil, nil, "just text"),
            // Without a priority and a time there is nothing to go by.
            ("app: text", nil, nil, nil, "app: text"),
        ] as [(String, String?, String?, String?, String)])
    func forms(text: String, host: String?, program: String?, processID: String?, message: String) {
        let line = parse(text)
        #expect(line.host == host)
        #expect(line.program == program)
        #expect(line.processID == processID)
        #expect(line.message == message)
    }

    @Test(
        "have their time in UTC, unless they say otherwise",
        arguments: [
            ("<13>Nov 23 01:14:17 web1 app: x", 1_795_396_457),
            ("<13>Nov 23 01:14:17 CET web1 app: x", 1_795_396_457),
            ("<13>Nov 23 2025 01:14:17 web1 app: x", 1_763_860_457),
            ("<13>Feb 29 2024 00:00:00 web1 app: x", 1_709_164_800),
            ("2026-11-23T01:14:17+01:00 web1 app: x", 1_795_392_857),
            ("2026-11-23T01:14:17-0130 web1 app: x", 1_795_401_857),
            ("<13>1 2026-11-23T01:14:17Z - - - - -", 1_795_396_457),
            ("<13>1 0001-01-01T00:00:00Z - - - - -", -62_135_596_800),
            ("<13>1 9999-12-31T23:59:60Z - - - - -", 253_402_300_800),
        ])
    func times(text: String, seconds: Int64) {
        #expect(parse(text).occurredAt == instant(seconds))
    }

    @Test("without a year are of the year that brings them nearest to now")
    func nearestYear() {
        let newYear = instant(1_798_761_600)  // 2027-01-01T00:00:00Z
        func parse(_ text: String, at now: Instant) -> Instant? { SyslogParser.parse(Array(text.utf8), receivedAt: now).occurredAt }
        #expect(parse("<13>Dec 31 23:59:59 web1 app: x", at: newYear) == newYear - .seconds(1))
        #expect(parse("<13>Jan  1 00:00:01 web1 app: x", at: newYear - .seconds(5)) == newYear + .seconds(1))
        // There is no leap day near.
        #expect(parse("<13>Feb 29 00:00:00 web1 app: x", at: newYear - .seconds(1)) == nil)
    }

    @Test("with an impossible time are text", arguments: ["Nov 31 01:00:00", "Foo 23 01:00:00", "Nov 23 25:00:00", "Nov 23 1:0:0"])
    func impossibleTimes(time: String) {
        let line = parse("<13>\(time) web1 app: x")
        #expect(line.occurredAt == nil)
        #expect(line.message == "\(time) web1 app: x")
    }

    @Test(
        "are as severe as they say",
        arguments: zip(0...7, [Severity.critical, .critical, .critical, .high, .medium, .low, .low, .low]))
    func severities(code: Int, severity: Severity) {
        let line = parse("<\(10 * 8 + code)>app: x")
        #expect(line.severity == severity)
        #expect(line.facility == "authpriv")
    }

    @Test("with a priority that there is not are text", arguments: ["<192>x", "<>x", "<1234>x", "<13", "<-1>x", "<1a>x"])
    func wrongPriorities(text: String) {
        #expect(parse(text) == LogLine(message: text))
    }

    // MARK: Bytes

    @Test("end where their text ends: line ends and NULs behind it go")
    func trimming() {
        #expect(parse("<13>app: text \r\n\0").message == "text ")
    }

    @Test("have U+FFFD where there is no Unicode, or what PostgreSQL cannot store")
    func invalidText() {
        let bytes: [UInt8] = Array("<13>app: a".utf8) + [0xFF, 0x00, 0xC3] + Array("b".utf8)
        #expect(SyslogParser.parse(bytes, receivedAt: receivedAt).message == "a\u{FFFD}\u{FFFD}\u{FFFD}b")
    }

    @Test("are cut at 64 KiB")
    func longLines() {
        let line = parse("<13>app: " + String(repeating: "x", count: 1 << 20))
        #expect(line.program == "app")
        #expect(line.message.utf8.count == 65536 - "<13>app: ".utf8.count)
    }

    @Test("can be anything")
    func noise() {
        var random = SystemRandomNumberGenerator()
        let pieces = [
            "<13>", "<34>1 ", "Nov 23 02:14:17 ", "2026-11-23T02:14:17Z ", "-", " ", "[", "]", "\"", "\\", ":", ": ", "app[1]: ",
            "[a b=\"c\"]", "\0", "\u{FEFF}", "45: ", "*", "CET ", "web1 ", "9999999999999999999999",
        ].map { Array($0.utf8) }
        for _ in 0..<20_000 {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 0...12, using: &random) {
                if Int.random(in: 0..<4, using: &random) == 0 {
                    bytes.append(UInt8.random(in: .min ... .max, using: &random))
                } else {
                    bytes += pieces.randomElement(using: &random)!
                }
            }
            let line = SyslogParser.parse(bytes, receivedAt: receivedAt)
            let isClean = !line.message.utf8.contains(0)
            #expect(isClean, "\(bytes)")
        }
    }
}
