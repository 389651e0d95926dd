// Integers in network byte order, as in PostgreSQL's binary formats and in the spool.

extension [UInt8] {
    mutating func appendBigEndian(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }
}

extension UnsafeRawBufferPointer {
    /// The caller has checked the bounds.
    func loadBigEndian<Integer: FixedWidthInteger>(at offset: Int, as type: Integer.Type = Integer.self) -> Integer {
        Integer(bigEndian: loadUnaligned(fromByteOffset: offset, as: type))
    }
}

extension ArraySlice<UInt8> {
    /// Takes an integer from the front; nil if there are too few bytes.
    mutating func takeBigEndian<Integer: FixedWidthInteger>(_ type: Integer.Type = Integer.self) -> Integer? {
        take(MemoryLayout<Integer>.size)?.withUnsafeBytes { $0.loadBigEndian(at: 0) }
    }

    /// Takes so many bytes from the front; nil if there are too few.
    mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard count >= 0, self.count >= count else { return nil }
        defer { removeFirst(count) }
        return prefix(count)
    }
}
