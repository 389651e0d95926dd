import Events
@testable import Ingest
import Testing

@Suite struct FramingTests {
    @Test("lines are the same in whatever pieces they come", arguments: [
        ("one\ntwo\r\n\n\r\nthree", ["one", "two", "three"]),
        ("{\"a\":1}\n\u{FEFF}x\n", ["{\"a\":1}", "\u{FEFF}x"]),
        ("\n\n", []),
        ("a\rb\n", ["a\rb"]),
    ])
    func lines(text: String, lines: [String]) {
        for pieces in Pieces.all(of: Array(text.utf8)) { #expect(Pieces.frames(LineFraming(), pieces) == lines) }
    }

    @Test("syslog messages are the same in whatever pieces they come", arguments: [
        // Octet counting, with and without line ends inside and behind.
        ("5 <1>ab8 <2>c\nd\r\n", ["<1>ab", "<2>c\nd"]),
        ("5 <1>ab\n6 <2>abc", ["<1>ab", "<2>abc"]),
        // Ended by LF, CR LF or NUL, and not at all.
        ("<1>a\n<2>b\r\n<3>c\0<4>d", ["<1>a", "<2>b", "<3>c", "<4>d"]),
        // Both on one connection.
        ("<1>a\n5 <1>ab<2>c\n7 <1>d\ne\n", ["<1>a", "<1>ab", "<2>c", "<1>d\ne"]),
        // A line without priority, and lines that begin with a number.
        ("hello\n12 monkeys\n2026-11-23 x\n1234567890123\n", ["hello", "12 monkeys", "2026-11-23 x", "1234567890123"]),
        ("12", ["12"]),
        // A length that is too large, and one that is too small.
        ("50 <1>ab", ["rejected: <1>ab"]),
        ("4 <1>abc5 <2>de", ["<1>a", "lost: bc5 <2>de"]),
        ("5 <1>ab12x", ["<1>ab", "lost: 12x"]),
        ("99999999 <1>ab\n", ["lost: 99999999 <1>ab\n"]),
    ])
    func syslog(text: String, messages: [String]) {
        for pieces in Pieces.all(of: Array(text.utf8)) {
            let frames = Pieces.frames(SyslogFraming(), pieces)
            // Of what cannot be told apart, it is the beginning that is kept: as much as was there.
            let isRight = frames.count == messages.count && zip(frames, messages).allSatisfy { frame, message in
                frame == message || frame.hasPrefix("lost: ") && message.hasPrefix(frame)
            }
            #expect(isRight, "\(frames)")
        }
    }

    @Test("a message that is too long is cut, rejected once and passed over, and the next one is whole", arguments: [false, true])
    func tooLong(isCounted: Bool) {
        let text = "<1>" + String(repeating: "x", count: 1 << 20)
        let bytes = Array(((isCounted ? "\(text.utf8.count) \(text)" : text + "\n") + "<2>next\n").utf8)
        for size in [1 << 20 + 100, 65_536, 65_537, 1000] {
            let pieces = stride(from: 0, to: bytes.count, by: size).map { Array(bytes[$0..<min($0 + size, bytes.count)]) }
            let frames = Pieces.frames(SyslogFraming(), pieces)
            #expect(frames.count == 2)
            #expect(frames.first?.utf8.count == "rejected: ".utf8.count + EventLimits.report)
            #expect(frames.last == "<2>next")
        }
    }

    @Test("no bytes break the framing, and it never holds more than one message", arguments: 0..<20)
    func noise(round: Int) {
        var generator = SystemRandomNumberGenerator()
        let interesting = Array("0123456789 <>\n\r\0a{".utf8)
        var syslog = SyslogFraming()
        var lines = LineFraming()
        for _ in 0..<2000 {
            let piece = (0..<Int.random(in: 1...200)).map { _ in
                Bool.random(using: &generator) ? interesting.randomElement(using: &generator)! : UInt8.random(in: 0...255)
            }
            piece.withUnsafeBytes { syslog.take($0) { _ in } }
            piece.withUnsafeBytes { lines.take($0) { _ in } }
            #expect(syslog.unfinishedBytes <= 2 * EventLimits.report)
            #expect(lines.unfinishedBytes <= EventLimits.report)
        }
    }
}

/// Ways to cut bytes.
private enum Pieces {
    /// Byte by byte, in one piece, and in two pieces at every place.
    static func all(of bytes: [UInt8]) -> [[[UInt8]]] {
        [bytes.map { [$0] }, [bytes]] + bytes.indices.map { [Array(bytes[..<$0]), Array(bytes[$0...])] }
    }

    static func frames(_ framing: some Framing, _ pieces: [[UInt8]]) -> [String] {
        var framing = framing
        var frames: [String] = []
        func note(_ frame: Frame) {
            switch frame {
            case .message(let bytes): frames.append(String(decoding: bytes, as: UTF8.self))
            case .rejected(let bytes, _): frames.append("rejected: " + String(decoding: bytes, as: UTF8.self))
            case .lost(let bytes, _): frames.append("lost: " + String(decoding: bytes, as: UTF8.self))
            }
        }
        for piece in pieces { piece.withUnsafeBytes { framing.take($0, note) } }
        framing.finish(note)
        return frames
    }
}
