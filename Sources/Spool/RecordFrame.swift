import CZlib

/// How a record lies in a segment: checksum and length of the payload (each 32 bits, little-endian), then the payload. The
/// checksum is CRC-32 of the length and the payload, begun with the spool's seed.
enum RecordFrame {
    static let headerSize = 8

    enum Finding {
        /// A whole, undamaged frame of this many bytes.
        case intact(Int)
        /// The bytes end before the frame does, which would be this many bytes long (8 when even its length is not there).
        case incomplete(Int)
        case damaged
    }

    /// Looks at the frame that begins at this offset.
    @inline(__always)
    static func find(in bytes: UnsafeRawBufferPointer, at offset: Int, seed: UInt32) -> Finding {
        guard offset + headerSize <= bytes.count else { return .incomplete(headerSize) }
        let length = payloadLength(in: bytes, at: offset)
        guard length <= RecordBatch.maximumPayloadSize else { return .damaged }
        let size = headerSize + length
        guard offset + size <= bytes.count else { return .incomplete(size) }
        let expected = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        return frameChecksum(bytes, at: offset, size: size, seed: seed) == expected ? .intact(size) : .damaged
    }

    static func payloadLength(in bytes: UnsafeRawBufferPointer, at offset: Int) -> Int {
        Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)))
    }

    /// Writes the checksums of the frames in `bytes`, which have their lengths and payloads already.
    static func seal(_ bytes: UnsafeMutableRawBufferPointer, seed: UInt32) {
        let frames = UnsafeRawBufferPointer(bytes)
        var offset = 0
        while offset < frames.count {
            let size = headerSize + payloadLength(in: frames, at: offset)
            let value = frameChecksum(frames, at: offset, size: size, seed: seed)
            bytes.storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt32.self)
            offset += size
        }
    }

    private static func frameChecksum(_ bytes: UnsafeRawBufferPointer, at offset: Int, size: Int, seed: UInt32) -> UInt32 {
        checksum(of: UnsafeRawBufferPointer(rebasing: bytes[offset + 4..<offset + size]), after: seed)
    }
}

/// zlib's CRC-32, going on from an earlier one.
func checksum(of bytes: UnsafeRawBufferPointer, after seed: UInt32 = 0) -> UInt32 {
    UInt32(truncatingIfNeeded: crc32_z(uLong(seed), bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count))
}
