import Delivery
import Domain

/// Syslog messages, one after the other, in either framing of RFC 6587.
struct SyslogStreamFormat: StreamFormat {
    private let reader: SyslogReader
    private let sender: String
    private var framing = SyslogFraming()
    private var isFirst = true

    /// - Parameter sender: the address of whoever sends, for messages that name no host.
    init(reader: SyslogReader, sender: String) {
        self.reader = reader
        self.sender = sender
    }

    var unfinishedBytes: Int { framing.unfinishedBytes }
    var isConversation: Bool { false }
    var acknowledges: Bool { false }

    mutating func take(
        _ bytes: UnsafeRawBufferPointer, receivedAt: Instant, into batch: inout IntakeBatch
    ) throws(EndOfConversation) {
        var end: EndOfConversation?
        var isFirst = isFirst
        let (reader, sender) = (reader, sender)
        framing.take(bytes) { frame in
            guard end == nil else { return }
            switch frame {
            case .message(let message) where isFirst && EndOfConversation.isHTTP(message):
                return end = .isHTTP
            case .lost:
                end = EndOfConversation()
            default:
                break
            }
            isFirst = false
            reader.put(frame, from: sender, receivedAt: receivedAt, into: &batch)
        }
        self.isFirst = isFirst
        if let end { throw end }
    }

    mutating func finish(receivedAt: Instant, into batch: inout IntakeBatch) {
        let (reader, sender) = (reader, sender)
        framing.finish { reader.put($0, from: sender, receivedAt: receivedAt, into: &batch) }
    }
}
