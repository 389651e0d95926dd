import Dispatch

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A file that is read from its beginning to its end, once.
final class ImportedFile: Sendable {
    /// Without its folder.
    let name: String
    /// In bytes; nil if it is none of a known length.
    let size: Int?
    private let path: String
    private let descriptor: Int32
    /// Reading may keep a thread waiting: standard input for a person's next line.
    private let queue = DispatchQueue(label: "attune.import")

    /// - Parameter path: `-`: standard input.
    init(path: String) throws(FileError) {
        self.path = path
        name = path == "-" ? "-" : String(path.split(separator: "/").last ?? "")
        descriptor = path == "-" ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(path: path) }
        var facts = stat()
        let isPlain = fstat(descriptor, &facts) == 0 && facts.st_mode & S_IFMT == S_IFREG
        size = isPlain ? Int(facts.st_size) : nil
    }

    deinit { close(descriptor) }

    /// The next bytes; none at the end.
    func read(_ maximum: Int) async throws -> [UInt8] {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { [self] in
                var count = 0
                let piece = [UInt8](unsafeUninitializedCapacity: maximum) { buffer, initialized in
                    repeat { count = Glibc.read(descriptor, buffer.baseAddress, maximum) } while count < 0 && errno == EINTR
                    initialized = max(0, count)
                }
                if count < 0 { continuation.resume(throwing: FileError(path: path)) } else { continuation.resume(returning: piece) }
            }
        }
    }

    struct FileError: Error, CustomStringConvertible {
        let path: String
        private let reason = String(cString: strerror(errno))
        var description: String { "cannot read \(path): \(reason)" }
    }
}
