import Dispatch
import Foundation
import Logging
import Synchronization

/// Dead letters could not be kept.
enum DeadLetterError: Error, CustomStringConvertible {
    /// The file has reached its limit.
    case full
    /// `errno`.
    case failed(Int32)

    var description: String {
        switch self {
        case .full: "the file of dead letters is full; replay it, or remove it"
        case .failed(let code): "cannot write dead letters: \(String(cString: strerror(code)))"
        }
    }
}

/// The file `dead-letters.ndjson` in a spool's folder: one JSON object a line, in the order of the spool.
final class DeadLetterFile: Sendable {
    /// From here on, texts that could not be read are counted, but no longer kept: anybody could fill the disk with them. Events
    /// were acknowledged, so they wait in the spool until there is room.
    static let maximumSize = 256 << 20

    private let folder: String
    private let maximumSize: Int
    private let logger: Logger
    /// The first position that is not in the file yet. A batch that is delivered again after a crash stands in it already.
    private let next: Mutex<UInt64>
    /// Writing to the disk takes its time.
    private let queue = DispatchQueue(label: "attune.dead-letters")

    init(folder: String, maximumSize: Int = maximumSize, logger: Logger) {
        self.folder = folder
        self.maximumSize = maximumSize
        self.logger = logger
        let last = DeadLetterFolder(folder).lastPosition()
        next = Mutex(last.map { $0 + 1 } ?? 0)
    }

    /// The spool has gone back in time: its positions are not those of the file.
    func forgetPositions() {
        next.withLock { $0 = 0 }
    }

    /// Appends letters, in order of their positions; they are on the disk when this returns. Those that the file has already are
    /// passed over.
    func append(_ letters: [DeadLetter]) async throws(DeadLetterError) {
        guard !letters.isEmpty else { return }
        let outcome: Result<Void, DeadLetterError> = await withCheckedContinuation { continuation in
            queue.async {
                do throws(DeadLetterError) {
                    continuation.resume(returning: .success(try self.write(letters)))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        try outcome.get()
    }

    private func write(_ letters: [DeadLetter]) throws(DeadLetterError) {
        let known = next.withLock { $0 }
        let new = letters.filter { $0.position >= known }
        guard let last = new.last else { return }
        var dropped = 0
        try DeadLetterFolder(folder).append { (size) throws(DeadLetterError) in
            var text: [UInt8] = []
            for letter in new {
                if size + text.count >= maximumSize {
                    guard letter.entry == nil else { throw .full }
                    dropped += 1
                } else {
                    text += letter.line
                    text.append(UInt8(ascii: "\n"))
                }
            }
            return text
        }
        next.withLock { $0 = last.position + 1 }
        if dropped > 0 {
            logger.error("the file of dead letters is full; texts were not kept", metadata: ["texts": "\(dropped)"])
        }
    }
}
