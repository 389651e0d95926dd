/// A dictionary that forgets what has not been asked for in a while, instead of growing without bound.
///
/// Two halves: entries go into the young one; when it is full it becomes the old one, whose content is dropped. A hit in
/// the old half moves the entry to the young one. That is nearly least-recently-used, at the price of a dictionary.
struct BoundedCache<Key: Hashable, Value> {
    private var young: [Key: Value] = [:]
    private var old: [Key: Value] = [:]
    private let half: Int

    init(capacity: Int) {
        half = max(1, capacity / 2)
    }

    mutating func value(for key: Key) -> Value? {
        if let value = young[key] { return value }
        guard let value = old.removeValue(forKey: key) else { return nil }
        insert(value, for: key)
        return value
    }

    mutating func insert(_ value: Value, for key: Key) {
        if young.count >= half, young[key] == nil {
            old = young
            young = [:]
        }
        young[key] = value
    }

    mutating func remove(_ key: Key) {
        young[key] = nil
        old[key] = nil
    }

    /// Looks at every entry.
    mutating func removeAll(where isUnwanted: (Value) -> Bool) {
        young = young.filter { !isUnwanted($0.value) }
        old = old.filter { !isUnwanted($0.value) }
    }

    mutating func removeAll() {
        young = [:]
        old = [:]
    }

    /// At most the capacity.
    var count: Int { young.count + old.count }
}
