/// The first bytes of a segment: magic (8 bytes), version of the format (32 bits), the spool's id (16 bytes), position of the
/// first record (64 bits), CRC-32 of all that (32 bits). Integers are little-endian.
struct SegmentHeader: Equatable {
    static let size = 40
    private static let magic = Array("attspool".utf8)
    private static let version: UInt32 = 1

    enum Finding: Equatable {
        case intact(SegmentHeader)
        /// Written by another version of the program.
        case otherVersion(UInt32)
        case damaged
    }

    let spool: SpoolID
    let firstPosition: UInt64

    var bytes: [UInt8] {
        var bytes = Self.magic
        withUnsafeBytes(of: Self.version.littleEndian) { bytes.append(contentsOf: $0) }
        bytes += spool.bytes
        withUnsafeBytes(of: firstPosition.littleEndian) { bytes.append(contentsOf: $0) }
        let sum = bytes.withUnsafeBytes { checksum(of: $0) }
        withUnsafeBytes(of: sum.littleEndian) { bytes.append(contentsOf: $0) }
        return bytes
    }

    /// Reads the beginning of a segment.
    static func find(in bytes: UnsafeRawBufferPointer) -> Finding {
        guard bytes.count >= size, bytes.prefix(magic.count).elementsEqual(magic) else { return .damaged }
        let sum = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: size - 4, as: UInt32.self))
        guard checksum(of: UnsafeRawBufferPointer(rebasing: bytes[..<(size - 4)])) == sum else { return .damaged }
        let version = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        guard version == Self.version else { return .otherVersion(version) }
        return .intact(
            SegmentHeader(
                spool: SpoolID(UnsafeRawBufferPointer(rebasing: bytes[12..<28])),
                firstPosition: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 28, as: UInt64.self))))
    }
}
