#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A regular file that is open for reading. It is closed with the last reference.
final class OpenFile: Sendable {
    struct Status: Equatable {
        var device: UInt64
        var inode: UInt64
        var size: UInt64
        /// Of the last change, in nanoseconds since 1970.
        var changedAt: Int64
        var isRegular: Bool

        fileprivate init(_ status: stat) {
            device = UInt64(status.st_dev)
            inode = UInt64(status.st_ino)
            size = UInt64(status.st_size)
            changedAt = Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
            isRegular = status.st_mode & S_IFMT == S_IFREG
        }
    }

    private let path: String
    private let descriptor: Int32

    init(_ path: String) throws(FileProblem) {
        self.path = path
        // Does not wait, should it be a pipe.
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw FileProblem(path) }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    func status() throws(FileProblem) -> Status {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileProblem(path) }
        return Status(status)
    }

    /// Of whatever has the name now.
    static func status(of path: String) throws(FileProblem) -> Status {
        var status = stat()
        guard stat(path, &status) == 0 else { throw FileProblem(path) }
        return Status(status)
    }

    /// The files whose names begin with the name of this one (`access.log.1` beside `access.log`), without it and without those
    /// that are compressed.
    static func paths(besides path: String) -> [String] {
        guard let slash = path.lastIndex(of: "/"), let directory = opendir(String(path[...slash])) else { return [] }
        defer { closedir(directory) }
        let own = path[path.index(after: slash)...]
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            let isCompressed = [".gz", ".bz2", ".xz", ".zst"].contains { name.hasSuffix($0) }
            if name != own, name.hasPrefix(own), !isCompressed { names.append(name) }
        }
        return names.map { path[...slash] + $0 }
    }

    /// As many of the bytes as are there.
    func read(at offset: UInt64, count: Int) throws(FileProblem) -> [UInt8] {
        var problem: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let got = pread(descriptor, buffer.baseAddress! + filled, count - filled, off_t(offset) + off_t(filled))
                if got < 0, errno == EINTR { continue }
                if got < 0 { problem = errno }
                guard got > 0 else { return }
                filled += got
            }
        }
        guard problem == 0 else { throw FileProblem(path, problem) }
        return bytes
    }
}

/// The operating system refused something about a file.
struct FileProblem: Error, CustomStringConvertible {
    let path: String
    let number: Int32

    init(_ path: String, _ number: Int32 = errno) {
        self.path = path
        self.number = number
    }

    var isNotFound: Bool { number == ENOENT }

    static func notRegular(_ path: String) -> FileProblem { FileProblem(path, EINVAL) }

    var description: String { "\(path): \(String(cString: strerror(number)))" }
}
