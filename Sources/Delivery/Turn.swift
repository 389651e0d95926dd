/// Comes when what stands before it is done. One task waits for it.
final class Turn: Sendable {
    private let stream: AsyncStream<Never>
    private let continuation: AsyncStream<Never>.Continuation

    init() {
        (stream, continuation) = AsyncStream.makeStream()
    }

    func come() {
        continuation.finish()
    }

    /// Returns when it has come, at once if it has before.
    func wait() async throws {
        for await _ in stream {}
        try Task.checkCancellation()
    }
}
