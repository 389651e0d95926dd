import Crypto
import Domain

extension ReportedEvent {
    /// What a repeated report is recognised by: the first 128 bits of SHA-256 over `source`, a zero byte and `id`. Nil without
    /// an id.
    public var key: UUIDBits? {
        guard let id else { return nil }
        var hash = SHA256()
        hash.update(text: source)
        hash.update(byte: 0)
        hash.update(text: id)
        return hash.finalize().withUnsafeBytes { UUIDBits(high: $0.loadBigEndian(at: 0), low: $0.loadBigEndian(at: 8)) }
    }
}

extension SHA256 {
    fileprivate mutating func update(text: String) {
        var text = text
        text.withUTF8 { update(bufferPointer: UnsafeRawBufferPointer($0)) }
    }

    fileprivate mutating func update(byte: UInt8) {
        withUnsafeBytes(of: byte) { update(bufferPointer: $0) }
    }
}
