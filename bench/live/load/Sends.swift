import NIOCore
import Synchronization

/// One run of sends at a fixed rate, and what became of each.
///
/// The times count from the moment at which a send was due, whether or not whoever sends it was ready: waiting is latency.
final class Sends: @unchecked Sendable {
    // Unchecked: each element of the arrays is written by one thread, before `missing` counts down, and read after it is zero.

    let count: Int
    /// The marker of the first send. Markers are never used again, so that nothing late is taken for something new.
    let firstMarker: Int
    /// The socket on whose account each is sent; the other one of its pair is to receive it.
    let senders: [Int]
    let start: NIODeadline
    private let interval: Double

    /// What is still to come: an answer and a frame for each send.
    let missing: Atomic<Int>
    private let answers: UnsafeMutablePointer<UInt64>
    private let frames: UnsafeMutablePointer<UInt64>

    init(count: Int, rate: Double, sockets: Int, firstMarker: Int) {
        self.count = count
        self.firstMarker = firstMarker
        senders = (0..<count).map { _ in .random(in: 0..<max(1, sockets)) }
        interval = 1e9 / rate
        start = .now() + .milliseconds(100)
        missing = Atomic(2 * count)
        answers = .allocate(capacity: count)
        answers.initialize(repeating: 0, count: count)
        frames = .allocate(capacity: count)
        frames.initialize(repeating: 0, count: count)
    }

    deinit {
        answers.deallocate()
        frames.deallocate()
    }

    func isDue(_ index: Int) -> NIODeadline { start + .nanoseconds(Int64(Double(index) * interval)) }

    /// The sender has been told that it is done.
    func answered(_ index: Int) {
        answers[index] = NIODeadline.now().uptimeNanoseconds
        missing.subtract(1, ordering: .releasing)
    }

    /// The other side has been shown it.
    func shown(_ index: Int) {
        guard frames[index] == 0 else { return }
        frames[index] = NIODeadline.now().uptimeNanoseconds
        missing.subtract(1, ordering: .releasing)
    }

    /// The index of the send with that marker; nil for one of another run.
    func index(ofMarker marker: Int) -> Int? {
        (firstMarker..<firstMarker + count).contains(marker) ? marker - firstMarker : nil
    }

    struct Times {
        let sendToAnswer: Percentiles
        let sendToFrame: Percentiles
        /// From the sender's knowing that it is committed; negative where the frame was faster than the answer.
        let answerToFrame: Percentiles
    }

    /// - Precondition: nothing is missing.
    func times() -> Times {
        precondition(missing.load(ordering: .acquiring) == 0)
        func percentiles(_ value: (Int) -> Int64) -> Percentiles { Percentiles((0..<count).map { Double(value($0)) / 1e6 }) }
        func due(_ index: Int) -> UInt64 { isDue(index).uptimeNanoseconds }
        return Times(
            sendToAnswer: percentiles { Int64(answers[$0]) - Int64(due($0)) },
            sendToFrame: percentiles { Int64(frames[$0]) - Int64(due($0)) },
            answerToFrame: percentiles { Int64(frames[$0]) - Int64(answers[$0]) })
    }
}

/// In milliseconds.
struct Percentiles: Encodable {
    let minimum: Double
    let p50: Double
    let p95: Double
    let p99: Double
    let maximum: Double

    init(_ values: [Double]) {
        let sorted = values.sorted()
        func rank(_ share: Double) -> Double { sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))] }
        (minimum, maximum) = (sorted[0], sorted[sorted.count - 1])
        (p50, p95, p99) = (rank(0.5), rank(0.95), rank(0.99))
    }
}
