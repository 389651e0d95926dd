/// How much room something takes, in bytes.
public struct ByteCount: Hashable, Comparable, Sendable {
    public let bytes: Int

    public init(_ bytes: Int) {
        self.bytes = bytes
    }

    public static func < (left: ByteCount, right: ByteCount) -> Bool { left.bytes < right.bytes }
}

extension ByteCount: CustomStringConvertible {
    private static let units = ["kB", "MB", "GB", "TB", "PB", "EB"]

    /// For people, in decimal units, rounded to one digit after the point: `999 B`, `1.2 GB`.
    public var description: String {
        guard bytes.magnitude >= 1000 else { return "\(bytes) B" }
        var unit = 0
        // In bytes: what a tenth of the unit is, of which 10,000 are the next unit.
        var tenth: UInt = 100
        while (bytes.magnitude + tenth / 2) / tenth >= 10_000, unit < Self.units.count - 1 {
            unit += 1
            tenth *= 1000
        }
        let tenths = (bytes.magnitude + tenth / 2) / tenth
        return "\(bytes < 0 ? "-" : "")\(tenths / 10).\(tenths % 10) \(Self.units[unit])"
    }
}
