/// Records that go into a spool together: all of them or none.
public struct RecordBatch: Sendable {
    /// In bytes.
    public static let maximumPayloadSize = 16 << 20

    /// The number of records.
    public private(set) var count = 0
    /// The records' frames, one after another, without their checksums: these depend on the spool.
    private(set) var frames: [UInt8] = []

    public init() {}

    public init(reservingCapacity byteCount: Int) {
        frames.reserveCapacity(byteCount)
    }

    public var isEmpty: Bool { count == 0 }

    /// What the records take in the spool, in bytes.
    public var byteCount: Int { frames.count }

    /// Adds a record with this payload: any bytes, also none, at most `maximumPayloadSize`.
    public mutating func append(_ payload: some Collection<UInt8>) {
        append { $0.append(contentsOf: payload) }
    }

    /// Adds a record whose payload is what the closure appends to the bytes that it gets. The bytes before are other records':
    /// they must stay. Nothing is added when the closure throws.
    public mutating func append<Failure>(writing write: (inout [UInt8]) throws(Failure) -> Void) throws(Failure) {
        let start = frames.count
        frames.append(contentsOf: repeatElement(0, count: RecordFrame.headerSize))
        do {
            try write(&frames)
        } catch {
            frames.removeSubrange(start...)
            throw error
        }
        let length = frames.count - start - RecordFrame.headerSize
        precondition(0...Self.maximumPayloadSize ~= length, "a record's payload of \(length) bytes")
        frames.withUnsafeMutableBytes {
            $0.storeBytes(of: UInt32(length).littleEndian, toByteOffset: start + 4, as: UInt32.self)
        }
        count += 1
    }

    /// Makes the batch empty, and keeps its memory for the next records.
    public mutating func removeAll() {
        frames.removeAll(keepingCapacity: true)
        count = 0
    }

    mutating func seal(seed: UInt32) {
        frames.withUnsafeMutableBytes { RecordFrame.seal($0, seed: seed) }
    }
}
