import Domain

/// SplitMix64: the same seed gives the same numbers, on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }

    mutating func chance(_ probability: Double) -> Bool { Double.random(in: 0..<1, using: &self) < probability }

    /// A UUIDv7 of that moment.
    mutating func uuid(at moment: Instant) -> UUIDBits {
        let milliseconds = UInt64(moment.microseconds / 1_000)
        return UUIDBits(
            high: milliseconds << 16 | 0x7000 | (next() & 0x0FFF), low: 0x8000_0000_0000_0000 | (next() & 0x3FFF_FFFF_FFFF_FFFF))
    }
}
