import Delivery
import NIOCore

/// Gathers what one channel has read into batches and hands them to the intake, one at a time and in order: while a batch is on
/// its way to the disk, the next one gathers. Belongs to the channel's event loop.
final class BatchFlow {
    /// A batch became durable: so many entries. Or it never will.
    typealias Outcome = (Result<Int, IntakeError>) -> Void

    var gathering = IntakeBatch()
    /// Of the batch that is on its way.
    private var bytesOnTheWay = 0
    private let acceptor: BatchAcceptor
    private let eventLoop: any EventLoop

    init(acceptor: BatchAcceptor, eventLoop: any EventLoop) {
        self.acceptor = acceptor
        self.eventLoop = eventLoop
    }

    /// Bytes that are not durable yet.
    var waitingBytes: Int { gathering.byteCount + bytesOnTheWay }

    private(set) var isWaiting = false

    var isEmpty: Bool { !isWaiting && gathering.isEmpty }

    /// Hands over what has gathered, unless a batch is on its way: then `outcome` is the time to call again.
    func flush(_ outcome: @escaping Outcome) {
        guard !isWaiting, !gathering.isEmpty else { return }
        let batch = gathering
        gathering = IntakeBatch()
        isWaiting = true
        bytesOnTheWay = batch.byteCount
        let count = batch.count
        let durable = eventLoop.makePromise(of: Receipt.self)
        durable.futureResult.assumeIsolated().whenComplete { [self] result in
            isWaiting = false
            bytesOnTheWay = 0
            outcome(result.map { _ in count }.mapError { $0 as? IntakeError ?? .closed })
        }
        acceptor.accept(batch, durable)
    }
}
