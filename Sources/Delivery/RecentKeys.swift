import Domain

/// The keys of events that came in lately.
///
/// Two generations: when the younger one is full it becomes the older one, and what that held is forgotten. So the last 250,000
/// keys at least are known, and half a million at most, in up to 16 MiB. Forgetting is harmless: PostgreSQL knows all keys, and has
/// the last word.
struct RecentKeys {
    private var younger = KeyTable()
    private var older = KeyTable()
    private let generationSize: Int

    /// - Parameter generationSize: how many keys a generation holds.
    init(generationSize: Int = 250_000) {
        self.generationSize = generationSize
    }

    /// False if it is known already.
    mutating func insert(_ key: UUIDBits) -> Bool {
        if older.contains(key) { return false }
        guard younger.insert(key) else { return false }
        if younger.count >= generationSize {
            older = younger
            younger = KeyTable()
        }
        return true
    }

    mutating func remove(_ key: UUIDBits) {
        younger.remove(key)
        older.remove(key)
    }
}

/// A hash table with open addressing. Keys are hashes already, so their low bits say where they belong.
private struct KeyTable {
    /// An empty place: no event has this key.
    private static let empty = UUIDBits.lowest

    private var places = [UUIDBits](repeating: empty, count: 1024)
    private(set) var count = 0

    private var mask: Int { places.count - 1 }

    /// Where the key is, or the empty place at which the search for it ends.
    private func place(of key: UUIDBits) -> Int {
        var place = Int(truncatingIfNeeded: key.low) & mask
        while places[place] != Self.empty, places[place] != key { place = (place + 1) & mask }
        return place
    }

    func contains(_ key: UUIDBits) -> Bool { places[place(of: key)] != Self.empty }

    /// False if it is there already.
    mutating func insert(_ key: UUIDBits) -> Bool {
        let place = place(of: key)
        guard places[place] == Self.empty else { return false }
        places[place] = key
        count += 1
        if count * 2 > places.count { grow() }
        return true
    }

    private mutating func grow() {
        let keys = places
        places = [UUIDBits](repeating: Self.empty, count: keys.count * 2)
        for key in keys where key != Self.empty { places[place(of: key)] = key }
    }

    mutating func remove(_ key: UUIDBits) {
        var hole = place(of: key)
        guard places[hole] != Self.empty else { return }
        count -= 1
        // What stands behind it without a gap may have been meant for its place or one before it: it moves up, so that the
        // search for it does not end at the hole.
        var next = (hole + 1) & mask
        while places[next] != Self.empty {
            let home = Int(truncatingIfNeeded: places[next].low) & mask
            if (next - home) & mask >= (next - hole) & mask {
                places[hole] = places[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        places[hole] = Self.empty
    }
}
