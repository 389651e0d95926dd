import Synchronization

/// So many bytes that several may hold together. Keeps the memory bounded that senders can make us use.
final class ByteBudget: Sendable {
    private let left: Atomic<Int>

    init(_ bytes: Int) {
        left = Atomic(bytes)
    }

    /// Takes them if so many are left.
    func take(_ bytes: Int) -> Bool {
        var current = left.load(ordering: .relaxed)
        while current >= bytes {
            let (exchanged, original) = left.weakCompareExchange(expected: current, desired: current - bytes, ordering: .relaxed)
            if exchanged { return true }
            current = original
        }
        return false
    }

    /// Takes them also if they are not left: they are there already. Whoever does looks for room before the next ones come.
    func takeRegardless(_ bytes: Int) {
        left.wrappingSubtract(bytes, ordering: .relaxed)
    }

    var hasRoom: Bool { left.load(ordering: .relaxed) > 0 }

    func give(_ bytes: Int) {
        left.wrappingAdd(bytes, ordering: .relaxed)
    }
}
