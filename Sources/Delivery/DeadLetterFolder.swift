import Foundation

/// The files of dead letters in a spool's folder. Whoever changes them holds a lock, since the operator's commands and the process
/// that delivers the spool do so at the same time.
struct DeadLetterFolder {
    private let folder: String

    init(_ folder: String) {
        self.folder = folder
    }

    /// Where letters are added.
    var file: String { folder + "/dead-letters.ndjson" }
    /// The file while it is replayed; nothing is added to it.
    var replayed: String { folder + "/dead-letters.replaying.ndjson" }
    private var unfinished: String { folder + "/dead-letters.unfinished" }

    /// Runs `body` alone among all processes.
    private func withLock<Value>(_ body: () throws(DeadLetterError) -> Value) throws(DeadLetterError) -> Value {
        let lock = open(folder + "/dead-letters.lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw .failed(errno) }
        defer { close(lock) }
        while flock(lock, LOCK_EX) != 0 {
            guard errno == EINTR else { throw .failed(errno) }
        }
        return try body()
    }

    /// Appends what `text` makes, which is told the file's size; all of it or nothing. It is on the disk when this returns.
    func append(_ text: (Int) throws(DeadLetterError) -> [UInt8]) throws(DeadLetterError) {
        try withLock { () throws(DeadLetterError) in
            let descriptor = open(file, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { throw .failed(errno) }
            defer { close(descriptor) }
            let size = try Self.endOfLastLine(descriptor)
            let bytes = try text(Int(size))
            do throws(DeadLetterError) {
                try Self.write(bytes, to: descriptor, at: size)
                guard fsync(descriptor) == 0 else { throw .failed(errno) }
            } catch {
                ftruncate(descriptor, size)
                throw error
            }
        }
    }

    /// Where the last whole line ends: a crash may have left a part of one behind it.
    private static func endOfLastLine(_ descriptor: Int32) throws(DeadLetterError) -> off_t {
        var end = lseek(descriptor, 0, SEEK_END)
        guard end >= 0 else { throw .failed(errno) }
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        while end > 0 {
            let start = max(0, end - off_t(chunk.count))
            let count = pread(descriptor, &chunk, Int(end - start), start)
            guard count == Int(end - start) else { throw .failed(count < 0 ? errno : EIO) }
            if let newline = chunk[..<count].lastIndex(of: UInt8(ascii: "\n")) { return start + off_t(newline) + 1 }
            end = start
        }
        return 0
    }

    /// Writes a file's end.
    private static func write(_ bytes: some ContiguousBytes, to descriptor: Int32, at offset: off_t) throws(DeadLetterError) {
        // What stands there is a part of a line at most.
        guard ftruncate(descriptor, offset) == 0 else { throw .failed(errno) }
        let failure = bytes.withUnsafeBytes { buffer -> Int32 in
            var written = 0
            while written < buffer.count {
                let count = pwrite(descriptor, buffer.baseAddress! + written, buffer.count - written, offset + off_t(written))
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return count < 0 ? errno : EIO }
                written += count
            }
            return 0
        }
        guard failure == 0 else { throw .failed(failure) }
    }

    /// Of the letter that was written last. Nil if there are none.
    func lastPosition() -> UInt64? {
        [file, replayed].compactMap { path in
            let descriptor = open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { return nil }
            defer { close(descriptor) }
            guard let end = try? Self.endOfLastLine(descriptor), end > 0 else { return nil }
            return Self.lastLine(descriptor, end: end).flatMap { DeadLetter(line: $0)?.position }
        }.max()
    }

    private static func lastLine(_ descriptor: Int32, end: off_t) -> [UInt8]? {
        // A letter holds at most 64 KiB, which escaping and base64 make up to six times as long.
        let length = Int(min(end, 1 << 20))
        var tail = [UInt8](repeating: 0, count: length)
        guard pread(descriptor, &tail, length, end - off_t(length)) == length else { return nil }
        return tail.dropLast().split(separator: UInt8(ascii: "\n")).last.map(Array.init)
    }

    /// Calls `body` with each line of a file, without its end; a missing file has none.
    static func lines(of path: String, _ body: (ArraySlice<UInt8>) async throws -> Void) async throws {
        guard let file = FileHandle(forReadingAtPath: path) else { return }
        defer { try? file.close() }
        var rest: [UInt8] = []
        while let data = try file.read(upToCount: 1 << 20), !data.isEmpty {
            rest.append(contentsOf: data)
            var start = 0
            while let end = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
                try await body(rest[start..<end])
                start = end + 1
            }
            rest.removeSubrange(..<start)
        }
    }

    // MARK: Replaying

    /// Puts all letters aside into `replayed`, also those that an interrupted replay had put there. False if there are none.
    func beginReplay() throws(DeadLetterError) -> Bool {
        try withLock { () throws(DeadLetterError) in
            if let interrupted = FileManager.default.contents(atPath: replayed) {
                try add(FileManager.default.contents(atPath: file) ?? Data(), behind: interrupted, as: replayed)
                guard unlink(file) == 0 || errno == ENOENT else { throw .failed(errno) }
                return true
            }
            if rename(file, replayed) == 0 { return true }
            guard errno == ENOENT else { throw .failed(errno) }
            return false
        }
    }

    /// Removes the letters that were put aside, except for `lines`, which go before what has been added meanwhile.
    func endReplay(keeping lines: [UInt8]) throws(DeadLetterError) {
        try withLock { () throws(DeadLetterError) in
            if !lines.isEmpty {
                try add(FileManager.default.contents(atPath: file) ?? Data(), behind: Data(lines), as: file)
            }
            guard unlink(replayed) == 0 else { throw .failed(errno) }
        }
    }

    /// Writes one text behind the other, and puts both in the place of a file.
    private func add(_ second: Data, behind first: Data, as path: String) throws(DeadLetterError) {
        let descriptor = open(unfinished, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .failed(errno) }
        defer { close(descriptor) }
        try Self.write(first, to: descriptor, at: 0)
        try Self.write(second, to: descriptor, at: off_t(first.count))
        guard fsync(descriptor) == 0, rename(unfinished, path) == 0 else { throw .failed(errno) }
    }
}
