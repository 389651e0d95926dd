/// What a message's content begins with, so that frames need not be parsed to find out which messages they show.
enum Marker {
    private static let sign: StaticString = "~~"
    private static let digits = 8

    static func text(_ number: Int) -> String {
        let hexadecimal = String(number, radix: 16)
        return sign.description + String(repeating: "0", count: digits - hexadecimal.count) + hexadecimal
    }

    /// Calls `body` with each number that stands in `bytes`, in their order.
    static func forEach(in bytes: UnsafeRawBufferPointer, _ body: (Int) -> Void) {
        var position = 0
        while let found = bytes.firstOffset(of: sign, from: position) {
            position = found + sign.utf8CodeUnitCount
            let end = position + digits
            guard end <= bytes.count else { return }
            if let number = Int(String(decoding: bytes[position..<end], as: UTF8.self), radix: 16) { body(number) }
        }
    }
}
