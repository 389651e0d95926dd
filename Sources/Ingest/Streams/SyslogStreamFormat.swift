import Delivery
import Domain

/// Syslog messages, one after the other, in either framing of RFC 6587.
struct SyslogStreamFormat: StreamFormat {
    private let reader: SyslogReader
    private let sender: String
    private var framing = SyslogFraming()

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
        var isLost = false
        let (reader, sender) = (reader, sender)
        framing.take(bytes) { frame in
            if case .lost = frame { isLost = true }
            reader.put(frame, from: sender, receivedAt: receivedAt, into: &batch)
        }
        if isLost { throw EndOfConversation() }
    }

    mutating func finish(receivedAt: Instant, into batch: inout IntakeBatch) {
        let (reader, sender) = (reader, sender)
        framing.finish { reader.put($0, from: sender, receivedAt: receivedAt, into: &batch) }
    }
}
