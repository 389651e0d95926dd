import Domain
import Rules

/// Finds out when so many events of one kind have occurred within a time. Knows nothing of the database.
///
/// Events may come in any order, and more than once: each is put in its place in time, and what is around it is looked at again.
struct Detector: Sendable {
    /// What a rule counts apart.
    private struct Place: Hashable {
        let rule: Int
        let key: String
    }

    /// How many occurrences are remembered; beyond, those that came first are forgotten.
    private let capacity: Int
    private let rules: [DetectionRule]
    private let rulesOfType: [String: [Int]]
    /// Sorted by time.
    private var occurrences: [Place: [Occurrence]] = [:]
    /// In the order in which they came; those before `oldest` are forgotten.
    private var arrivals: [(place: Place, occurrence: Occurrence)] = []
    private var oldest = 0

    init(rules: [DetectionRule], capacity: Int = 100_000) {
        self.rules = rules
        self.capacity = capacity
        rulesOfType = rules.enumerated().reduce(into: [:]) { indexes, rule in
            for type in Set(rule.element.when.types) { indexes[type, default: []].append(rule.offset) }
        }
    }

    /// The types of events that rules count.
    var types: [String] { rulesOfType.keys.sorted() }

    /// Takes events in, and gives what they bring to light, for each rule and key at most once in the rule's quiet time.
    mutating func add(_ events: some Sequence<StoredEvent>) -> [Detection] {
        var touched: [Place: ClosedRange<Instant>] = [:]
        for event in events {
            for index in rulesOfType[event.type] ?? [] where event.meets(rules[index].when) {
                let rule = rules[index]
                guard let key = event.value(of: rule.by) else { continue }
                let value = rule.distinct.flatMap { event.value(of: $0) }
                guard rule.distinct == nil || value != nil else { continue }
                let place = Place(rule: index, key: key)
                guard insert(Occurrence(moment: event.occurredAt, id: event.id, value: value), at: place) else { continue }
                let range = touched[place] ?? event.occurredAt...event.occurredAt
                touched[place] = min(range.lowerBound, event.occurredAt)...max(range.upperBound, event.occurredAt)
            }
        }
        let detections = touched.flatMap { findings(at: $0, around: $1) }
        forgetOldest()
        return detections.sorted { $0.last < $1.last }
    }

    /// - Returns: whether it was not there yet.
    private mutating func insert(_ occurrence: Occurrence, at place: Place) -> Bool {
        let index = occurrences[place, default: []].firstIndex(atLeast: occurrence)
        if let all = occurrences[place], index < all.count, all[index] == occurrence { return false }
        occurrences[place, default: []].insert(occurrence, at: index)
        arrivals.append((place, occurrence))
        return true
    }

    private mutating func forgetOldest() {
        while arrivals.count - oldest > capacity {
            let (place, occurrence) = arrivals[oldest]
            oldest += 1
            if let index = occurrences[place]?.firstIndex(atLeast: occurrence) { occurrences[place]?.remove(at: index) }
            if occurrences[place]?.isEmpty == true { occurrences[place] = nil }
        }
        if oldest > capacity {
            arrivals.removeFirst(oldest)
            oldest = 0
        }
    }

    /// Moves a window over the occurrences whose count a change within `range` can have altered.
    private func findings(at place: Place, around range: ClosedRange<Instant>) -> [Detection] {
        let rule = rules[place.rule]
        let all = occurrences[place] ?? []
        let start = all.firstIndex(
            atLeast: Occurrence(moment: range.lowerBound - rule.within, id: SecurityEventID(.lowest), value: nil))
        var first = start
        var values: [String: Int] = [:]
        var found: [Detection] = []
        for (last, occurrence) in all.enumerated().dropFirst(start) {
            guard occurrence.moment <= range.upperBound + rule.within else { break }
            if let value = occurrence.value { values[value, default: 0] += 1 }
            while occurrence.moment - all[first].moment > rule.within {
                if let value = all[first].value, let count = values[value] { values[value] = count > 1 ? count - 1 : nil }
                first += 1
            }
            let count = rule.distinct == nil ? last - first + 1 : values.count
            guard count >= rule.count, occurrence.moment >= range.lowerBound else { continue }
            if let previous = found.last, occurrence.moment - previous.last < rule.quiet { continue }
            found.append(
                Detection(
                    rule: rule, key: place.key, count: count, first: all[first].moment, last: occurrence.moment,
                    events: all[first...last].suffix(Detection.maximumEvents).reversed().map(\.id)))
        }
        return found
    }
}

extension [Occurrence] {
    /// The index of the first element that is not less than `occurrence`, in a sorted array.
    fileprivate func firstIndex(atLeast occurrence: Occurrence) -> Int {
        // Most events come in the order of time.
        guard let last, !(last < occurrence) else { return count }
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle] < occurrence { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
