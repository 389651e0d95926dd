/// Makes inputs for parsers: one of the corpus, changed at a few places, cut, repeated or joined with another; or noise.
///
/// An input follows from the seed and its number, so that any of them can be made again by itself.
public struct InputGenerator: Sendable {
    private let seed: UInt64

    public init(seed: UInt64) {
        self.seed = seed
    }

    /// The input of a number.
    public func input(_ number: Int) -> [UInt8] {
        var random = SplitMix64(seed: seed ^ UInt64(number) &* 0xD134_2543_DE82_EF95)
        if random.once(in: 50) { return Self.noise(&random) }
        var input = random.pick(Corpus.seeds)
        for _ in 0..<(1 << random.number(below: 5)) { Self.change(&input, &random) }
        if random.once(in: 10_000) { Self.lengthen(&input, to: 1 << 20, &random) }
        return input
    }

    private static func noise(_ random: inout SplitMix64) -> [UInt8] {
        (0..<random.number(below: 300)).map { _ in random.byte() }
    }

    private static func change(_ input: inout [UInt8], _ random: inout SplitMix64) {
        let place = random.number(below: input.count + 1)
        let end = min(input.count, place + random.number(below: random.once(in: 4) ? input.count + 1 : 8))
        switch random.number(below: 12) {
        case 0: if place < input.count { input[place] = random.byte() }
        case 1: if place < input.count { input[place] ^= 1 << UInt8(random.number(below: 8)) }
        case 2, 3: input.insert(contentsOf: random.pick(Corpus.pieces), at: place)
        case 4: input.replaceSubrange(place..<end, with: random.pick(Corpus.pieces))
        case 5: input.removeSubrange(place..<end)
        case 6: input.removeSubrange(place...)
        case 7: input.insert(contentsOf: input[place..<end], at: random.number(below: input.count + 1))
        case 8: input.replaceSubrange(place..., with: random.pick(Corpus.seeds))
        case 9: replaceValue(in: &input, &random)
        case 10: nest(&input, place..<end, &random)
        default: if random.once(in: 200) { lengthen(&input, to: 100 + random.number(below: 100_000), &random) }
        }
    }

    /// Puts something else in the place of a JSON member's value, so that the rest stays readable.
    private static func replaceValue(in input: inout [UInt8], _ random: inout SplitMix64) {
        let colons = input.indices.filter { input[$0] == UInt8(ascii: ":") }
        guard !colons.isEmpty else { return }
        let start = random.pick(colons) + 1
        let ends: [UInt8] = Array(",}]\n".utf8)
        let end = input[start...].firstIndex { ends.contains($0) } ?? input.count
        var value = random.pick(random.once(in: 2) ? Corpus.pieces : Corpus.seeds)
        if !random.once(in: 3) { value = [UInt8(ascii: "\"")] + value.filter { $0 != UInt8(ascii: "\"") } + [UInt8(ascii: "\"")] }
        input.replaceSubrange(start..<end, with: value)
    }

    private static func nest(_ input: inout [UInt8], _ range: Range<Int>, _ random: inout SplitMix64) {
        let depth = random.once(in: 300) ? random.number(below: 20_000) : random.number(below: 40)
        let (opening, closing) = random.pick([("[", "]"), (#"{"a":"#, "}"), ("[[", "]")])
        let opened = Array(String(repeating: opening, count: depth).utf8)
        let closed = Array(String(repeating: closing, count: depth).utf8)
        input.replaceSubrange(range, with: opened + input[range] + closed)
    }

    /// Repeats a part of the input until it is that long.
    private static func lengthen(_ input: inout [UInt8], to length: Int, _ random: inout SplitMix64) {
        guard !input.isEmpty, input.count < length else { return }
        let start = random.number(below: input.count)
        let part = input[start..<min(input.count, start + 1 + random.number(below: 100))]
        var middle: [UInt8] = []
        middle.reserveCapacity(length)
        while middle.count + input.count < length { middle += part }
        input.insert(contentsOf: middle, at: start)
    }
}
