import CZlib

/// Takes apart what `gzip` makes (RFC 1952).
enum Gzip {
    enum Failure: Error {
        /// Not gzip, changed on its way, or cut off.
        case damaged
        /// It holds more than is wanted.
        case tooLarge
        /// `reserve` has said no.
        case noRoom
    }

    /// - Parameters:
    ///   - limit: how many bytes may come out at most.
    ///   - reserve: asked before memory is taken for so many bytes of the result. Called until it says no.
    static func inflate(
        _ compressed: [UInt8], upTo limit: Int, reserve: (Int) -> Bool
    ) throws(Failure) -> [UInt8] {
        guard !compressed.isEmpty else { throw .damaged }
        var stream = z_stream()
        // 16 more than the largest window: gzip's header and nothing else.
        guard inflateInit2_(&stream, 16 + MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            throw .noRoom
        }
        defer { inflateEnd(&stream) }
        var content: [UInt8] = []
        var offset = 0
        var piece = [UInt8](repeating: 0, count: 65536)
        // There may be several members, one behind the other.
        var isAtEndOfMember = false
        while offset < compressed.count || !isAtEndOfMember {
            let (code, read, made) = step(&stream, compressed, from: offset, into: &piece)
            offset += read
            guard code == Z_OK || code == Z_STREAM_END else { throw .damaged }
            guard content.count + made <= limit else { throw .tooLarge }
            guard reserve(made) else { throw .noRoom }
            content += piece[..<made]
            isAtEndOfMember = code == Z_STREAM_END
            if isAtEndOfMember, inflateReset(&stream) != Z_OK { throw .damaged }
        }
        return content
    }

    private static func step(
        _ stream: inout z_stream, _ compressed: [UInt8], from offset: Int, into piece: inout [UInt8]
    ) -> (code: Int32, read: Int, made: Int) {
        compressed.withUnsafeBufferPointer { input in
            piece.withUnsafeMutableBufferPointer { output in
                stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress! + offset)
                stream.avail_in = UInt32(input.count - offset)
                stream.next_out = output.baseAddress
                stream.avail_out = UInt32(output.count)
                let code = CZlib.inflate(&stream, Z_NO_FLUSH)
                return (code, input.count - offset - Int(stream.avail_in), output.count - Int(stream.avail_out))
            }
        }
    }
}
