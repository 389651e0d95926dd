import Events

/// Reads the lines of one file from a position on.
struct LineReader {
    let file: OpenFile
    private(set) var position: FilePosition
    /// Beyond `position.offset` only in a line that is too long: it has no end before this.
    private var searchedTo: UInt64

    private static let bytesPerRead = 256 << 10
    private static let bytesInCheck: UInt64 = 64

    init(_ file: OpenFile, at position: FilePosition) {
        self.file = file
        self.position = position
        searchedTo = position.offset
    }

    /// Reads on, at most 256 KiB.
    ///
    /// - Parameters:
    ///   - isComplete: nobody writes to the file any more, so that what stands behind the last line end is a line too.
    ///   - body: gets each line's offset and its bytes, the first 64 KiB of them.
    /// - Returns: whether it has come further.
    mutating func readOn(isComplete: Bool, _ body: (UInt64, UnsafeRawBufferPointer) -> Void) throws(FileProblem) -> Bool {
        let bytes = try file.read(at: searchedTo, count: Self.bytesPerRead)
        guard !bytes.isEmpty else {
            guard isComplete, searchedTo > position.offset else { return false }
            try endLongLine(at: searchedTo, body)
            return true
        }
        guard searchedTo == position.offset else {
            guard let end = bytes.firstIndex(of: .newline) else {
                searchedTo += UInt64(bytes.count)
                return true
            }
            try endLongLine(at: searchedTo + UInt64(end) + 1, body)
            return true
        }

        let taken = bytes.withUnsafeBytes { Self.giveLines(in: $0, from: position.offset, isComplete: isComplete, body) }
        if taken == 0 {
            guard bytes.count == Self.bytesPerRead else { return false }
            searchedTo += UInt64(bytes.count)
        } else {
            try moveTo(position.offset + UInt64(taken))
        }
        return true
    }

    /// - Returns: where the last line ends.
    private static func giveLines(
        in bytes: UnsafeRawBufferPointer, from offset: UInt64, isComplete: Bool, _ body: (UInt64, UnsafeRawBufferPointer) -> Void
    ) -> Int {
        var start = 0
        func give(_ end: Int) {
            let line = UnsafeRawBufferPointer(rebasing: bytes[start..<end]).prefix(bytes: EventLimits.report).droppingLineEnds()
            if !line.isEmpty { body(offset + UInt64(start), line) }
        }
        while let length = bytes.dropFirst(bytes: start).find(.newline) {
            give(start + length)
            start += length + 1
        }
        if isComplete, start < bytes.count, bytes.count < bytesPerRead {
            give(bytes.count)
            start = bytes.count
        }
        return start
    }

    private mutating func endLongLine(at end: UInt64, _ body: (UInt64, UnsafeRawBufferPointer) -> Void) throws(FileProblem) {
        let beginning = try file.read(at: position.offset, count: EventLimits.report)
        beginning.withUnsafeBytes { body(position.offset, $0) }
        try moveTo(end)
    }

    private mutating func moveTo(_ offset: UInt64) throws(FileProblem) {
        position.offset = offset
        position.check = try Self.check(file, before: offset)
        searchedTo = offset
    }

    // MARK: Recognising files

    /// Whether the file is the one that the position is in, and has been added to only.
    static func matches(_ file: OpenFile, _ position: FilePosition, fingerprint: UInt64) throws(FileProblem) -> Bool {
        guard fingerprint == position.fingerprint, try file.status().size >= position.offset else { return false }
        return try check(file, before: position.offset) == position.check
    }

    /// A hash of the first line, of its first KiB if it is longer.
    ///
    /// - Parameter name: files of different names differ.
    /// - Returns: nil while there is no whole line.
    static func fingerprint(of file: OpenFile, name: String) throws(FileProblem) -> UInt64? {
        let bytes = try file.read(at: 0, count: 1024)
        let end = bytes.firstIndex(of: .newline)
        guard end != nil || bytes.count == 1024 else { return nil }
        return Fingerprint.of(bytes[..<(end ?? bytes.count)], after: Fingerprint.of(name.utf8))
    }

    private static func check(_ file: OpenFile, before offset: UInt64) throws(FileProblem) -> UInt64 {
        let count = min(offset, bytesInCheck)
        return Fingerprint.of(try file.read(at: offset - count, count: Int(count)))
    }
}
