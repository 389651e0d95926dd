/// A small random generator whose numbers follow from its seed (SplitMix64, by Steele, Lea and Flood), so that a run can be
/// begun again with the same decisions.
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    /// A generator of its own for each part of the run, so that one part's number of decisions does not change another's.
    func fork(_ name: String, _ index: Int = 0) -> SplitMix64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        var forked = SplitMix64(seed: state ^ hash &+ UInt64(index) &* 0x2545_F491_4F6C_DD1D)
        _ = forked.next()
        return forked
    }

    mutating func chance(_ probability: Double) -> Bool {
        Double.random(in: 0..<1, using: &self) < probability
    }

    mutating func pick<Element>(_ elements: some RandomAccessCollection<Element>) -> Element? {
        elements.randomElement(using: &self)
    }

    /// A UUID of version 4.
    mutating func uuid() -> String {
        let high = next() & ~0xF000 | 0x4000
        let low = next() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        let digits = [high, low].map { half in
            let text = String(half, radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }
        return [
            digits[0].prefix(8), digits[0].dropFirst(8).prefix(4), digits[0].suffix(4), digits[1].prefix(4), digits[1].suffix(12),
        ].joined(separator: "-")
    }
}
