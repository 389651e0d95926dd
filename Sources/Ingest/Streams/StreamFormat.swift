import Delivery
import Domain

/// What the bytes of a connection mean.
protocol StreamFormat {
    /// What is held of a message whose end has not been read.
    var unfinishedBytes: Int { get }
    /// Whether senders listen to what they are told: JSON lines.
    var isConversation: Bool { get }
    /// Whether the sender wants to hear how many of its messages are durable.
    var acknowledges: Bool { get }

    /// Puts every message that ends in the bytes into the batch, as an event or as rejected.
    ///
    /// - Throws: when the connection should end. What has been put into the batch counts.
    mutating func take(
        _ bytes: UnsafeRawBufferPointer, receivedAt: Instant, into batch: inout IntakeBatch
    ) throws(EndOfConversation)

    /// The sender has said all. What it has said last may lack its end.
    mutating func finish(receivedAt: Instant, into batch: inout IntakeBatch)
}

/// The connection has no future.
struct EndOfConversation: Error {
    /// What the sender should hear of it, if it listens.
    var notice: String?
}

extension EndOfConversation {
    /// A web page can make a browser send a request to any port of its machine, with lines of its choice in the body.
    static let isHTTP = EndOfConversation(notice: "this is no HTTP port")

    /// Whether somebody's first line is the beginning of an HTTP request.
    static func isHTTP(_ line: UnsafeRawBufferPointer) -> Bool {
        line.count >= 8 && line.suffix(8).dropLast(1).elementsEqual("HTTP/1.".utf8)
    }
}
