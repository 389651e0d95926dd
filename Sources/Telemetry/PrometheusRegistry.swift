import CoreMetrics
import Synchronization

/// A process's metrics, and their page for Prometheus (text exposition format 0.0.4).
///
/// Names are made fit for Prometheus: other characters become `_`, counters end in `_total`, timers become histograms in
/// seconds whose names end in `_seconds`. Making the same metric twice gives the same one.
///
/// Callers keep their metric objects: looking one up takes a lock and builds text; using one is an atomic addition, or a
/// short lock for histograms.
public final class PrometheusRegistry: MetricsFactory {
    /// Value of the page's `Content-Type` header.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// Seconds, for timers: from a cached answer to a hanging one.
    public static let timerBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

    /// For recorders, whose unit is not known: sizes, counts.
    public static let recorderBuckets: [Double] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 5000, 10_000, 100_000, 1_000_000]

    private let families = Mutex<[String: Family]>([:])
    private let descriptions: [String: MetricDescription]
    private let maximumSeries: Int
    private let preparations = Mutex<[@Sendable () -> Void]>([])

    private enum Kind: String {
        case counter, gauge, histogram
    }

    private struct Family {
        let kind: Kind
        let buckets: [Double]
        /// By their labels, as written between the braces.
        var series: [String: any Series] = [:]
    }

    /// - Parameters:
    ///   - descriptions: what the metrics mean.
    ///   - maximumSeries: of one name. Metrics with further label values share one series, whose labels all say `other`, so that a
    ///     label taken from outside cannot fill the memory.
    public init(descriptions: [MetricDescription] = MetricCatalog.all, maximumSeries: Int = 1000) {
        self.descriptions = Dictionary(uniqueKeysWithValues: descriptions.map { ($0.name, $0) })
        self.maximumSeries = maximumSeries
    }

    // MARK: MetricsFactory

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(label, .counter, suffix: "_total", dimensions) { _ in CounterSeries() }
    }

    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(label, .gauge, dimensions) { _ in GaugeSeries() }
    }

    public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        guard aggregate else { return series(label, .gauge, dimensions) { _ in GaugeSeries() } }
        return series(label, .histogram, dimensions, buckets: Self.recorderBuckets) { HistogramSeries(bounds: $0) }
    }

    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        series(label, .histogram, suffix: "_seconds", dimensions, buckets: Self.timerBuckets) { HistogramSeries(bounds: $0) }
    }

    public func destroyCounter(_ handler: any CounterHandler) { forget(handler) }
    public func destroyMeter(_ handler: any MeterHandler) { forget(handler) }
    public func destroyRecorder(_ handler: any RecorderHandler) { forget(handler) }
    public func destroyTimer(_ handler: any TimerHandler) { forget(handler) }

    private func series<Value: Series>(
        _ label: String, _ kind: Kind, suffix: String = "", _ dimensions: [(String, String)], buckets: [Double] = [],
        make: ([Double]) -> Value
    ) -> Value {
        var name = PrometheusText.name(label)
        if !name.hasSuffix(suffix) { name += suffix }
        return families.withLock { families in
            var family = families[name] ?? Family(kind: kind, buckets: descriptions[name]?.buckets ?? buckets)
            precondition(family.kind == kind, "metric \(name) is a \(family.kind.rawValue) and cannot be a \(kind.rawValue) too")
            var labels = PrometheusText.labels(dimensions)
            if family.series[labels] == nil, family.series.count >= maximumSeries {
                labels = PrometheusText.labels(dimensions.map { ($0.0, "other") })
            }
            if let known = family.series[labels] as? Value { return known }
            let made = make(family.buckets)
            family.series[labels] = made
            families[name] = family
            return made
        }
    }

    private func forget(_ handler: AnyObject) {
        families.withLock { families in
            for (name, var family) in families {
                guard let entry = family.series.first(where: { $0.value === handler }) else { continue }
                family.series[entry.key] = nil
                families[name] = family.series.isEmpty ? nil : family
                return
            }
        }
    }

    // MARK: The page

    /// Has `body` called before each page, to set gauges that follow something else. Those set by one call are of one moment.
    public func beforeRendering(_ body: @escaping @Sendable () -> Void) {
        preparations.withLock { $0.append(body) }
    }

    /// The page's body: families and series in the order of their names, then the process's own figures.
    public func render() -> [UInt8] {
        for prepare in preparations.withLock({ $0 }) { prepare() }
        let families = families.withLock { $0 }
        var text = PrometheusText()
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            text.head(name, help: descriptions[name]?.help, type: family.kind.rawValue)
            for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
                series.render(name: name, labels: labels, into: &text)
            }
        }
        show("attune_build_info", "gauge", labels: PrometheusText.labels([("version", attuneVersion)]), "1", in: &text)
        ProcessFigures.forEach { name, type, value in show(name, type, value, in: &text) }
        return text.bytes
    }

    private func show(_ name: String, _ type: String, labels: String = "", _ value: String, in text: inout PrometheusText) {
        text.head(name, help: descriptions[name]?.help, type: type)
        text.sample(name, labels, value)
    }
}

