/// Reads bytes from the front.
struct ByteCursor {
    let bytes: UnsafeBufferPointer<UInt8>
    var index = 0

    init(_ bytes: UnsafeBufferPointer<UInt8>, at index: Int = 0) {
        self.bytes = bytes
        self.index = index
    }

    var isAtEnd: Bool { index >= bytes.count }

    /// Nil at the end.
    var next: UInt8? { index < bytes.count ? bytes[index] : nil }

    /// What is left.
    var rest: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(rebasing: bytes[index...]) }

    mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        index += 1
        return true
    }

    /// A decimal number of so many digits, with no digit behind it.
    mutating func takeNumber(digits allowed: ClosedRange<Int>) -> Int? {
        var value = 0
        var end = index
        while end < bytes.count, bytes[end].isDigit {
            guard end - index < allowed.upperBound else { return nil }
            value = value * 10 + Int(bytes[end] - UInt8(ascii: "0"))
            end += 1
        }
        guard allowed.contains(end - index) else { return nil }
        index = end
        return value
    }

    /// All up to the next blank or the end. May be empty.
    mutating func takeWord() -> UnsafeBufferPointer<UInt8> {
        let start = index
        while index < bytes.count, bytes[index] != UInt8(ascii: " ") { index += 1 }
        return UnsafeBufferPointer(rebasing: bytes[start..<index])
    }
}

extension UInt8 {
    var isDigit: Bool { self &- UInt8(ascii: "0") < 10 }
}
