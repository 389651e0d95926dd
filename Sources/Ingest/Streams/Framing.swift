import Events

/// What a stream of bytes was cut into. The bytes are there during the call only.
enum Frame {
    /// A whole message, without what ends it. Never empty.
    case message(UnsafeRawBufferPointer)
    /// Bytes that are no message, and why. Of a long one, its beginning.
    case rejected(UnsafeRawBufferPointer, _ why: EventRejection)
    /// No message can be told from the next any more; nothing else comes. The bytes are the beginning of what was read.
    case lost(UnsafeRawBufferPointer, _ why: EventRejection)
}

/// Why something is none.
enum FramingProblem {
    static let tooLong = EventRejection("longer than \(EventLimits.report) bytes")
    static let cutOff = EventRejection("the connection ended within the message")
    static let outOfStep = EventRejection("the length before a message is wrong")
}

/// Cuts a stream into messages, in pieces of any size, and never holds more than one message of the greatest length.
protocol Framing {
    /// What has been read of a message whose end has not.
    var unfinishedBytes: Int { get }

    mutating func take(_ bytes: UnsafeRawBufferPointer, _ body: (Frame) -> Void)

    /// The stream has ended. What has been read of the last message comes now.
    mutating func finish(_ body: (Frame) -> Void)
}

extension UnsafeRawBufferPointer {
    func dropFirst(bytes count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: self[Swift.min(count, self.count)...])
    }

    func prefix(bytes count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: self[..<Swift.min(count, self.count)])
    }

    /// Without line ends and NULs behind it.
    func droppingLineEnds() -> UnsafeRawBufferPointer {
        var count = count
        while count > 0, self[count - 1] == .carriageReturn || self[count - 1] == .newline || self[count - 1] == 0 { count -= 1 }
        return prefix(bytes: count)
    }
}

extension UInt8 {
    static let newline = UInt8(ascii: "\n")
    static let carriageReturn = UInt8(ascii: "\r")
    static let blank = UInt8(ascii: " ")
    static let lessThan = UInt8(ascii: "<")

    var isDigit: Bool { UInt8(ascii: "0") <= self && self <= UInt8(ascii: "9") }
}