/// One metric with one set of label values.
private protocol Series: AnyObject, Sendable {
    func render(name: String, labels: String, into text: inout PrometheusText)
}

private final class CounterSeries: CounterHandler, Series {
    private let count = Atomic<Int64>(0)

    func increment(by amount: Int64) { count.wrappingAdd(amount, ordering: .relaxed) }
    func reset() { count.store(0, ordering: .relaxed) }

    func render(name: String, labels: String, into text: inout PrometheusText) {
        text.sample(name, labels, "\(count.load(ordering: .relaxed))")
    }
}

private final class GaugeSeries: MeterHandler, RecorderHandler, Series {
    private let bits = Atomic<UInt64>(Double.zero.bitPattern)

    func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }
    func set(_ value: Int64) { set(Double(value)) }
    func record(_ value: Double) { set(value) }
    func record(_ value: Int64) { set(Double(value)) }
    func decrement(by amount: Double) { increment(by: -amount) }

    func increment(by amount: Double) {
        var current = bits.load(ordering: .relaxed)
        while true {
            let next = (Double(bitPattern: current) + amount).bitPattern
            let (exchanged, original) = bits.weakCompareExchange(expected: current, desired: next, ordering: .relaxed)
            if exchanged { return }
            current = original
        }
    }

    func render(name: String, labels: String, into text: inout PrometheusText) {
        text.sample(name, labels, PrometheusText.number(Double(bitPattern: bits.load(ordering: .relaxed))))
    }
}

private final class HistogramSeries: TimerHandler, RecorderHandler, Series {
    private struct State {
        /// One for each bound, and one for what is above the last.
        var counts: [UInt64]
        var sum = 0.0
    }

    private let bounds: [Double]
    private let state: Mutex<State>

    init(bounds: [Double]) {
        self.bounds = bounds
        state = Mutex(State(counts: Array(repeating: 0, count: bounds.count + 1)))
    }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1_000_000_000) }
    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        guard !value.isNaN else { return }
        var bucket = 0
        while bucket < bounds.count, value > bounds[bucket] { bucket += 1 }
        state.withLock {
            $0.counts[bucket] += 1
            $0.sum += value
        }
    }

    func render(name: String, labels: String, into text: inout PrometheusText) {
        let state = state.withLock { $0 }
        let separator = labels.isEmpty ? "" : ","
        var total: UInt64 = 0
        for (index, count) in state.counts.enumerated() {
            total += count
            let bound = index < bounds.count ? PrometheusText.number(bounds[index]) : "+Inf"
            text.sample(name + "_bucket", "\(labels)\(separator)le=\"\(bound)\"", "\(total)")
        }
        text.sample(name + "_sum", labels, PrometheusText.number(state.sum))
        text.sample(name + "_count", labels, "\(total)")
    }
}
