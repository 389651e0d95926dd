import CoreMetrics
import Telemetry
import Testing

@Suite("The metrics page")
struct PrometheusRegistryTests {
    let registry = PrometheusRegistry(
        descriptions: [
            MetricDescription("requests_total", "Requests that were\nanswered."),
            MetricDescription("query_seconds", "Time.", buckets: [0.01, 0.1, 1]),
        ], maximumSeries: 3)

    /// The page's lines that begin with `prefix`.
    private func lines(_ prefix: String) -> [String] {
        String(decoding: registry.render(), as: UTF8.self).split(separator: "\n").map(String.init).filter { $0.contains(prefix) }
    }

    @Test("shows counters, with their help")
    func counter() {
        let counter = Counter(label: "requests", dimensions: [("path", "messages:list"), ("code", "200")], factory: registry)
        counter.increment()
        counter.increment(by: 2)
        #expect(
            lines("requests") == [
                #"# HELP requests_total Requests that were\nanswered."#,
                "# TYPE requests_total counter",
                #"requests_total{code="200",path="messages:list"} 3"#,
            ])
    }

    @Test("the same metric made twice counts into one series, whatever the labels' order")
    func sameSeries() {
        Counter(label: "hits", dimensions: [("a", "1"), ("b", "2")], factory: registry).increment()
        Counter(label: "hits_total", dimensions: [("b", "2"), ("a", "1")], factory: registry).increment()
        #expect(lines("hits_total{") == [#"hits_total{a="1",b="2"} 2"#])
    }

    @Test("shows gauges, set and changed")
    func gauge() {
        Gauge(label: "temperature", factory: registry).record(21.5)
        let visitors = Meter(label: "visitors", factory: registry)
        visitors.set(3)
        visitors.increment()
        visitors.decrement(by: 2)
        #expect(lines("temperature") == ["# TYPE temperature gauge", "temperature 21.5"])
        #expect(lines("visitors") == ["# TYPE visitors gauge", "visitors 2"])
    }

    @Test("shows timers as histograms in seconds, each bucket holding those below it")
    func timer() {
        let timer = Timer(label: "query", factory: registry)
        timer.recordMilliseconds(10)
        timer.recordMilliseconds(50)
        timer.recordSeconds(5)
        #expect(
            lines("query_seconds").dropFirst(2) == [
                #"query_seconds_bucket{le="0.01"} 1"#,
                #"query_seconds_bucket{le="0.1"} 2"#,
                #"query_seconds_bucket{le="1"} 2"#,
                #"query_seconds_bucket{le="+Inf"} 3"#,
                "query_seconds_sum 5.06",
                "query_seconds_count 3",
            ])
    }

    @Test("escapes label values and makes names fit")
    func escaping() {
        Counter(label: "http.errors-2xx", dimensions: [("reason.of", "a\"b\\c\nd")], factory: registry).increment()
        #expect(lines("errors").last == #"http_errors_2xx_total{reason_of="a\"b\\c\nd"} 1"#)
    }

    @Test("past the limit, new label values share one series")
    func limit() {
        for user in 1...10 {
            Counter(label: "calls", dimensions: [("user", "\(user)")], factory: registry).increment()
        }
        #expect(lines("calls_total{").count == 4)
        #expect(lines(#"user="other""#) == [#"calls_total{user="other"} 7"#])
    }

    @Test("a destroyed metric is gone")
    func destroyed() {
        let counter = Counter(label: "gone", factory: registry)
        counter.increment()
        counter.destroy()
        #expect(lines("gone").isEmpty)
    }

    @Test("counts from many tasks are all there")
    func concurrency() async {
        let counter = Counter(label: "many", factory: registry)
        let timer = Timer(label: "many", factory: registry)
        let meter = Meter(label: "level", factory: registry)
        await withTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<1000 {
                        counter.increment()
                        timer.recordNanoseconds(1)
                        meter.increment()
                    }
                }
            }
        }
        #expect(lines("many_total").last == "many_total 8000")
        #expect(lines("many_seconds_count") == ["many_seconds_count 8000"])
        #expect(lines("level").last == "level 8000")
    }

    @Test("is well formed: every line a comment or a sample, each family declared once, before its samples")
    func wellFormed() throws {
        Counter(label: "a", dimensions: [("x", "1,2}{\"")], factory: registry).increment()
        Timer(label: "b", dimensions: [("x", "")], factory: registry).recordSeconds(0.3)
        Recorder(label: "c", factory: registry).record(7)
        Gauge(label: "d", factory: registry).record(Double.nan)
        let page = String(decoding: registry.render(), as: UTF8.self)
        #expect(page.hasSuffix("\n"))
        var family: (name: Substring, type: Substring)?
        var declared: Set<Substring> = []
        let sample = try Regex<(Substring, name: Substring)>(
            #"(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)"#
                + #"(?:\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\[\\n"])*",?)*\})?"#
                + #" (?:NaN|[+-]Inf|-?[0-9.]+(?:e-?[0-9]+)?)"#)
        for line in page.split(separator: "\n") {
            if let type = try /# TYPE (\S+) (counter|gauge|histogram)/.wholeMatch(in: line) {
                #expect(declared.insert(type.1).inserted)
                family = (type.1, type.2)
            } else if !line.hasPrefix("# HELP ") {
                let match = try #require(try sample.wholeMatch(in: line), "\(line)")
                let current = try #require(family)
                let endings = current.type == "histogram" ? ["_bucket", "_sum", "_count"] : [""]
                #expect(endings.map { current.name + $0 }.contains(String(match.name)))
            }
        }
        #expect(declared.isSuperset(of: ["a_total", "b_seconds", "c", "d", "process_cpu_seconds_total"]))
    }
}
